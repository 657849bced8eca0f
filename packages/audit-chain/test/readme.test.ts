import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { scratch } from './support/sqlite.ts'

const root = join(import.meta.dirname, '..')

test('the example of the README runs, and prints what it says', () => {
  using home = scratch()
  const [, code = ''] = /```ts\n([^]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []
  expect(code.trim().split('\n').length).toBeLessThanOrEqual(16)
  const script = code.replace(`'audit.db'`, JSON.stringify(join(home.directory, 'audit.db')))
  const args = ['--conditions=@mcp-gateway/source', '--input-type=module-typescript', '--eval', script]
  // In the package's folder the package is found by its own name.
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
  expect({ stdout: stdout.trim(), status, stderr }).toMatchObject({ stdout: '[]', status: 0 })
  expect(readdirSync(home.directory)).toContain('audit.db')
})

test('the example of a thread runs, and its process ends', () => {
  using home = scratch()
  const [, code = ''] =
    /## SQLite by a thread\n\n```ts\n([^]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []
  const script = code.replace(`'audit.db'`, JSON.stringify(join(home.directory, 'audit.db')))
  const args = ['--conditions=@mcp-gateway/source', '--input-type=module-typescript', '--eval', script]
  const { stderr, status } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
  expect({ status, stderr }).toMatchObject({ status: 0 })
  expect(readdirSync(home.directory)).toEqual(['audit.db'])
})

test('the example of exporting runs, and writes a line for each entry', () => {
  using home = scratch()
  const [, code = ''] =
    /## Sending it elsewhere\n\n```ts\n([^]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []
  const before = `
    import { openLog } from '@mcp-gateway/audit-chain'
    import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
    const [store, origin, signal] = [createMemoryStore(), 'gw.example.com/audit', AbortSignal.timeout(5000)]
    await openLog({ store, origin }).append({ type: 'test', fields: { text: 'x' } })`
  const path = join(home.directory, 'export', 'audit.jsonl')
  const script = `${before}\n${code.replace(`'export/audit.jsonl'`, JSON.stringify(path))}`
  const args = ['--conditions=@mcp-gateway/source', '--input-type=module-typescript', '--eval', script]
  const { stderr, status } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
  expect({ status, stderr }).toMatchObject({ status: 0 })
  expect(readFileSync(path, 'utf8')).toMatch(/^\{"entry":\{.*\},"fields":\{"text":.*\}\}\n$/)
})

test('what `./verify` imports, all the way down, is node:crypto and nothing else', () => {
  const seen = new Set<string>()
  const outside = new Set<string>()
  const visit = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    for (const [, types, specifier = ''] of readFileSync(path, 'utf8').matchAll(
      /^(?:import|export)( type)? [^;]*?from '([^']+)'/gm,
    )) {
      if (types !== undefined) continue
      if (specifier.startsWith('.')) visit(join(dirname(path), specifier))
      else outside.add(specifier)
    }
  }
  visit(join(root, 'src/verify.ts'))
  expect(seen.size).toBeGreaterThan(10)
  expect([...outside]).toEqual(['node:crypto'])
})
