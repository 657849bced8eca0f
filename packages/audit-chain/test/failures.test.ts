// What callers hear when the store cannot take an entry, and that nothing is in the log that was refused.
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, connect as connectTo, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import { examineLog, openLog } from '@mcp-gateway/audit-chain'
import { createPostgresStore, migratePostgres } from '@mcp-gateway/audit-chain/stores/postgres'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { afterAll, describe, expect, test } from 'vitest'
import { startPostgres, type Server } from './support/postgres.ts'
import { open, scratch } from './support/sqlite.ts'

const ORIGIN = 'example.com/failures'
const settle = async (promises: readonly Promise<unknown>[]): Promise<unknown[]> =>
  (await Promise.allSettled(promises)).map((one) =>
    one.status === 'fulfilled' ? 'ok' : (one.reason as { code?: string }).code,
  )

describe('sqlite', () => {
  test('a full database: a clear error, and the log goes on when there is room', async () => {
    using home = scratch()
    await using opened = open(home.path, ORIGIN)
    const { log, database, store } = opened
    await log.append({ type: 'test' })
    const { page_count: pages } = database.prepare('pragma page_count').get() as { page_count: number }
    database.exec(`pragma max_page_count = ${pages + 4}`)
    const outcomes = await settle(
      Array.from({ length: 50 }, () => log.append({ type: 'test', fields: { args: 'x'.repeat(10_000) } })),
    )
    expect(new Set(outcomes)).toEqual(new Set(['AUDIT_STORE_FULL']))
    expect((await log.head()).size).toBe(1)
    database.exec('pragma max_page_count = 1000000')
    await log.append({ type: 'test' })
    expect(await examineLog({ store, origin: ORIGIN })).toMatchObject({ findings: [], size: 2 })
  })

  // A file system of 1 MiB needs the right to mount one.
  const mount = mkdtempSync(join(tmpdir(), 'audit-chain-small-'))
  const canMount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', mount]).status === 0
  afterAll(() => {
    if (canMount) spawnSync('umount', [mount])
    rmSync(mount, { recursive: true, force: true })
  })
  test.skipIf(!canMount)(
    'a full disk: every acknowledged entry is there, every refused one is not (skipped: mount)',
    async () => {
      const database = openSqlite(join(mount, 'audit.db'))
      const store = createSqliteStore({ database })
      const log = openLog({ store, origin: ORIGIN, limits: { maxBatchEntries: 8 } })
      const ids = Array.from({ length: 400 }, (_, i) => `call-${i}`)
      const outcomes = await settle(ids.map((id) => log.append({ type: 'test', id, fields: { args: id.repeat(500) } })))
      expect(outcomes).toContain('ok')
      expect(outcomes.some((outcome) => outcome === 'AUDIT_STORE_FULL' || outcome === 'AUDIT_OUTCOME_UNKNOWN')).toBe(
        true,
      )
      for (const [i, id] of ids.entries()) {
        const isThere = (await store.find(ORIGIN, id)) !== undefined
        if (outcomes[i] !== 'AUDIT_OUTCOME_UNKNOWN') expect([id, isThere]).toEqual([id, outcomes[i] === 'ok'])
      }
      expect((await examineLog({ store, origin: ORIGIN })).findings).toEqual([])
      await log[Symbol.asyncDispose]()
      database.close()
    },
  )

  test('a locked database: waiting ends, and the event loop turns meanwhile', async () => {
    using home = scratch()
    const database = openSqlite(home.path)
    const store = createSqliteStore({ database, busyTimeoutMs: 200 })
    await using log = openLog({ store, origin: ORIGIN })
    await log.append({ type: 'test' })
    using other = new DatabaseSync(home.path)
    other.exec('begin immediate')
    let turns = 0
    const timer = setInterval(() => (turns += 1), 10)
    await expect(log.append({ type: 'test' })).rejects.toMatchObject({ code: 'AUDIT_STORE_BUSY' })
    expect(turns).toBeGreaterThan(3)
    clearInterval(timer)
    const waiting = log.append({ type: 'test' })
    other.exec('commit')
    expect((await waiting).seq).toBe(1)
  })

  test('a closed or truncated database is unavailable or corrupt, not silent', async () => {
    using home = scratch()
    const database = openSqlite(home.path)
    const store = createSqliteStore({ database })
    await using log = openLog({ store, origin: ORIGIN })
    await log.append({ type: 'test' })
    database.close()
    await expect(log.append({ type: 'test' })).rejects.toMatchObject({ code: 'AUDIT_STORE_UNAVAILABLE' })
    await expect(log.head()).rejects.toMatchObject({ code: 'AUDIT_STORE_UNAVAILABLE' })
    truncateSync(home.path, Math.floor(statSync(home.path).size / 2))
    writeFileSync(home.path, 'not a database, '.repeat(100))
    expect(() => createSqliteStore({ database: openSqlite(home.path) })).toThrow(
      expect.objectContaining({ code: 'AUDIT_STORE_CORRUPT' }),
    )
    const folder = join(home.directory, 'folder')
    mkdirSync(folder)
    expect(() => openSqlite(folder)).toThrow(expect.objectContaining({ code: 'AUDIT_STORE_UNAVAILABLE' }))
    expect(existsSync(join(home.directory, 'none'))).toBe(false)
  })

  test('what `alongside` throws undoes the batch, and what it writes is in the same transaction', async () => {
    using home = scratch()
    const database = openSqlite(home.path)
    database.exec('create table usage (id text, cost int)')
    const insert = database.prepare('insert into usage values (?, ?)')
    const store = createSqliteStore({
      database,
      alongside(_origin, { entries }) {
        for (const { id, attachment } of entries) {
          if (attachment === 'fail') throw new Error('no budget')
          insert.run(id, attachment as number)
        }
      },
    })
    await using log = openLog({ store, origin: ORIGIN })
    const { id } = await log.append({ type: 'test', attachment: 7 })
    // One who fails does not take the others of the batch along.
    const outcomes = await Promise.allSettled(
      [1, 'fail', 2].map((attachment) => log.append({ type: 'test', id: `call-${attachment}`, attachment })),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(outcomes[1]).toMatchObject({ reason: { message: 'no budget' } })
    expect(database.prepare('select * from usage').all()).toEqual([
      { id, cost: 7 },
      { id: 'call-1', cost: 1 },
      { id: 'call-2', cost: 2 },
    ])
    expect((await log.head()).size).toBe(3)
  })
})

const server = await startPostgres()

describe.skipIf(typeof server === 'string')(
  `postgres ${typeof server === 'string' ? `(skipped: ${server})` : ''}`,
  () => {
    const { connect, createDatabase, [Symbol.asyncDispose]: stop } = server as Server
    afterAll(() => stop())

    test('a locked head: waiting ends', async () => {
      const owner = await createDatabase('locked')
      await migratePostgres(connect(owner, 1))
      const store = await createPostgresStore({ sql: connect(owner), lockTimeoutMs: 100 })
      await using log = openLog({ store, origin: ORIGIN })
      await log.append({ type: 'test' })
      const other = await connect(owner, 1).reserve()
      await other.unsafe('begin; select * from audit_log for update')
      await expect(log.append({ type: 'test' })).rejects.toMatchObject({ code: 'AUDIT_STORE_BUSY' })
      await other.unsafe('commit')
      other.release()
      expect((await log.append({ type: 'test' })).seq).toBe(1)
    })

    test('a server that goes away: errors, and the log goes on when it is back', async () => {
      const owner = await createDatabase('gone')
      await migratePostgres(connect(owner, 1))
      await using proxy = await startProxy(Number(new URL(owner).port))
      const url = new URL(owner)
      url.port = String(proxy.port)
      const store = await createPostgresStore({ sql: connect(url.href, 2), timeoutMs: 2000 })
      await using log = openLog({ store, origin: ORIGIN })
      await log.append({ type: 'test' })
      const pending = Array.from({ length: 300 }, (_, i) => log.append({ type: 'test', id: `call-${i}` }))
      proxy.cut()
      const outcomes = await settle(pending)
      expect(
        outcomes.every((one) => one === 'ok' || one === 'AUDIT_STORE_UNAVAILABLE' || one === 'AUDIT_OUTCOME_UNKNOWN'),
      ).toBe(true)
      expect(outcomes).not.toEqual(outcomes.map(() => 'ok'))
      proxy.mend()
      await log.append({ type: 'test' })
      for (const [i, outcome] of outcomes.entries()) {
        const isThere = (await log.find(`call-${i}`)) !== undefined
        if (outcome !== 'AUDIT_OUTCOME_UNKNOWN') expect(isThere).toBe(outcome === 'ok')
      }
      expect((await examineLog({ store, origin: ORIGIN })).findings).toEqual([])
    })

    test('a connection lost exactly while committing: the outcome is unknown, and `find` tells it', async () => {
      const owner = await createDatabase('committing')
      await migratePostgres(connect(owner, 1))
      await using proxy = await startProxy(Number(new URL(owner).port))
      const url = new URL(owner)
      url.port = String(proxy.port)
      const store = await createPostgresStore({ sql: connect(url.href, 1) })
      await using log = openLog({ store, origin: ORIGIN })
      proxy.swallow('commit')
      await expect(log.append({ type: 'test', id: 'lost-or-not' })).rejects.toMatchObject({
        code: 'AUDIT_OUTCOME_UNKNOWN',
      })
      proxy.mend()
      // The proxy let the commit through and cut the way back.
      await expect.poll(() => log.find('lost-or-not')).toBe(0)
      await expect(log.append({ type: 'test', id: 'lost-or-not' })).rejects.toMatchObject({ code: 'AUDIT_ID_TAKEN' })
    })
  },
)

type Proxy = AsyncDisposable & { readonly port: number; cut(): void; mend(): void; swallow(word: string): void }

/** A wire to the server that can be cut: at once, or just after the server was told something. */
async function startProxy(to: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let isCut = false
  let word: string | undefined
  const cut = (): void => {
    isCut = true
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer((client) => {
    if (isCut) return void client.destroy()
    const upstream = connectTo(to, '127.0.0.1')
    for (const socket of [client, upstream])
      sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)))
    upstream.on('data', (data) => client.write(data)).on('close', () => client.destroy())
    client.on('close', () => upstream.end())
    client.on('data', (data) => {
      upstream.write(data)
      if (word === undefined || !data.toString('latin1').toLowerCase().includes(word)) return
      isCut = true
      client.destroy()
    })
    return undefined
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    mend() {
      isCut = false
      word = undefined
    },
    swallow(text) {
      word = text
    },
    async [Symbol.asyncDispose]() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
