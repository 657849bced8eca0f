import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import {
  AuthError,
  consumeOnce,
  createAccountVerifier,
  createErc8128,
  createWallets,
  replayKey,
  type ReplayStore,
} from '@mcp-gateway/auth'
import { createMemoryReplayStore } from '@mcp-gateway/auth/stores/memory'
import { createPostgresReplayStore, migratePostgresReplay } from '@mcp-gateway/auth/stores/postgres'
import { createRedisReplayStore } from '@mcp-gateway/auth/stores/redis'
import { createSqliteReplayStore } from '@mcp-gateway/auth/stores/sqlite'
import { replayStoreCases } from '@mcp-gateway/auth/testing'
import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostgres, type Server } from '../../audit-chain/test/support/postgres.ts'
import { sign, signer } from './support/sign.ts'
import { connect, redisMissing, startRedis, type RedisServer } from '../../policy/test/support/redis.ts'

const HOUR_MS = 3_600_000

describe('in memory', () => {
  for (const { title, run } of replayStoreCases) {
    test(title, async () => {
      const store = createMemoryReplayStore()
      await run(() => store)
    })
  }

  test('a full store refuses new keys and forgets none, until some have expired', () => {
    let now = 1000
    const store = createMemoryReplayStore({ maxKeys: 3, clock: () => now })
    for (const key of ['a', 'b', 'c']) expect(store.consume(key, 2000)).toBe(true)
    expect(() => store.consume('d', 2000)).toThrow(expect.objectContaining({ code: 'AUTH_REPLAY_STORE_UNAVAILABLE' }))
    for (const key of ['a', 'b', 'c']) expect(store.consume(key, 2000)).toBe(false)
    now = 2001
    expect(store.consume('d', 3000)).toBe(true)
    expect(store.size()).toBe(1)
  })

  test('what has expired is thrown away without being asked for', () => {
    let now = 0
    const store = createMemoryReplayStore({ clock: () => now })
    for (let key = 0; key < 5000; key++) {
      now = key
      void store.consume(String(key), key + 10)
    }
    expect(store.size()).toBeLessThan(1100)
  })

  test('a key is consumed through its last millisecond', () => {
    let now = 0
    const store = createMemoryReplayStore({ clock: () => now })
    expect(store.consume('a', 10)).toBe(true)
    now = 10
    expect(store.consume('a', 20)).toBe(false)
    now = 11
    expect(store.consume('a', 20)).toBe(true)
  })
})

describe('in SQLite', () => {
  const directory = mkdtempSync(join(tmpdir(), 'auth-replay-'))
  const handles: DatabaseSync[] = []
  const open = (): ReplayStore => {
    const database = new DatabaseSync(join(directory, 'replay.db'), { timeout: 2000 })
    handles.push(database)
    return createSqliteReplayStore({ database })
  }
  afterAll(() => {
    for (const handle of handles) if (handle.isOpen) handle.close()
    rmSync(directory, { recursive: true })
  })
  for (const { title, run } of replayStoreCases) test(title, async () => run(open))

  test('a restart forgets nothing', async () => {
    expect(await open().consume('before', Date.now() + HOUR_MS)).toBe(true)
    for (const handle of handles) if (handle.isOpen) handle.close()
    expect(await open().consume('before', Date.now() + HOUR_MS)).toBe(false)
  })

  test('four processes consume each key once, and what they consumed outlives their being killed', async () => {
    const path = join(directory, 'shared.db')
    createSqliteReplayStore({ database: new DatabaseSync(path) })
    const script = `
      import { DatabaseSync } from 'node:sqlite'
      import { writeSync } from 'node:fs'
      import { createSqliteReplayStore } from '@mcp-gateway/auth/stores/sqlite'
      const store = createSqliteReplayStore({ database: new DatabaseSync(${JSON.stringify(path)}, { timeout: 20_000 }) })
      let mine = 0
      for (let key = 0; key < 100; key++) if (store.consume('key-' + key, Date.now() + 3_600_000)) mine++
      writeSync(1, String(mine))
      process.kill(process.pid, 'SIGKILL')`
    const args = ['--conditions=@mcp-gateway/source', '--input-type=module', '-e', script]
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const child = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] })
        return Number(await text(child.stdout))
      }),
    )
    expect(outcomes.reduce((sum, mine) => sum + mine, 0)).toBe(100)
    const after = createSqliteReplayStore({ database: new DatabaseSync(path) })
    for (let key = 0; key < 100; key++) expect(after.consume(`key-${key}`, Date.now() + HOUR_MS)).toBe(false)
  })

  test('what has expired is thrown away', () => {
    let now = 0
    const database = new DatabaseSync(':memory:')
    const store = createSqliteReplayStore({ database, clock: () => now })
    for (let key = 0; key < 500; key++) {
      now = key
      void store.consume(String(key), key + 10)
    }
    expect(database.prepare('select count(*) as kept from auth_replay').get()).toEqual({ kept: 11 })
    database.close()
  })
})

