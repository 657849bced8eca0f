import {
  AuditError,
  examineLog,
  openLog,
  type AuditLog,
  type AuditStore,
  type EntryInput,
  type LoggedEntry,
} from '@mcp-gateway/audit-chain'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
import { genesisHash, leafHash, readEntry, verifyChain, verifyInclusion } from '@mcp-gateway/audit-chain/verify'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const ORIGIN = 'example.com/log'
const codeOf = async (promise: Promise<unknown>): Promise<unknown> =>
  await promise.then(
    () => 'ok',
    (error: unknown) => (error instanceof AuditError ? error.code : error),
  )

const all = async (log: AuditLog, range?: { from: number; to: number }): Promise<LoggedEntry[]> => {
  const entries: LoggedEntry[] = []
  for await (const entry of log.entries(range)) entries.push(entry)
  return entries
}

/** A store whose commits wait until they are let go, and are counted. */
const gated = (maxInFlight?: number) => {
  const inner = createMemoryStore()
  const gates: (() => void)[] = []
  const sizes: number[] = []
  const store: AuditStore = {
    ...inner,
    ...(maxInFlight !== undefined && { maxInFlight }),
    async append(origin, seal) {
      await new Promise<void>((resolve) => gates.push(resolve))
      await inner.append(origin, (head) => {
        const sealed = seal(head)
        sizes.push(sealed.entries.length)
        return sealed
      })
    },
  }
  const open = async (): Promise<void> => {
    await expect.poll(() => gates.length).toBeGreaterThan(0)
    gates.shift()?.()
  }
  return { store, open, sizes, waiting: () => gates.length }
}

