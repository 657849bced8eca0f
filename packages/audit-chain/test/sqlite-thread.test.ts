// A store whose appends a thread writes: what the thread may meet, and that the log stays one log.
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { Worker } from 'node:worker_threads'
import { examineLog, openLog, type AuditLog } from '@mcp-gateway/audit-chain'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { openSqliteThread } from '@mcp-gateway/audit-chain/stores/sqlite-thread'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { leafHash } from '../src/hash.ts'
import { packDrafts, unpackDrafts } from '../src/stores/packed-drafts.ts'
import { grep, open, scratch, type Scratch } from './support/sqlite.ts'

const ORIGIN = 'example.com/thread'

function openThreaded({ path }: Scratch, busyTimeoutMs?: number) {
  const thread = openSqliteThread()
  const database = openSqlite(path)
  const store = createSqliteStore({ database, thread, ...(busyTimeoutMs !== undefined && { busyTimeoutMs }) })
  const log = openLog({ store, origin: ORIGIN, limits: { maxBatchEntries: 16 } })
  return {
    thread,
    database,
    store,
    log,
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]()
      await thread[Symbol.asyncDispose]()
      if (database.isOpen) database.close()
    },
  }
}

const appendAll = async (log: AuditLog, count: number): Promise<number[]> =>
  (await Promise.all(Array.from({ length: count }, (_, i) => log.append({ type: 'test', facts: { i } })))).map(
    ({ seq }) => seq,
  )

test('unpack(pack(drafts)) ≡ drafts', () => {
  const line = fc.string().map((text) => text.replaceAll('\n', ' '))
  const orNothing = fc.option(
    line.filter((text) => text !== ''),
    { nil: undefined },
  )
  const draft = fc.record({
    id: line,
    type: line,
    facts: line,
    commit: orNothing,
    subject: orNothing,
    fields: fc.option(
      fc.uint8Array({ minLength: 1 }).map((bytes) => Buffer.from(bytes)),
      { nil: undefined },
    ),
    erasures: fc.array(fc.record({ from: fc.nat(), to: fc.nat() })),
  })
  const property = fc.property(fc.array(draft), (drafts) => {
    // Through what a message goes through.
    expect(unpackDrafts(structuredClone(packDrafts(drafts)))).toEqual(drafts)
  })
  fc.assert(property, { numRuns: 1000 })
})

test('receipts say where the entries are, with their hashes and times', async () => {
  using home = scratch()
  await using threaded = openThreaded(home)
  const receipts = await Promise.all(Array.from({ length: 40 }, () => threaded.log.append({ type: 'test' })))
  for (const { origin, seq, id, leafHash: given, at } of receipts) {
    const { leaf, entry } = await threaded.log.entry(seq)
    expect({ origin, id, at }).toEqual({ origin: entry.log, id: entry.id, at: Date.parse(entry.ts) })
    expect(Buffer.from(given)).toEqual(leafHash(leaf))
  }
})

test('a clock of one’s own goes on in the thread', async () => {
  using home = scratch()
  await using thread = openSqliteThread()
  using database = openSqlite(home.path)
  const store = createSqliteStore({ database, thread })
  const ahead = 3_600_000
  await using log = openLog({ store, origin: ORIGIN, clock: () => Date.now() + ahead })
  const from = Date.now() + ahead
  const { at } = await log.append({ type: 'test' })
  // A difference of two readings is rounded.
  expect(at).toBeGreaterThanOrEqual(from - 1)
  expect(at).toBeLessThanOrEqual(Date.now() + ahead + 1)
})

test('two writers of one file, a thread and somebody else: no gap, no fork', async () => {
  using home = scratch()
  await using threaded = openThreaded(home)
  await using other = open(home.path, ORIGIN, { maxBatchEntries: 16 })
  const seqs = await Promise.all([appendAll(threaded.log, 500), appendAll(other.log, 500)])
  expect(seqs.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i))
  expect(await examineLog({ store: threaded.store, origin: ORIGIN })).toMatchObject({ findings: [], size: 1000 })
})

test('several logs through one thread, each in a file of its own', async () => {
  using homes = new DisposableStack()
  await using thread = openSqliteThread()
  const places = Array.from({ length: 4 }, () => homes.use(scratch()))
  const stores = places.map(({ path }) => createSqliteStore({ database: homes.use(openSqlite(path)), thread }))
  await Promise.all(stores.map(async (store) => await appendAll(openLog({ store, origin: ORIGIN }), 100)))
  for (const store of stores) {
    expect(await examineLog({ store, origin: ORIGIN })).toMatchObject({ findings: [], size: 100 })
  }
})

test('a file that was released is nobody’s, and is opened again by the next append', async () => {
  using home = scratch()
  await using threaded = openThreaded(home)
  await appendAll(threaded.log, 3)
  await threaded.thread.release(home.path)
  threaded.database.close()
  // Whoever closes a file last takes its write-ahead log along.
  expect(readdirSync(home.directory)).toEqual(['audit.db'])
  await using again = openThreaded(home)
  expect(await appendAll(again.log, 1)).toEqual([3])
})

