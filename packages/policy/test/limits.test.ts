import {
  createLimiter,
  DEFAULT_LIMITS,
  parsePolicyFile,
  parseRate,
  type Limit,
  type LimiterEvent,
  type LimiterOptions,
  type LimitStore,
} from '@mcp-gateway/policy'
import { createMemoryLimitStore } from '@mcp-gateway/policy/stores/memory'
import { limitStoreCases } from '@mcp-gateway/policy/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const limit = (changes: Partial<Limit>): Limit => ({
  id: 'one',
  per: ['caller'],
  server: ['*'],
  tool: ['*'],
  roles: ['*'],
  applies: 'always',
  ...changes,
})
const rate = (source: string, burst?: number): NonNullable<ReturnType<typeof parseRate>> => {
  const read = parseRate(source, burst)
  if (read === undefined) throw new TypeError(source)
  return read
}
const alice = { id: 'alice', roles: ['reader'] }
const call = { server: 'crm', tool: 'get' }

/** A limiter with a clock that only a test moves. */
function create(limits: readonly Limit[], options: LimiterOptions = {}) {
  let now = 1000
  const store = createMemoryLimitStore({ clock: () => now })
  return { limiter: createLimiter({ limits, store, ...options }), pass: (ms: number) => void (now += ms) }
}

async function count(
  limiter: ReturnType<typeof createLimiter>,
  calls: number,
  subject: Parameters<typeof limiter.admit>[0] = alice,
  tool = call,
): Promise<number> {
  let admitted = 0
  for (let index = 0; index < calls; index++) {
    using admission = await limiter.admit(subject, tool)
    if (admission.allowed) admitted++
  }
  return admitted
}