describe('entries', () => {
  test('the leaf hash of each is the `prev` of the next, and the first follows the origin', async () => {
    await using log = openLog({ store: createMemoryStore(), origin: ORIGIN, clock: () => 1_763_640_000_012 })
    const receipt = await log.append({ type: 'tool.call', id: 'a', facts: { tool: 'search', latencyMs: 12 } })
    await log.append({ type: 'tool.call', id: 'b' })
    const [first, second] = await all(log)
    expect(Buffer.from(first?.leaf ?? []).toString()).toBe(
      `{"clk":"ok","facts":{"latencyMs":12,"tool":"search"},"id":"a","log":"${ORIGIN}","prev":"${genesisHash(ORIGIN).toString('hex')}",` +
        `"seq":0,"ts":"2025-11-20T12:00:00.012Z","type":"tool.call","v":1}`,
    )
    expect(second?.entry.prev).toBe(Buffer.from(receipt.leafHash).toString('hex'))
    expect(leafHash(first?.leaf ?? new Uint8Array()).equals(receipt.leafHash)).toBe(true)
  })

  test('read(append(facts)) ≡ facts, canonical, and the chain verifies', { timeout: 60_000 }, async () => {
    const integers = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }).map((n) => n + 0)
    const text = fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.toWellFormed())
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constant(null),
        fc.boolean(),
        integers,
        text,
        fc.array(tie('value'), { maxLength: 4 }),
        tie('object'),
      ),
      object: fc.dictionary(text, tie('value'), { maxKeys: 5 }),
    }))
    await using log = openLog({ store: createMemoryStore(), origin: ORIGIN })
    const leaves: Uint8Array[] = []
    await fc.assert(
      fc.asyncProperty(fc.dictionary(text, value, { maxKeys: 6 }), async (facts) => {
        const { seq } = await log.append({ type: 'test', facts: facts as never })
        const { leaf, entry } = await log.entry(seq)
        leaves.push(leaf)
        expect(JSON.stringify(entry.facts)).toBe(JSON.stringify(readEntry(leaf).facts))
        expect(entry.facts).toEqual(JSON.parse(JSON.stringify(facts)))
      }),
      { numRuns: 2000 },
    )
    expect(verifyChain(leaves.slice(0, (await log.head()).size), { origin: ORIGIN }).findings).toEqual([])
  })

  test.each<[string, EntryInput, string]>([
    ['a type with spaces', { type: 'tool call' }, 'AUDIT_ENTRY_INVALID'],
    ['an id that is no id', { type: 'test', id: 'a b' }, 'AUDIT_ENTRY_INVALID'],
    ['a fraction', { type: 'test', facts: { price: 0.1 } }, 'AUDIT_ENTRY_INVALID'],
    ['a number that no double holds exactly', { type: 'test', facts: { big: 2 ** 53 } }, 'AUDIT_ENTRY_INVALID'],
    ['undefined', { type: 'test', facts: { a: undefined as never } }, 'AUDIT_ENTRY_INVALID'],
    ['a lone surrogate', { type: 'test', facts: { a: '\ud800' } }, 'AUDIT_ENTRY_INVALID'],
    ['a lone surrogate in a field', { type: 'test', fields: { a: '\ud800' } }, 'AUDIT_ENTRY_INVALID'],
    ['a field called subject', { type: 'test', fields: { subject: 'x' } }, 'AUDIT_ENTRY_INVALID'],
    ['a field name that is none', { type: 'test', fields: { 'a b': 'x' } }, 'AUDIT_ENTRY_INVALID'],
    ['an empty subject', { type: 'test', subject: '' }, 'AUDIT_ENTRY_INVALID'],
    ['facts that are too long', { type: 'test', facts: { a: 'x'.repeat(66_000) } }, 'AUDIT_ENTRY_TOO_LARGE'],
    ['fields that are too long', { type: 'test', fields: { a: 'x'.repeat(1_048_577) } }, 'AUDIT_ENTRY_TOO_LARGE'],
  ])('%s is refused, and hurts nobody else', async (_, input, code) => {
    await using log = openLog({ store: createMemoryStore(), origin: ORIGIN })
    const outcomes = await Promise.all(
      [{ type: 'test' }, input, { type: 'test' }].map((one) => codeOf(log.append(one))),
    )
    expect(outcomes).toEqual(['ok', code, 'ok'])
  })

  test('the longest entry that fits is read back, by name of the limit', async () => {
    await using log = openLog({ store: createMemoryStore(), origin: ORIGIN })
    const { seq } = await log.append({ type: 'test', facts: { a: 'x'.repeat(65_100) } })
    expect((await log.entry(seq)).leaf.length).toBeLessThanOrEqual(65_535)
    expect((await log.entry(seq)).leaf.length).toBeGreaterThan(65_300)
  })

  test('an origin or a limit that cannot be is a programmer’s mistake', () => {
    const store = createMemoryStore()
    for (const origin of ['', 'a b', 'a+b', 'a\nb', 'x'.repeat(256)])
      expect(() => openLog({ store, origin })).toThrow(TypeError)
    for (const limits of [{ maxBatchEntries: 0 }, { maxDelayMs: -1 }, { maxOutstanding: 1.5 }]) {
      expect(() => openLog({ store, origin: ORIGIN, limits })).toThrow(RangeError)
    }
  })
})

describe('clock', () => {
  test('time never goes back: the previous time is held, and the entry says so', async () => {
    const times = [1000, 5000, 2000, 3000, 5000, 6000]
    const store = createMemoryStore()
    await using log = openLog({ store, origin: ORIGIN, clock: () => times[0] ?? 0 })
    for (; times.length > 0; times.shift()) await log.append({ type: 'test', id: `t${times.length}` })
    const seen = (await all(log)).map(({ entry }) => [Date.parse(entry.ts), entry.clk])
    expect(seen).toEqual([
      [1000, 'ok'],
      [5000, 'ok'],
      [5000, 'held'],
      [5000, 'held'],
      [5000, 'ok'],
      [6000, 'ok'],
    ])
    expect((await examineLog({ store, origin: ORIGIN })).findings).toEqual([])
    expect(await Promise.all([0, 1000, 1001, 5000, 5001, 6000, 6001].map((at) => log.findTime(at)))).toEqual([
      0, 0, 1, 1, 5, 5, 6,
    ])
  })

  test('a time that goes back, or a held one that does not stand still, is a finding', async () => {
    const entry = (seq: number, prev: Uint8Array, ts: string, clk: string) =>
      Buffer.from(
        `{"clk":"${clk}","id":"${seq}","log":"${ORIGIN}","prev":"${Buffer.from(prev).toString('hex')}","seq":${seq},"ts":"${ts}","type":"t","v":1}`,
      )
    const first = entry(0, genesisHash(ORIGIN), '2026-01-01T00:00:00.005Z', 'ok')
    const codes = (second: Uint8Array) =>
      verifyChain([first, second], { origin: ORIGIN }).findings.map(({ code }) => code)
    expect(codes(entry(1, leafHash(first), '2026-01-01T00:00:00.004Z', 'ok'))).toEqual(['CLOCK_VIOLATED'])
    expect(codes(entry(1, leafHash(first), '2026-01-01T00:00:00.006Z', 'held'))).toEqual(['CLOCK_VIOLATED'])
    expect(codes(entry(1, leafHash(first), '2026-01-01T00:00:00.005Z', 'held'))).toEqual([])
  })
})