describe.skipIf(redisMissing !== undefined)(`in Redis ${redisMissing ?? ''}`, () => {
  let server: RedisServer
  let redis: Redis
  const open = (): ReplayStore => createRedisReplayStore({ send: async ([name, ...args]) => redis.call(name, ...args) })
  beforeAll(async () => {
    server = await startRedis()
    redis = connect(server.port)
    await redis.connect()
  })
  afterAll(async () => {
    redis?.disconnect()
    await server?.[Symbol.asyncDispose]()
  })
  for (const { title, run } of replayStoreCases) test(title, async () => run(open))

  test('two verifiers on one Redis let one of ten identical signed requests in', async () => {
    const schemes = [0, 1].map(() =>
      createErc8128({
        wallets: createWallets({ operators: [{ address: signer.address, consumerId: 'ops', name: 'Ops', roles: [] }] }),
        accounts: createAccountVerifier({ chains: [{ id: 1 }] }),
        replay: open(),
      }),
    )
    const request = await sign({ created: Math.floor(Date.now() / 1000) })
    const answers = await Promise.allSettled(
      Array.from({ length: 10 }, async (_, index) => schemes[index % 2]?.authenticate(request)),
    )
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const answer of answers) {
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ reason: 'nonce_reused' })
    }
  })

  test('every key has an end', async () => {
    await open().consume('mortal', Date.now() + 5000)
    const ttlMs = await redis.pttl('mcp-gateway:replay:mortal')
    expect(ttlMs).toBeGreaterThan(3000)
    expect(ttlMs).toBeLessThanOrEqual(5001)
  })

  test('a Redis that is gone is a 503, not a guess', async () => {
    const own = await startRedis()
    const client = connect(own.port)
    await client.connect()
    const store = createRedisReplayStore({ send: async ([name, ...args]) => client.call(name, ...args) })
    expect(await consumeOnce(store, 'k', Date.now() + HOUR_MS, 1000)).toBe(true)
    await own[Symbol.asyncDispose]()
    await expect(consumeOnce(store, 'other', Date.now() + HOUR_MS, 1000)).rejects.toMatchObject({
      code: 'AUTH_REPLAY_STORE_UNAVAILABLE',
    })
    client.disconnect()
  })
})

describe('in PostgreSQL', () => {
  let server: Server | string = 'not started'
  let url = ''
  let reason: string | undefined
  beforeAll(async () => {
    server = await startPostgres()
    if (typeof server === 'string') {
      reason = server
      return
    }
    url = await server.createDatabase('replay')
    await migratePostgresReplay(server.connect(url))
    await migratePostgresReplay(server.connect(url))
  })
  afterAll(async () => {
    if (typeof server !== 'string') await server[Symbol.asyncDispose]()
  })
  const open = (): ReplayStore => {
    if (typeof server === 'string') throw new TypeError(server)
    return createPostgresReplayStore({ sql: server.connect(url) })
  }
  for (const { title, run } of replayStoreCases) {
    test(title, async (context) => {
      if (reason !== undefined) context.skip(reason)
      await run(open)
    })
  }

  test('what has expired is thrown away', async (context) => {
    if (reason !== undefined || typeof server === 'string') {
      context.skip(reason)
      return
    }
    const store = open()
    for (let key = 0; key < 20; key++) await store.consume(`short-${key}`, Date.now() + 20)
    await new Promise((resolve) => setTimeout(resolve, 40))
    await store.consume('one', Date.now() + HOUR_MS)
    await store.consume('two', Date.now() + HOUR_MS)
    const rows = await server.connect(url).unsafe(`select key from auth_replay where key like 'short-%'`)
    expect(rows).toEqual([])
  })
})

describe('consumeOnce', () => {
  test.each<[string, ReplayStore]>([
    [
      'throws',
      {
        consume: () => {
          throw new Error('gone')
        },
      },
    ],
    ['rejects', { consume: async () => Promise.reject(new Error('gone')) }],
    ['hangs', { consume: async () => new Promise<boolean>(() => {}) }],
  ])('a store that %s is unavailable', async (_, store) => {
    const answer = consumeOnce(store, 'k', Date.now() + HOUR_MS, 20)
    await expect(answer).rejects.toBeInstanceOf(AuthError)
    await expect(answer).rejects.toMatchObject({ code: 'AUTH_REPLAY_STORE_UNAVAILABLE' })
  })

  test('a store that answers with something else than true says no', async () => {
    const store = { consume: () => 1 } as unknown as ReplayStore
    expect(await consumeOnce(store, 'k', Date.now() + HOUR_MS, 20)).toBe(false)
  })
})

test('replayKey(a) = replayKey(b) ⟹ a = b', () => {
  const parts = fc.array(fc.string({ maxLength: 4 }), { maxLength: 4 })
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      expect(replayKey(...a) === replayKey(...b)).toBe(JSON.stringify(a) === JSON.stringify(b))
    }),
  )
})
