// Quotas of a day: exact, in order or not, and kept by a file through restarts and crashes.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createLimiter, type LimitStore } from '@mcp-gateway/policy'
import { createMemoryLimitStore } from '@mcp-gateway/policy/stores/memory'
import { createSqliteLimitStore, type SqliteLimitStore } from '@mcp-gateway/policy/stores/sqlite'
import { limitStoreCases } from '@mcp-gateway/policy/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** 2026-11-21T18:00:00Z: six hours of the day are left. */
const EVENING = Date.UTC(2026, 10, 21, 18)
const call = { server: 'crm', tool: 'get' }
const of = (tenantId: string) => ({ id: 'alice', roles: [], tenantId })

/** As if the process were killed: nothing is given back, and the next store begins with what is in the file. */
function fileOf(wallClock?: () => number) {
  const database = new DatabaseSync(':memory:')
  const options = { open: () => database, ...(wallClock && { wallClock }) }
  let store: SqliteLimitStore = createSqliteLimitStore(options)
  return {
    database,
    count: (limit: number, key = 'acme') => {
      const answer = store.count({ key, limit })
      if (answer instanceof Promise) throw new TypeError('the file answers at once')
      return answer
    },
    crash: () => void (store = createSqliteLimitStore(options)),
    restart() {
      store[Symbol.dispose]()
      store = createSqliteLimitStore(options)
    },
  }
}

describe('the store in SQLite', () => {
  for (const { title, run } of limitStoreCases)
    test(title, () => run(() => createSqliteLimitStore({ open: () => new DatabaseSync(':memory:') })))

  const steps = fc.array(
    fc.oneof(
      { weight: 20, arbitrary: fc.record({ calls: fc.integer({ min: 1, max: 400 }) }) },
      { weight: 2, arbitrary: fc.constant('crash' as const) },
      { weight: 2, arbitrary: fc.constant('restart' as const) },
      // A clock may be set back, too.
      { weight: 2, arbitrary: fc.record({ passMs: fc.integer({ min: -12 * HOUR_MS, max: 30 * HOUR_MS }) }) },
      { weight: 1, arbitrary: fc.record({ limit: fc.integer({ min: 1, max: 3000 }) }) },
    ),
    { maxLength: 60 },
  )

  test('(model) never more than the quota is admitted, whatever the order of calls, restarts and crashes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), steps, (first, taken) => {
        let now = EVENING
        let limit = first
        const file = fileOf(() => now)
        /** What was admitted, the highest limit and the crashes, by UTC day. */
        const days = new Map<number, { admitted: number; limit: number; lost: number }>()
        const today = () => {
          const day = Math.floor(now / DAY_MS)
          const known = days.get(day) ?? { admitted: 0, limit, lost: 0 }
          days.set(day, known)
          known.limit = Math.max(known.limit, limit)
          return known
        }
        for (const step of taken) {
          if (step === 'restart') file.restart()
          else if (step === 'crash') {
            file.crash()
            // Of whichever day and limit the block was: 1 % of the highest there is here.
            for (const day of days.values()) day.lost += 29
          } else if ('passMs' in step) now = Math.max(now + step.passMs, EVENING - DAY_MS)
          else if ('limit' in step) limit = step.limit
          else {
            const day = today()
            for (let index = 0; index < step.calls; index++) {
              const { allowed, retryAfterMs } = file.count(limit)
              if (allowed) day.admitted += 1
              expect(retryAfterMs).toBe(allowed ? 0 : DAY_MS - (now % DAY_MS))
              // Never too few either, but for what a crash had claimed.
              if (!allowed) expect(day.admitted + day.lost).toBeGreaterThanOrEqual(limit)
            }
            expect(day.admitted).toBeLessThanOrEqual(day.limit)
          }
        }
      }),
      { numRuns: 400 },
    )
  })

  test('a file that another process has open, too, is counted by both of them together', () => {
    const folder = mkdtempSync(join(tmpdir(), 'mcp-gateway-quota-'))
    const file = join(folder, 'gateway.db')
    const databases = [new DatabaseSync(file), new DatabaseSync(file)]
    const stores = databases.map((database) => createSqliteLimitStore({ open: () => database }))
    const admitted = async (): Promise<number> => {
      let count = 0
      for (let index = 0; index < 700; index++) {
        for (const store of stores) if ((await store.count({ key: 'acme', limit: 500 })).allowed) count += 1
      }
      return count
    }
    return admitted()
      .then((count) => expect(count).toBe(500))
      .finally(() => {
        for (const database of databases) database.close()
        rmSync(folder, { recursive: true })
      })
  })

  test('kill -9 of a process that counts gives it nothing back, and costs 1 % of the day at most', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mcp-gateway-quota-'))
    const worker = join(import.meta.dirname, 'support/quota-worker.ts')
    const args = ['--conditions=@mcp-gateway/source', worker, join(folder, 'gateway.db'), '2000']
    const kills = 8
    let admitted = 0
    for (let round = 0; round <= kills; round++) {
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      let seen = 0
      for await (const chunk of child.stdout) {
        seen += (chunk as Buffer).length
        if (round < kills && seen > 100) child.kill('SIGKILL')
      }
      admitted += seen
    }
    rmSync(folder, { recursive: true })
    expect(admitted).toBeLessThanOrEqual(2000)
    // A call that was admitted and not told of any more, and the rest of its block.
    expect(admitted).toBeGreaterThanOrEqual(2000 - kills * 20)
  })

  test('keeps no more rows than there are tenants today and in the two days before', () => {
    let now = EVENING
    const file = fileOf(() => now)
    for (let day = 0; day < 10; day++, now += DAY_MS) file.count(5)
    expect(file.database.prepare('select count(*) as n from calls_per_day').get()?.['n']).toBe(3)
  })

  test('ten thousand tenants and one more: nobody gets a day twice', () => {
    const file = fileOf()
    expect(file.count(1, 'first').allowed).toBe(true)
    for (let index = 0; index < 10_001; index++) file.count(200, `t${index}`)
    expect(file.count(1, 'first').allowed).toBe(false)
  })
})