describe('the store in memory', () => {
  for (const { title, run } of limitStoreCases) test(title, () => run(() => createMemoryLimitStore()))

  test('keeps at most maxKeys buckets, and throws away full ones first', () => {
    let now = 0
    const store = createMemoryLimitStore({ maxKeys: 10, clock: () => now })
    const take = (key: string, intervalUs: number): boolean | undefined => {
      const answers = store.take([{ key, intervalUs, burst: 1 }])
      return answers instanceof Promise ? undefined : answers[0]?.allowed
    }
    expect(take('victim', 1e9)).toBe(true)
    for (let index = 0; index < 9; index++) take(`short-${index}`, 1000)
    now = 5
    for (let index = 0; index < 9; index++) take(`other-${index}`, 1e9)
    expect(store.size()).toBe(10)
    expect(take('victim', 1e9)).toBe(false)
    for (let index = 0; index < 100; index++) take(`flood-${index}`, 1e9)
    expect(store.size()).toBe(10)
  })

  test('what is asked for all the time stays, though its place is not written anew each time', () => {
    const store = createMemoryLimitStore({ maxKeys: 64, clock: () => 0 })
    const take = (key: string) => store.take([{ key, intervalUs: 1e9, burst: 10_000 }])
    for (let index = 0; index < 500; index++) {
      void take('busy')
      for (let other = 0; other < 10; other++) void take(`flood-${index}-${other}`)
      expect(store.size()).toBeLessThanOrEqual(64)
    }
    expect(take('busy')).toMatchObject([{ remaining: 10_000 - 501 }])
  })

  test('(model) never admits more than burst + elapsed / interval, and never less while the caller is slower than that', () => {
    const steps = fc.array(fc.nat(400), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 300 }),
        steps,
        (burst, intervalMs, waits) => {
          let now = 0
          const store = createMemoryLimitStore({ clock: () => now })
          // A bucket of tokens, counted in parts of intervalMs so that it is exact.
          let tokens = burst * intervalMs
          for (const wait of waits) {
            now += wait
            tokens = Math.min(tokens + wait, burst * intervalMs)
            const expected = tokens >= intervalMs
            const answers = store.take([{ key: 'k', intervalUs: intervalMs * 1000, burst }])
            if (answers instanceof Promise) return false
            const [answer] = answers
            if (answer?.allowed !== expected) return false
            if (expected) tokens -= intervalMs
            if (answer.remaining !== Math.floor(tokens / intervalMs)) return false
            if (!expected && answer.retryAfterUs !== (intervalMs - tokens) * 1000) return false
          }
          return true
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe('rates', () => {
  test.each([
    ['10/min', { count: 10, windowMs: 60_000, burst: 10 }],
    ['5/s', { count: 5, windowMs: 1000, burst: 5 }],
    ['100/15min', { count: 100, windowMs: 900_000, burst: 100 }],
    ['1000/day', { count: 1000, windowMs: 86_400_000, burst: 1000 }],
    ['3/h', { count: 3, windowMs: 3_600_000, burst: 3 }],
  ])('%s', (source, wanted) => expect(parseRate(source)).toEqual(wanted))

  test.each([
    '',
    '10',
    '10/',
    '/min',
    '10/week',
    '0/min',
    '-1/min',
    '1.5/s',
    '10/min ',
    '1/0s',
    '1e3/s',
    '10/constructor',
    '1000000/s',
  ])('%j is none', (source) => expect(parseRate(source)).toBeUndefined())
})

describe('the limiter', () => {
  test('holds callers with a rate of their own to it, and says nothing of others', async () => {
    const { limits = [] } = parsePolicyFile(`limits: [{ id: mine, rate: own }]`)
    const limiter = createLimiter({ limits })
    const slow = { id: 'slow', roles: [], perMinute: 2 }
    const target = { server: 's', tool: 't' }
    const answers = []
    for (let n = 0; n < 3; n++) answers.push((await limiter.admit(slow, target)).allowed)
    expect(answers).toEqual([true, true, false])
    expect((await limiter.admit({ ...slow, id: 'other' }, target)).headers).toMatchObject({ 'RateLimit-Policy': '"mine";q=2;w=60' }) // prettier-ignore
    expect(await limiter.admit({ id: 'free', roles: [] }, target)).toMatchObject({ allowed: true, rule: 'limits/none' })
    expect(() => parsePolicyFile(`limits: [{ id: mine, rate: own, burst: 5 }]`)).toThrow('belongs to a rate')
  })

  test('without configuration callers have 10 calls a minute, and paying ones as many as they like', async () => {
    const { limiter, pass } = create(DEFAULT_LIMITS)
    expect(await count(limiter, 15)).toBe(10)
    expect(await count(limiter, 50, { id: 'bob', roles: [], tier: 'paid' })).toBe(50)
    expect(await count(limiter, 15, { id: 'eve', roles: [], tier: 'PAID' })).toBe(10)
    expect(await count(limiter, 15, { id: 'mallory', roles: [], tier: '__proto__' })).toBe(10)
    pass(6000)
    expect(await count(limiter, 5)).toBe(1)
  })

  test('counts each caller, server and tool for itself when the limit says so', async () => {
    const { limiter } = create([limit({ per: ['caller', 'tool'], rate: rate('2/h') })])
    expect(await count(limiter, 3)).toBe(2)
    expect(await count(limiter, 3, alice, { server: 'crm', tool: 'list' })).toBe(2)
    expect(await count(limiter, 3, alice, { server: 'other', tool: 'get' })).toBe(2)
    expect(await count(limiter, 3, { id: 'bob', roles: [] })).toBe(2)
  })

  test('callers of two tenants do not share a count, nor can names be chosen so that they do', async () => {
    const { limiter } = create([limit({ per: ['caller', 'server'], rate: rate('1/h') })])
    expect(await count(limiter, 2, { id: 'a', roles: [], tenantId: 't1' })).toBe(1)
    expect(await count(limiter, 2, { id: 'a', roles: [], tenantId: 't2' })).toBe(1)
    expect(await count(limiter, 2, { id: '2:t2/a', roles: [] })).toBe(1)
    expect(await count(limiter, 2, { id: '/a', roles: [] })).toBe(1)
    expect(await count(limiter, 2, { id: 'a', roles: [] })).toBe(1)
    expect(await count(limiter, 2, { id: 'a,3:crm', roles: [] }, { server: '', tool: 'x' })).toBe(1)
    expect(await count(limiter, 2, { id: 'x'.repeat(2000), roles: [] })).toBe(1)
  })

  test('one count for everybody, by role, server and tool', async () => {
    const { limiter } = create([
      limit({ id: 'all', per: [], rate: rate('3/h') }),
      limit({ id: 'bots', roles: ['bot-*'], tool: ['search_*'], rate: rate('1/h') }),
    ])
    const search = { server: 'web', tool: 'search_web' }
    expect(await count(limiter, 5, { id: 'b', roles: ['bot-1'] }, search)).toBe(1)
    expect(await count(limiter, 5, alice, search)).toBe(2)
  })

  test('the refusal of one limit costs nothing of the others', async () => {
    const { limiter } = create([
      limit({ id: 'wide', rate: rate('10/h') }),
      limit({ id: 'narrow', tool: ['a'], rate: rate('1/h') }),
    ])
    expect(await count(limiter, 20, alice, { server: 's', tool: 'a' })).toBe(1)
    expect(await count(limiter, 20, alice, { server: 's', tool: 'b' })).toBe(9)
  })

  test('a refusal says which limit, when to come back, and in which headers', async () => {
    const { limiter } = create([limit({ id: 'slow', rate: rate('2/min') }), limit({ id: 'fast', rate: rate('100/s') })])
    expect(await limiter.admit(alice, call)).toMatchObject({ allowed: true, rule: 'limits/slow' })
    await limiter.admit(alice, call)
    const refused = await limiter.admit(alice, call)
    expect(refused).toMatchObject({ allowed: false, rule: 'limits/slow', retryAfterMs: 30_000, degraded: false })
    expect(refused.error).toMatchObject({ code: 'POLICY_RATE_LIMITED', rule: 'limits/slow', retryAfterMs: 30_000 })
    expect(refused.headers).toEqual({
      'RateLimit-Limit': '2',
      'RateLimit-Remaining': '0',
      'RateLimit-Reset': '60',
      'RateLimit-Policy': '"slow";q=2;w=60, "fast";q=100;w=1',
      RateLimit: '"slow";r=0;t=60, "fast";r=98;t=1',
      'X-RateLimit-Limit': '2',
      'X-RateLimit-Remaining': '0',
      'X-RateLimit-Reset': '60',
      'Retry-After': '30',
    })
  })

  test('a named limit counts only what an obligation sends to it', async () => {
    const { limiter } = create([limit({ id: 'expensive', applies: 'named', rate: rate('1/h') })])
    expect(await count(limiter, 5)).toBe(5)
    expect((await limiter.admit(alice, call, { named: ['expensive'] })).allowed).toBe(true)
    expect((await limiter.admit(alice, call, { named: ['expensive'] })).allowed).toBe(false)
  })

  test('as many calls at once as there are places; disposing gives a place back once', async () => {
    const { limiter } = create([limit({ concurrent: 2 })])
    const first = await limiter.admit(alice, call)
    const second = await limiter.admit(alice, call)
    expect(await limiter.admit(alice, call)).toMatchObject({
      allowed: false,
      error: { code: 'POLICY_CONCURRENCY_LIMITED' },
      headers: { 'Retry-After': '1' },
    })
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    const third = await limiter.admit(alice, call)
    expect(third.allowed).toBe(true)
    expect((await limiter.admit(alice, call)).allowed).toBe(false)
    second[Symbol.dispose]()
    third[Symbol.dispose]()
  })

  test('a call that the rate refuses holds no place', async () => {
    const { limiter, pass } = create([limit({ concurrent: 1, rate: rate('1/min') })])
    ;(await limiter.admit(alice, call))[Symbol.dispose]()
    expect(await limiter.admit(alice, call)).toMatchObject({ error: { code: 'POLICY_RATE_LIMITED' } })
    pass(60_000)
    expect((await limiter.admit(alice, call)).allowed).toBe(true)
  })

  test('waits for no store longer than the caller does', async () => {
    const store: LimitStore = { ...createMemoryLimitStore(), take: () => new Promise(() => {}) }
    const limiter = createLimiter({ limits: [limit({ rate: rate('1/s') })], store, timeoutMs: 60_000 })
    const abort = new AbortController()
    const admission = limiter.admit(alice, call, { signal: abort.signal })
    abort.abort(new Error('client left'))
    await expect(admission).rejects.toThrow('client left')
  })

  test('a place that is granted after nobody waits for it any more is given back', async () => {
    const { promise, resolve } = Promise.withResolvers<number>()
    const released: string[] = []
    const store: LimitStore = {
      ...createMemoryLimitStore(),
      acquire: () => promise,
      release: (keys) => void released.push(...keys),
    }
    const limiter = createLimiter({ limits: [limit({ concurrent: 1 })], store, timeoutMs: 5 })
    expect((await limiter.admit(alice, call)).error?.code).toBe('POLICY_LIMIT_STORE_UNAVAILABLE')
    resolve(-1)
    await promise
    await expect.poll(() => released.length).toBe(1)
  })

  test('a store that fails is left alone for retryMs', async () => {
    let asked = 0
    const events: LimiterEvent[] = []
    const store: LimitStore = {
      ...createMemoryLimitStore(),
      take: () => {
        asked++
        throw new Error('down')
      },
    }
    const limiter = createLimiter({
      limits: [limit({ rate: rate('1/s') })],
      store,
      onFailure: 'open',
      retryMs: 60_000,
      onEvent: (event) => events.push(event),
    })
    expect(await count(limiter, 5)).toBe(5)
    expect(asked).toBe(1)
    expect(events).toHaveLength(1)
  })
})
