/**
 * What every store has to do, as plain functions that throw: run each as a test of whatever runner you use.
 * `for (const { name, run } of storeConformance(make)) test(name, run)`
 */
import assert from 'node:assert/strict'
import { emptyHead } from './head.ts'
import { genesisHash } from './hash.ts'
import { openLog } from './log.ts'
import { AuditError } from './errors.ts'
import { unpackFields } from './field-pack.ts'
import { examineLog } from './examine.ts'
import { MAX_READ, type AuditStore, type Head, type Sealed } from './store.ts'

export type StoreUnderTest = AsyncDisposable & {
  readonly store: AuditStore
  /** Another store on the same data, as a second process would have. Leave it out where there is no such thing. */
  readonly reopen?: () => Promise<AuditStore>
}

export type ConformanceTest = { readonly name: string; readonly run: () => Promise<void> }

const ORIGIN = 'example.com/conformance'

/** `make` gives an empty store; each test disposes of its own. */
export function storeConformance(make: () => Promise<StoreUnderTest>): ConformanceTest[] {
  const test = (name: string, body: (subject: StoreUnderTest) => Promise<void>): ConformanceTest => ({
    name,
    async run() {
      await using subject = await make()
      await body(subject)
    },
  })
  return [...appending(test), ...reading(test), ...erasing(test), ...keeping(test)]
}

type Test = (name: string, body: (subject: StoreUnderTest) => Promise<void>) => ConformanceTest

function appending(test: Test): ConformanceTest[] {
  return [
    test('a new log begins with the genesis hash of its origin', async ({ store }) => {
      assert.equal(await store.head(ORIGIN), undefined)
      let seen: Head | undefined
      await store.append(ORIGIN, (head) => {
        seen = head
        return { entries: [], nodes: [], erasures: [], head }
      })
      assert.equal(seen?.size, 0)
      assert.deepEqual(Buffer.from(seen.lastHash), genesisHash(ORIGIN))
      assert.deepEqual(await store.origins(), [ORIGIN])
    }),
    test('what was appended is read back byte by byte', async ({ store, reopen }) => {
      await using log = openLog({ store, origin: ORIGIN })
      const text = 'ünïcode \u{1f600} "quoted" \\ back\u0000slash \u2028 {"a":[1,2]}'
      const facts = { text, list: [1, 'two', null, true], nested: { a: { b: text } } }
      const value = new Uint8Array(70_000).map((_, i) => i % 256)
      const subject = text.replace('\u0000', '')
      const { seq } = await log.append({ type: 'test', facts, subject, fields: { text, bytes: value, empty: '' } })
      for (const from of [store, await reopen?.()]) {
        if (from === undefined) continue
        const [row] = await from.entries(ORIGIN, seq, seq + 1)
        assert.deepEqual((await log.entry(seq)).entry.facts, facts)
        assert.deepEqual(Buffer.from(row?.leaf ?? []), Buffer.from((await log.entry(seq)).leaf))
        const [fields] = await from.fields(ORIGIN, seq, seq + 1)
        const byName = new Map(
          unpackFields(fields?.fields ?? new Uint8Array()).map((field) => [field.name, field.value]),
        )
        assert.deepEqual(Buffer.from(byName.get('bytes') ?? []), Buffer.from(value))
        assert.equal(Buffer.from(byName.get('text') ?? []).toString(), text)
        assert.equal(byName.get('empty')?.length, 0)
        assert.equal(fields?.subject, subject)
        assert.deepEqual((await examineLog({ store: from, origin: ORIGIN })).findings, [])
      }
    }),
    test('a batch is written as a whole or not at all', async ({ store }) => {
      await using log = openLog({ store, origin: ORIGIN })
      const first = await log.append({ type: 'test', id: 'taken' })
      const before = await store.head(ORIGIN)
      await assert.rejects(
        store.append(ORIGIN, (head) => twoEntries(head, 'fresh', 'taken')),
        (error) => error instanceof AuditError && error.code === 'AUDIT_ID_TAKEN',
      )
      assert.deepEqual(await store.head(ORIGIN), before)
      assert.equal(await store.find(ORIGIN, 'fresh'), undefined)
      assert.equal(await store.find(ORIGIN, 'taken'), first.seq)
    }),
    test('an id is taken in its own log only', async ({ store }) => {
      await using one = openLog({ store, origin: `${ORIGIN}/1` })
      await using two = openLog({ store, origin: `${ORIGIN}/2` })
      await one.append({ type: 'test', id: 'same' })
      await two.append({ type: 'test', id: 'same' })
      assert.equal(await two.find('same'), 0)
    }),
    test('an error while sealing undoes the batch', async ({ store }) => {
      await using log = openLog({ store, origin: ORIGIN })
      await log.append({ type: 'test' })
      const failure = new Error('sealing failed')
      await assert.rejects(
        store.append(ORIGIN, () => {
          throw failure
        }),
        failure,
      )
      await log.append({ type: 'test' })
      assert.equal((await log.head()).size, 2)
    }),
    test('appends at once, from two stores, make one chain', async ({ store, reopen }) => {
      const stores = [store, (await reopen?.()) ?? store]
      const logs = stores.map((one) => openLog({ store: one, origin: ORIGIN, limits: { maxBatchEntries: 7 } }))
      const append = async (i: number): Promise<number | undefined> =>
        (await logs[i % 2]?.append({ type: 'test', facts: { i } }))?.seq
      const seqs = await Promise.all(Array.from({ length: 300 }, (_, i) => append(i)))
      assert.deepEqual(
        seqs.toSorted((a, b) => (a ?? 0) - (b ?? 0)),
        [...Array(300).keys()],
      )
      const { findings, size } = await examineLog({ store, origin: ORIGIN })
      assert.deepEqual({ findings, size }, { findings: [], size: 300 })
      await Promise.all(logs.map((log) => log[Symbol.asyncDispose]()))
    }),
  ]
}

