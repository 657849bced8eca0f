import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createLimiter, type Limit, type LimiterEvent } from '@mcp-gateway/policy'
import { createRedisLimitStore } from '@mcp-gateway/policy/stores/redis'
import { limitStoreCases } from '@mcp-gateway/policy/testing'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, redisMissing, startRedis, type RedisServer } from './support/redis.ts'

const subject = { id: 'alice', roles: [] }
const call = { server: 'crm', tool: 'get' }

function storeOf(redis: Redis): ReturnType<typeof createRedisLimitStore> {
  return createRedisLimitStore({ send: ([name, ...args]) => redis.call(name, ...args) })
}

const limit: Limit = {
  id: 'two',
  per: ['caller'],
  server: ['*'],
  tool: ['*'],
  roles: ['*'],
  rate: { count: 2, windowMs: 3_600_000, burst: 2 },
  applies: 'always',
}

describe.skipIf(redisMissing !== undefined)(`Redis ${redisMissing ?? ''}`, () => {
  let server: RedisServer
  let redis: Redis

  beforeAll(async () => {
    server = await startRedis()
    redis = connect(server.port)
    await redis.connect()
  })
  afterAll(async () => {
    redis?.disconnect()
    await server?.[Symbol.asyncDispose]()
  })

  for (const { title, run } of limitStoreCases) test(title, () => run(() => storeOf(redis)))

  test('goes on when Redis has forgotten the scripts', async () => {
    const store = storeOf(redis)
    await store.take([{ key: 'forgetful', intervalUs: 1e9, burst: 2 }])
    await redis.script('FLUSH')
    const [answer] = await store.take([{ key: 'forgetful', intervalUs: 1e9, burst: 2 }])
    expect(answer).toMatchObject({ allowed: true, remaining: 0 })
  })

  test('leaves no key behind: every key has an end', async () => {
    const store = storeOf(redis)
    await store.take([{ key: 'mortal', intervalUs: 50_000, burst: 2 }])
    await store.acquire([{ key: 'mortal', limit: 2 }], 'a', 50)
    expect(await redis.pttl('{mcp-gateway:limits}:r:mortal')).toBeGreaterThan(0)
    await store.count({ key: 'mortal', limit: 2 })
    expect(await redis.pttl('{mcp-gateway:limits}:c:mortal')).toBeGreaterThan(0)
    expect(await redis.pttl('{mcp-gateway:limits}:d:mortal')).toBeGreaterThan(0)
  })

  test('a bucket that holds something else counts as full', async () => {
    await redis.set('{mcp-gateway:limits}:r:spoilt', 'what is this')
    const [answer] = await storeOf(redis).take([{ key: 'spoilt', intervalUs: 1e9, burst: 3 }])
    expect(answer).toMatchObject({ allowed: true, remaining: 2 })
  })

  test('four processes together admit exactly the configured number', async () => {
    await redis.flushall()
    const worker = join(import.meta.dirname, 'support/limit-worker.ts')
    const args = ['--conditions=@mcp-gateway/source', worker, String(server.port), '800']
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    try {
      const outputs = children.map(({ stdout }) => createInterface({ input: stdout })[Symbol.asyncIterator]())
      for (const output of outputs) expect((await output.next()).value).toBe('ready')
      for (const { stdin } of children) stdin.end('go')
      const told = await Promise.all(
        outputs.map(async (output) => JSON.parse(String((await output.next()).value)) as Record<string, number>),
      )
      const sum = (name: string): number => told.reduce((total, one) => total + (one[name] ?? 0), 0)
      expect([sum('asked'), sum('admitted'), sum('degraded')]).toEqual([3200, 500, 0])
    } finally {
      for (const child of children) child.kill()
    }
  })

  for (const [onFailure, wanted] of [
    ['closed', { allowed: false, rule: 'limits/store-failed', degraded: true }],
    ['open', { allowed: true, rule: 'limits/store-failed', degraded: true }],
    ['local', { allowed: true, rule: 'limits/two', degraded: true }],
  ] as const) {
    test(`when Redis dies, onFailure: ${onFailure} holds and says so, until Redis is back`, async () => {
      let own = await startRedis()
      const client = connect(own.port)
      await client.connect()
      const events: LimiterEvent[] = []
      const limiter = createLimiter({
        limits: [limit],
        store: storeOf(client),
        onFailure,
        timeoutMs: 10_000,
        retryMs: 50,
        onEvent: (event) => events.push(event),
      })
      try {
        expect(await limiter.admit(subject, call)).toMatchObject({ allowed: true, degraded: false })
        await own[Symbol.asyncDispose]()
        const during = await limiter.admit(subject, call)
        expect(during).toMatchObject(wanted)
        expect(during.error?.code).toBe(onFailure === 'closed' ? 'POLICY_LIMIT_STORE_UNAVAILABLE' : undefined)
        expect(during.retryAfterMs === undefined).toBe(onFailure !== 'closed')
        expect(events[0]).toMatchObject({ type: 'store-failed', onFailure })
        if (onFailure === 'local') {
          // Two more of its own, and not a third.
          expect(await limiter.admit(subject, call)).toMatchObject({ allowed: true, degraded: true })
          expect(await limiter.admit(subject, call)).toMatchObject({ allowed: false, degraded: true })
        }
        own = await startRedis(own.port)
        await expect
          .poll(async () => (await limiter.admit({ id: 'bob', roles: [] }, call)).degraded, { timeout: 20_000 })
          .toBe(false)
        expect(events.at(-1)).toEqual({ type: 'store-recovered' })
      } finally {
        client.disconnect()
        await own[Symbol.asyncDispose]()
      }
    })
  }

  test('a Redis that hangs is given up after timeoutMs', async () => {
    const own = await startRedis()
    const client = connect(own.port)
    await client.connect()
    try {
      const limiter = createLimiter({ limits: [limit], store: storeOf(client), timeoutMs: 50 })
      own.process.kill('SIGSTOP')
      const admission = await limiter.admit(subject, call)
      expect(admission.error?.code).toBe('POLICY_LIMIT_STORE_UNAVAILABLE')
      expect(String(admission.error?.cause)).toContain('50 ms')
    } finally {
      own.process.kill('SIGCONT')
      client.disconnect()
      await own[Symbol.asyncDispose]()
    }
  })
})
