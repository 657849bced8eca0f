import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createCsvSink } from '@mcp-gateway/audit-chain/sinks/csv'
import { createJsonlSink } from '@mcp-gateway/audit-chain/sinks/jsonl'
import { append, arrived, entriesOf, follow, followAndDie, logOf, never, upTo } from './support/exports.ts'
import { scratch } from './support/sqlite.ts'

type Line = { readonly entry: { readonly seq: number; readonly id: string; readonly log: string } }

const linesOf = (...paths: string[]): Line['entry'][] =>
  paths.flatMap((path) => {
    const text = readFileSync(path, 'utf8')
    expect(text.endsWith('\n')).toBe(true)
    return text.trimEnd().split('\n').map((line) => (JSON.parse(line) as Line).entry) // prettier-ignore
  })

test('a follower that dies between delivering and noting repeats a batch, and loses nothing', async () => {
  using home = scratch()
  const path = join(home.directory, 'export', 'audit.jsonl')
  const store = await logOf(95)
  await using first = createJsonlSink({ path })
  await followAndDie(store, first, 3)
  await using second = createJsonlSink({ path })
  await follow(store, second)
  expect(arrived(linesOf(path))).toEqual({ seqs: upTo(95), repeated: 10, isMarked: true })
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('a record that was cut off anywhere is cut away when the file is opened again', async () => {
  using home = scratch()
  const store = await logOf(6)
  const entries = await entriesOf(store)
  for (const [name, create] of [
    ['audit.jsonl', createJsonlSink],
    ['audit.csv', (options: { path: string }) => createCsvSink({ ...options, facts: ['name'] })],
  ] as const) {
    // prettier-ignore
    const path = join(home.directory, name)
    await using whole = create({ path })
    await whole.write(entries.slice(0, 4), never)
    const before = readFileSync(path)
    await whole.write(entries.slice(4), never)
    const after = readFileSync(path)
    for (let size = before.length; size <= after.length; size += 7) {
      writeFileSync(path, after)
      truncateSync(path, size)
      await using again = create({ path })
      await again.write(entries.slice(4), never)
      const text = readFileSync(path, 'utf8')
      expect(text.startsWith(before.toString())).toBe(true)
      // Entry 4 may be there twice, whole.
      expect(text.replace(before.toString(), '').endsWith(after.toString().slice(before.length))).toBe(true)
      expect([1, 2]).toContain(text.split(entries[4]?.entry.id ?? '?').length - 1)
    }
  }
})

test('a file that is full is put aside, and never one that another put there', async () => {
  using home = scratch()
  const path = join(home.directory, 'audit.csv')
  const store = await logOf(40)
  writeFileSync(join(home.directory, 'audit.000007.csv'), 'kept')
  await using sink = createCsvSink({ path, maxFileBytes: 2048, facts: ['i'] })
  await follow(store, sink, { maxBatch: 3 })
  const files = readdirSync(home.directory).sort()
  expect(files.length).toBeGreaterThan(3)
  expect(readFileSync(join(home.directory, 'audit.000007.csv'), 'utf8')).toBe('kept')
  const rows = files.filter((name) => name !== 'audit.000007.csv').flatMap((name) => {
    expect(statSync(join(home.directory, name)).size).toBeLessThanOrEqual(2048)
    const [header, ...lines] = readFileSync(join(home.directory, name), 'utf8').trimEnd().split('\r\n')
    expect(header).toBe('log,seq,id,type,ts,i,entry_hash')
    return lines.map((line) => Number(line.split(',')[1]))
  }) // prettier-ignore
  expect(rows.sort((a, b) => a - b)).toEqual(upTo(40))
})

test('a file that cannot be written says so, and the batch comes again when it can', async () => {
  using home = scratch()
  const blocked = join(home.directory, 'blocked')
  writeFileSync(blocked, '')
  const store = await logOf(5)
  await using sink = createJsonlSink({ path: join(blocked, 'audit.jsonl') })
  await expect(sink.write(await entriesOf(store), never)).rejects.toMatchObject({ code: 'AUDIT_SINK_FAILED' })
})

test('kill -9 at random moments: nothing lost, nothing torn', { timeout: 60_000 }, async () => {
  using home = scratch()
  const path = join(home.directory, 'audit.jsonl')
  const worker = join(import.meta.dirname, 'support/export-worker.ts')
  for (let round = 0; round < 8; round += 1) {
    const child = spawn(process.execPath, ['--conditions=@mcp-gateway/source', worker, home.path, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    await sleep(20 + Math.random() * 150)
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const { open } = await import('./support/sqlite.ts')
  await using opened = open(home.path, 'gw.example.com/audit/eu/8f3c')
  await append(opened.store, 10)
  const { size } = await opened.log.head()
  await using sink = createJsonlSink({ path })
  await follow(opened.store, sink)
  const found = arrived(linesOf(path))
  expect(found).toMatchObject({ seqs: upTo(size), isMarked: true })
  expect(size).toBeGreaterThan(100)
})