describe('group commit', () => {
  test('what comes while a batch is written goes into the next, at most maxBatchEntries', async () => {
    const { store, open, sizes } = gated()
    const log = openLog({ store, origin: ORIGIN, limits: { maxBatchEntries: 10, maxDelayMs: 1 } })
    const first = log.append({ type: 'test' })
    await expect.poll(() => log.outstanding()).toBe(1)
    await open()
    await first
    const rest = Array.from({ length: 25 }, () => log.append({ type: 'test' }))
    for (let i = 0; i < 3; i += 1) await open()
    await Promise.all(rest)
    expect(sizes).toEqual([1, 10, 10, 5])
    await log[Symbol.asyncDispose]()
  })

  test('where the store can: two batches share what there is, a third waits, and so does one that is smaller than the last', async () => {
    const { store, open, sizes, waiting } = gated(2)
    const log = openLog({ store, origin: ORIGIN, limits: { maxBatchEntries: 20, maxDelayMs: 1 } })
    const append = (count: number) => Array.from({ length: count }, () => log.append({ type: 'test' }))
    const all = append(10)
    await expect.poll(waiting).toBe(2)
    all.push(...append(13))
    await new Promise((resolve) => setTimeout(resolve, 20))
    // In flight 5 and 5; 13 wait.
    expect(waiting()).toBe(2)
    await open()
    await expect.poll(waiting).toBe(2)
    await open()
    await new Promise((resolve) => setTimeout(resolve, 20))
    // In flight 9; 4 wait for more.
    expect(waiting()).toBe(1)
    for (let i = 0; i < 3; i += 1) await open()
    const seqs = (await Promise.all(all)).map(({ seq }) => seq)
    expect(seqs).toEqual(Array.from({ length: 23 }, (_, i) => i))
    expect(sizes).toEqual([5, 5, 9, 2, 2])
    await log[Symbol.asyncDispose]()
  })

  test('a batch ends before it gets too large', async () => {
    const { store, open, sizes } = gated()
    const log = openLog({ store, origin: ORIGIN, limits: { maxBatchBytes: 25_000 } })
    const all = Array.from({ length: 5 }, () => log.append({ type: 'test', fields: { args: 'x'.repeat(10_000) } }))
    for (let i = 0; i < 3; i += 1) await open()
    await Promise.all(all)
    expect(sizes).toEqual([2, 2, 1])
    await log[Symbol.asyncDispose]()
  })

  test('a full backlog refuses, by entries and by bytes, and takes again when there is room', async () => {
    const { store, open } = gated()
    const log = openLog({ store, origin: ORIGIN, limits: { maxOutstanding: 3, maxOutstandingBytes: 2_000_000 } })
    const taken = Array.from({ length: 3 }, () => log.append({ type: 'test' }))
    expect(await codeOf(log.append({ type: 'test' }))).toBe('AUDIT_BACKLOG_FULL')
    await open()
    await Promise.all(taken)
    const large = { type: 'test', fields: { a: 'x'.repeat(1_000_000) } }
    const one = log.append(large)
    expect(await codeOf(log.append({ ...large, fields: { a: 'x'.repeat(1_048_000) } }))).toBe('AUDIT_BACKLOG_FULL')
    await open()
    expect(await codeOf(one)).toBe('ok')
    expect(log.outstanding()).toBe(0)
    await log[Symbol.asyncDispose]()
  })

  test('aborting takes an entry back while it waits, and never after', async () => {
    const { store, open, waiting } = gated()
    const log = openLog({ store, origin: ORIGIN, limits: { maxBatchEntries: 1 } })
    const [one, two] = [new AbortController(), new AbortController()]
    const first = log.append({ type: 'test', id: 'first' }, { signal: one.signal })
    const second = log.append({ type: 'test', id: 'second' }, { signal: two.signal })
    await expect.poll(waiting).toBe(1)
    one.abort(new Error('left'))
    two.abort(new Error('left'))
    await expect(second).rejects.toThrow('left')
    await open()
    expect((await first).id).toBe('first')
    expect(await log.find('second')).toBeUndefined()
    await expect(log.append({ type: 'test' }, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(
      'before',
    )
    expect(log.outstanding()).toBe(0)
    await log[Symbol.asyncDispose]()
  })

  test('one taken id costs only its own caller the entry', async () => {
    await using log = openLog({ store: createMemoryStore(), origin: ORIGIN })
    await log.append({ type: 'test', id: 'taken' })
    const outcomes = await Promise.all(
      ['a', 'taken', 'b', 'b', 'c'].map((id) => codeOf(log.append({ type: 'test', id }))),
    )
    expect(outcomes).toEqual(['ok', 'AUDIT_ID_TAKEN', 'ok', 'AUDIT_ID_TAKEN', 'ok'])
    expect((await log.head()).size).toBe(4)
  })

  test('closing writes what waits, refuses what comes, and may be asked for twice', async () => {
    const { store, open } = gated()
    const log = openLog({ store, origin: ORIGIN, limits: { maxDelayMs: 1000 } })
    const pending = Promise.all(Array.from({ length: 5 }, () => log.append({ type: 'test' })))
    const closed = Promise.all([log[Symbol.asyncDispose](), log[Symbol.asyncDispose]()])
    expect(await codeOf(log.append({ type: 'test' }))).toBe('AUDIT_CLOSED')
    await open()
    expect(await pending).toHaveLength(5)
    await closed
    await log[Symbol.asyncDispose]()
  })
})

describe('reading', () => {
  test('proofs come out of the store as the verifier wants them, across tiles', async () => {
    const store = createMemoryStore()
    await using log = openLog({ store, origin: ORIGIN })
    await Promise.all(Array.from({ length: 700 }, () => log.append({ type: 'test' })))
    for (const [seq, size] of [
      [0, 1],
      [0, 700],
      [255, 256],
      [256, 257],
      [511, 600],
      [699, 700],
    ] as const) {
      const { leaf } = await log.entry(seq)
      const claim = {
        index: seq,
        size,
        leafHash: leafHash(leaf),
        rootHash: await log.rootHash(size),
        proof: await log.proveInclusion(seq, size),
      }
      expect(verifyInclusion(claim)).toEqual([])
    }
    expect(await codeOf(log.rootHash(701))).toBe('AUDIT_NOT_FOUND')
    expect(await codeOf(log.proveInclusion(700, 700))).toBe('AUDIT_NOT_FOUND')
    expect(await codeOf(log.proveConsistency(5, 701))).toBe('AUDIT_NOT_FOUND')
    expect(await codeOf(log.entry(700))).toBe('AUDIT_NOT_FOUND')
    expect((await all(log, { from: 690, to: 695 })).map(({ seq }) => seq)).toEqual([690, 691, 692, 693, 694])
  })

  test('progress is told, and an examination can be aborted', async () => {
    const store = createMemoryStore()
    await using log = openLog({ store, origin: ORIGIN })
    await Promise.all(Array.from({ length: 1500 }, () => log.append({ type: 'test' })))
    const progress: number[][] = []
    await examineLog({ store, origin: ORIGIN, onProgress: (...numbers) => progress.push(numbers) })
    expect(progress).toEqual([
      [1024, 1500],
      [1500, 1500],
    ])
    await expect(examineLog({ store, origin: ORIGIN, signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow(
      'stop',
    )
    expect(await codeOf(examineLog({ store, origin: 'example.com/none' }))).toBe('AUDIT_NOT_FOUND')
  })
})