function reading(test: Test): ConformanceTest[] {
  return [
    test('reads are ordered and at most MAX_READ long', async ({ store }) => {
      await using log = openLog({ store, origin: ORIGIN })
      const count = MAX_READ + 300
      await Promise.all(Array.from({ length: count }, () => log.append({ type: 'test', subject: 'somebody' })))
      const rows = await store.entries(ORIGIN, 1, count)
      assert.deepEqual(
        rows.map(({ seq }) => seq),
        Array.from({ length: MAX_READ }, (_, i) => i + 1),
      )
      assert.equal((await store.fields(ORIGIN, 0, count)).length, MAX_READ)
      assert.deepEqual((await store.bySubject(ORIGIN, 'somebody', MAX_READ)).length, 300)
      assert.deepEqual(
        (await store.nodes(ORIGIN, 1, 1, 100)).map(({ index }) => index),
        [1, 2, 3, 4],
      )
      assert.deepEqual(await store.entries(ORIGIN, count, count + 1), [])
      assert.deepEqual(await store.entries('example.com/other', 0, 10), [])
      assert.deepEqual((await examineLog({ store, origin: ORIGIN })).findings, [])
    }),
    test('logs are listed in order, page by page', async ({ store }) => {
      for (const name of ['b', 'a', 'c'])
        await store.append(name, (head) => ({ entries: [], nodes: [], erasures: [], head }))
      assert.deepEqual(await store.origins(), ['a', 'b', 'c'])
      assert.deepEqual(await store.origins('a'), ['b', 'c'])
    }),
  ]
}

function erasing(test: Test): ConformanceTest[] {
  return [
    test('erasing a subject takes its fields and no others', async ({ store }) => {
      await using log = openLog({ store, origin: ORIGIN })
      for (const subject of ['ada', 'bob', 'ada'])
        await log.append({ type: 'test', subject, fields: { args: subject } })
      const { entries } = await log.erase({ what: { subject: 'ada' }, reason: 'asked', by: 'test' })
      assert.equal(entries, 2)
      assert.deepEqual(await store.bySubject(ORIGIN, 'ada', 0), [])
      assert.deepEqual(
        (await store.fields(ORIGIN, 0, 10)).map(({ seq }) => seq),
        [1],
      )
      assert.deepEqual((await examineLog({ store, origin: ORIGIN })).findings, [])
    }),
    test('erasing one field keeps the others, and what proves them', async ({ store }) => {
      await using log = openLog({ store, origin: ORIGIN })
      for (let i = 0; i < 5; i += 1)
        await log.append({ type: 'test', subject: 'ada', fields: { args: `a${i}`, ip: `p${i}` } })
      await log.erase({ what: { from: 1, to: 4 }, fields: ['ip', 'subject'], reason: 'asked', by: 'test' })
      assert.deepEqual(
        (await log.disclose(1)).map(({ name }) => name),
        ['args'],
      )
      assert.deepEqual(
        (await log.disclose(4)).map(({ name }) => name),
        ['args', 'ip', 'subject'],
      )
      assert.deepEqual(await store.bySubject(ORIGIN, 'ada', 0), [0, 4])
      await log.erase({ what: { from: 1, to: 2 }, fields: ['args'], reason: 'asked', by: 'test' })
      assert.deepEqual(await log.disclose(1), [])
      assert.deepEqual((await examineLog({ store, origin: ORIGIN })).findings, [])
    }),
  ]
}