describe('the quota of a limiter', () => {
  const quota = ({ tenantId }: { tenantId?: string | undefined }) => (tenantId === 'free' ? undefined : 3)
  const limited = (more: object = {}) =>
    createLimiter({ limits: [], store: createMemoryLimitStore({ wallClock: () => EVENING }), quota, ...more })

  test('is all callers’ of a tenant, ends at midnight UTC, and says so', async () => {
    let now = EVENING
    const limiter = limited({ store: createMemoryLimitStore({ wallClock: () => now }) })
    const ask = async (id: string, tenantId = 'acme') => await limiter.admit({ id, roles: [], tenantId }, call)
    for (const id of ['alice', 'bob', 'carol']) expect((await ask(id)).allowed).toBe(true)
    const refused = await ask('alice')
    expect(refused).toMatchObject({ allowed: false, rule: 'quotas/calls-per-day', retryAfterMs: 6 * HOUR_MS })
    expect(refused.error).toMatchObject({ code: 'POLICY_QUOTA_REACHED', retryAfterMs: 6 * HOUR_MS })
    expect(refused.headers).toMatchObject({
      'Retry-After': '21600',
      'RateLimit-Limit': '3',
      'RateLimit-Remaining': '0',
    })
    expect((await ask('alice', 'globex')).allowed).toBe(true)
    for (let index = 0; index < 10; index++) expect((await ask('alice', 'free')).allowed).toBe(true)
    now = EVENING + 6 * HOUR_MS - 1
    expect((await ask('alice')).retryAfterMs).toBe(1)
    now += 1
    expect((await ask('alice')).allowed).toBe(true)
  })

  test('a call that a rate or a full place refuses costs nothing of the day, and one that the day refuses holds no place', async () => {
    const limits = [
      { id: 'places', per: ['tenant'], server: ['*'], tool: ['*'], roles: ['*'], concurrent: 1, applies: 'always' },
      { id: 'slow', per: ['caller'], server: ['*'], tool: ['slow'], roles: ['*'], rate: { count: 1, windowMs: HOUR_MS, burst: 1 }, applies: 'always' }, // prettier-ignore
    ] as const
    const limiter = limited({ limits })
    const first = await limiter.admit(of('acme'), { server: 's', tool: 'slow' })
    expect((await limiter.admit(of('acme'), call)).error?.code).toBe('POLICY_CONCURRENCY_LIMITED')
    first[Symbol.dispose]()
    expect((await limiter.admit(of('acme'), { server: 's', tool: 'slow' })).error?.code).toBe('POLICY_RATE_LIMITED')
    for (let index = 0; index < 2; index++) (await limiter.admit(of('acme'), call))[Symbol.dispose]()
    for (let index = 0; index < 3; index++) {
      expect((await limiter.admit(of('acme'), call)).error?.code).toBe('POLICY_QUOTA_REACHED')
    }
  })

  test('ten calls at once take no more than there are', async () => {
    const limiter = limited()
    const ten = await Promise.all(Array.from({ length: 10 }, async () => limiter.admit(of('acme'), call)))
    expect(ten.filter(({ allowed }) => allowed)).toHaveLength(3)
  })

  const broken: LimitStore = {
    ...createMemoryLimitStore(),
    count: () => {
      throw new Error('disk full')
    },
  }
  test.for([
    ['closed', { allowed: false, degraded: true, rule: 'limits/store-failed' }],
    ['open', { allowed: true, degraded: true, rule: 'limits/store-failed' }],
    ['local', { allowed: true, degraded: true, rule: 'limits/none' }],
  ] as const)('a store that cannot count: %s', async ([onFailure, wanted]) => {
    expect(await limited({ store: broken, onFailure }).admit(of('acme'), call)).toMatchObject(wanted)
  })

  test('who leaves while the store is asked gets no answer and holds no place', async () => {
    const store = { ...createMemoryLimitStore(), count: () => new Promise<never>(() => {}) }
    const limits = [
      { id: 'places', per: ['tenant'], server: ['*'], tool: ['*'], roles: ['*'], concurrent: 1, applies: 'always' },
    ]
    const limiter = limited({ store, limits })
    const leaving = new AbortController()
    const admission = limiter.admit(of('acme'), call, { signal: leaving.signal })
    setTimeout(() => leaving.abort(new Error('client left')), 5)
    await expect(admission).rejects.toThrow('client left')
    expect(store.acquire([{ key: '6:places,4:acme', limit: 1 }], 'probe', 1000)).toBe(-1)
  })
})