test('a locked database: waiting ends, the event loop turns meanwhile, and the log goes on', async () => {
  using home = scratch()
  await using threaded = openThreaded(home, 200)
  await appendAll(threaded.log, 1)
  using other = new DatabaseSync(home.path)
  other.exec('begin immediate')
  let turns = 0
  const timer = setInterval(() => (turns += 1), 10)
  await expect(threaded.log.append({ type: 'test' })).rejects.toMatchObject({ code: 'AUDIT_STORE_BUSY' })
  expect(turns).toBeGreaterThan(3)
  clearInterval(timer)
  other.exec('commit')
  expect((await threaded.log.append({ type: 'test' })).seq).toBe(1)
})

test('a thread that is behind gets its entries with their commitments, and what it writes is the same', async () => {
  using home = scratch()
  await using threaded = openThreaded(home)
  const append = async (text: string) => await threaded.log.append({ type: 'test', subject: 's', fields: { text } })
  await append('first')
  using other = new DatabaseSync(home.path)
  other.exec('begin immediate')
  // The one that the thread cannot write yet, and one that comes when it has been at it for long.
  const stuck = append('hashed there')
  await new Promise((resolve) => setTimeout(resolve, 100))
  const late = append('hashed here')
  await new Promise((resolve) => setTimeout(resolve, 50))
  other.exec('commit')
  const seqs = (await Promise.all([stuck, late])).map(({ seq }) => seq)
  const texts = seqs.map(async (seq) => (await threaded.log.disclose(seq)).map(({ value }) => String(value)))
  expect(await Promise.all(texts)).toEqual([
    ['s', 'hashed there'],
    ['s', 'hashed here'],
  ])
  // Each field against its commitment in the chain.
  expect(await examineLog({ store: threaded.store, origin: ORIGIN })).toMatchObject({ findings: [], size: 3 })
})

test('an id that is taken is refused, and the others of its batch are not', async () => {
  using home = scratch()
  await using threaded = openThreaded(home)
  await threaded.log.append({ type: 'test', id: 'a' })
  const outcomes = await Promise.allSettled(['b', 'a', 'c'].map((id) => threaded.log.append({ type: 'test', id })))
  expect(outcomes.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'ok'))).toEqual([
    'ok',
    'AUDIT_ID_TAKEN',
    'ok',
  ])
  expect(await examineLog({ store: threaded.store, origin: ORIGIN })).toMatchObject({ findings: [], size: 3 })
})

test('a thread that ends: who waits is told that the outcome is unknown, and the next append starts another', async () => {
  using home = scratch()
  await using threaded = openThreaded(home)
  const started = once(process, 'worker') as Promise<[Worker]>
  await appendAll(threaded.log, 1)
  const [worker] = await started
  const waiting = threaded.log.append({ type: 'test', id: 'lost' })
  void worker.terminate()
  const outcome = await waiting.then(
    () => 'written',
    (error: { code: string }) => error.code,
  )
  const isThere = (await threaded.store.find(ORIGIN, 'lost')) !== undefined
  if (outcome === 'written') expect(isThere).toBe(true)
  else expect(outcome).toBe('AUDIT_OUTCOME_UNKNOWN')
  await appendAll(threaded.log, 20)
  const size = isThere ? 22 : 21
  expect(await examineLog({ store: threaded.store, origin: ORIGIN })).toMatchObject({ findings: [], size })
})

test('erased values are gone from the files while the thread has them open', async () => {
  using home = scratch()
  await using threaded = openThreaded(home)
  for (const subject of ['anna', 'bert']) {
    await threaded.log.append({ type: 'test', subject, fields: { args: `said-by-${subject}` } })
  }
  await threaded.log.erase({ what: { subject: 'anna' }, reason: 'asked', by: 'test' })
  expect(grep(home.directory, 'said-by-anna')).toEqual([])
  expect(grep(home.directory, 'said-by-bert')).not.toEqual([])
  expect((await examineLog({ store: threaded.store, origin: ORIGIN })).findings).toEqual([])
})

test('closed: an append is refused, and the file is nobody’s', async () => {
  using home = scratch()
  const { log, thread, database } = openThreaded(home)
  await appendAll(log, 3)
  await thread[Symbol.asyncDispose]()
  await expect(log.append({ type: 'test' })).rejects.toMatchObject({ code: 'AUDIT_CLOSED' })
  await log[Symbol.asyncDispose]()
  database.close()
  // Whoever closes a file last takes its write-ahead log along.
  expect(grep(home.directory, '').map((path) => path.slice(home.directory.length))).toEqual(['/audit.db'])
})

test('a database in memory, and statements alongside, have no thread', () => {
  const thread = openSqliteThread()
  const memory = openSqlite(':memory:')
  memory.exec('pragma journal_mode=delete')
  expect(() => createSqliteStore({ database: memory, thread })).toThrow(Error)
  using home = scratch()
  using database = openSqlite(home.path)
  expect(() => createSqliteStore({ database, thread, alongside: () => undefined })).toThrow(TypeError)
})