function keeping(test: Test): ConformanceTest[] {
  return [
    test('checkpoints are kept in the order of their sizes, the first of a size wins', async ({ store, reopen }) => {
      for (const [size, note] of [
        [5, 'five'],
        [2, 'two'],
        [5, 'other'],
      ] as const)
        await store.addCheckpoint(ORIGIN, { size, note })
      for (const from of [store, await reopen?.()]) {
        if (from === undefined) continue
        assert.deepEqual({ ...(await from.lastCheckpoint(ORIGIN)) }, { size: 5, note: 'five' })
        assert.deepEqual(
          (await from.checkpoints(ORIGIN, 0)).map(({ note }) => note),
          ['two', 'five'],
        )
        assert.deepEqual(
          (await from.checkpoints(ORIGIN, 3)).map(({ size }) => size),
          [5],
        )
      }
    }),
    test('whatever is written in the same turn does not get into the way of another', async ({ store }) => {
      await using log = openLog({ store, origin: ORIGIN })
      await using other = openLog({ store, origin: `${ORIGIN}/2` })
      const work = Array.from({ length: 20 }, (_, i) => [
        log.append({ type: 'test' }).then(() => undefined),
        store.setCursor(ORIGIN, 'export', i),
        store.addCheckpoint(ORIGIN, { size: i, note: `${i}` }),
        other.append({ type: 'test' }).then(() => undefined),
      ])
      await Promise.all(work.flat())
      assert.equal((await log.head()).size + (await other.head()).size, 40)
      assert.equal((await store.checkpoints(ORIGIN, 0)).length, 20)
      assert.deepEqual((await examineLog({ store, origin: ORIGIN })).findings, [])
    }),
    test('a cursor is where it was put', async ({ store, reopen }) => {
      assert.equal(await store.cursor(ORIGIN, 'export'), 0)
      await store.setCursor(ORIGIN, 'export', 7)
      await store.setCursor(ORIGIN, 'export', 9)
      assert.equal(await ((await reopen?.()) ?? store).cursor(ORIGIN, 'export'), 9)
      assert.equal(await store.cursor(ORIGIN, 'other'), 0)
      await store.setCursor(ORIGIN, 'billing', 3)
      const known = [
        { follower: 'billing', seq: 3 },
        { follower: 'export', seq: 9 },
      ]
      assert.deepEqual(
        (await store.cursors(ORIGIN)).map((row) => ({ ...row })),
        known,
      )
      assert.deepEqual(await store.cursors('example.com/unknown'), [])
    }),
    test('one at a time leads', async ({ store }) => {
      const lease = await store.lead(ORIGIN)
      assert.notEqual(lease, undefined)
      assert.equal(await store.lead(ORIGIN), undefined)
      await (await store.lead(`${ORIGIN}/2`))?.[Symbol.asyncDispose]()
      await lease?.[Symbol.asyncDispose]()
      const next = await store.lead(ORIGIN)
      assert.notEqual(next, undefined)
      await next?.[Symbol.asyncDispose]()
    }),
  ]
}

function twoEntries(head: Head, ...ids: readonly string[]): Sealed {
  const entries = ids.map((id, i) => ({
    seq: head.size + i,
    id,
    leaf: Buffer.from('{}'),
    leafHash: emptyHead(ORIGIN).lastHash,
    at: head.lastAt,
    subject: undefined,
    fields: undefined,
    attachment: undefined,
  }))
  return { entries, nodes: [], erasures: [], head: { ...head, size: head.size + ids.length } }
}
