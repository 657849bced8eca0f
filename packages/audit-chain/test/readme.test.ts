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
