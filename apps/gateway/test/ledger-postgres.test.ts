// The audit log in PostgreSQL: several gateways, kill -9, a database that goes away, and a password that nobody sees.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { readMetaEntry } from '@mcp-gateway/audit-chain'
import { parseConfig, startGateway } from '@mcp-gateway/gateway'
import {
  checkLedger,
  checkPlace,
  openLedger,
  queryLedger,
  readLedger,
  type LedgerPlace,
} from '@mcp-gateway/gateway/ledger'
import { folder, type Folder } from './ledger-support.ts'
import { PASSWORD, usePostgres } from './support/postgres.ts'
import { echoServer, gatewayWith, KEY, KEYS, send } from './support.ts'

const { server, isAbsent } = await usePostgres()

const GATEWAY = join(import.meta.dirname, 'fixtures', 'gateway-process.ts')
const KILLS = 6
const CLIENTS = 6

const audit = (dsn: string, more: object = {}) => ({ storage: 'postgres', dsn, ...more })
const place = (at: Folder, dsn: string, tenantId = 'default'): LedgerPlace => ({
  file: at.audit,
  postgres: { dsn, mainFile: at.audit, tenantId },
})
const headers = (key = KEY) => ({ authorization: `Bearer ${key}`, 'content-type': 'application/json' })
const bodyOf = (id: string) => JSON.stringify({ arguments: { id } })

async function startProcess(at: Folder, dsn: string): Promise<{ child: ChildProcess; url: string }> {
  const config = {
    port: 0,
    log: { level: 'silent' },
    auth: KEYS,
    servers: [echoServer('one')],
    audit: audit(dsn, { checkpointIntervalMs: 10 }),
  }
  const child = spawn(
    process.execPath,
    ['--conditions=@mcp-gateway/source', GATEWAY, at.database, JSON.stringify(config)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [url] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, url: String(url).trim() }
}

/** Calls until the connection breaks or it is told to stop; the ids of the calls that were answered. */
async function load(url: string, acknowledged: string[], name: string, stop: AbortSignal): Promise<void> {
  for (let i = 0; !stop.aborted; i += 1) {
    const id = `${name}-${i}`
    try {
      const response = await fetch(`${url}/api/servers/one/tools/echo`, { method: 'POST', headers: headers(), body: bodyOf(id) }) // prettier-ignore
      await response.text()
      if (response.status === 200) acknowledged.push(id)
    } catch {
      return
    }
  }
}

/** Ids of the calls in the log, which is checked. */
async function loggedIn(at: LedgerPlace): Promise<string[]> {
  await using reader = await readLedger(at)
  const logged: string[] = []
  let next = 0
  for await (const { seq, entry } of reader.log.entries()) {
    expect(seq).toBe(next++)
    if (entry.type !== 'tool.call') continue
    const given = (await reader.log.disclose(seq)).find(({ name }) => name === 'arguments')
    logged.push((JSON.parse(Buffer.from(given?.value ?? []).toString()) as { id: string }).id)
  }
  const { findings } = await checkLedger({ store: reader.store, origin: reader.log.origin, file: at.file })
  expect(findings).toEqual([])
  return logged
}

/** Sizes that the meta-log has of this log, which is signed first: in the order they were recorded. All is checked. */
async function recordedIn(at: LedgerPlace): Promise<number[]> {
  await using ledger = await openLedger(at)
  await ledger.keys.checkpoint()
  const { log } = await ledger.meta.read()
  const sizes: number[] = []
  for await (const { leaf } of log.entries()) {
    const { origin, size } = readMetaEntry(leaf)
    if (origin === ledger.log.origin) sizes.push(size)
  }
  expect(await checkPlace(at, { everyLog: true })).toMatchObject({ findings: [], meta: { behind: [] } })
  expect(sizes.at(-1)).toBe((await ledger.log.head()).size)
  return sizes
}

describe.skipIf(isAbsent)('several gateways', () => {
  it(`two on one log lose no acknowledged call in ${KILLS} kills`, { timeout: 120_000 }, async () => {
    using at = folder()
    const dsn = await server.createDatabase('kills')
    const acknowledged: string[] = []
    const stop = new AbortController()
    // Both at once: each would make the tables, the names and the log.
    const [steady, first] = await Promise.all([startProcess(at, dsn), startProcess(at, dsn)])
    const clients = Array.from({ length: CLIENTS }, (_, i) => load(steady.url, acknowledged, `s-${i}`, stop.signal))
    let victim = first
    for (let kill = 0; kill < KILLS; kill += 1) {
      const mine: string[] = []
      const others = Array.from({ length: CLIENTS }, (_, i) => load(victim.url, mine, `${kill}-${i}`, stop.signal))
      await expect.poll(() => mine.length, { timeout: 20_000, interval: 5 }).toBeGreaterThan(10 + kill * 13)
      victim.child.kill('SIGKILL')
      await Promise.all([once(victim.child, 'exit'), ...others])
      acknowledged.push(...mine)
      if (kill < KILLS - 1) victim = await startProcess(at, dsn)
    }
    stop.abort()
    await Promise.all(clients)
    steady.child.kill('SIGTERM')
    await once(steady.child, 'exit')
    const logged = await loggedIn(place(at, dsn))
    const known = new Set(logged)
    expect(acknowledged.filter((id) => !known.has(id))).toEqual([])
    expect(logged.length).toBe(known.size)
    const names = (await server.sql(dsn).unsafe('select origin from audit_log')).map(({ origin }) => String(origin))
    expect(new Set(names.map((name) => name.split('/')[1]))).toEqual(new Set(['audit', 'meta']))
    expect(names).toHaveLength(2)
    const sizes = await recordedIn(place(at, dsn))
    expect(sizes.length).toBeGreaterThan(0)
    expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => a - b))
    process.stderr.write(`${acknowledged.length} acknowledged, ${logged.length} logged, ${KILLS} kills\n`)
  })

  it('each tenant has a log of its own, whose name tells nothing', { timeout: 60_000 }, async () => {
    using at = folder()
    const dsn = await server.createDatabase('tenants')
    const key = (who: string) => `gw_test_${who}_0123456789abcdef0123456789abcdef`
    const keys = ['acme', 'globex'].map((id) => ({ id, key: key(id), name: id, consumerId: id, roles: ['admin'], tenantId: id })) // prettier-ignore
    const config = {
      auth: { type: 'api-key', keys },
      servers: [echoServer('one', { tenants: ['acme', 'globex'] })],
      audit: audit(dsn, { region: 'eu' }),
    }
    await using gateway = closing(await gatewayWith(config, at.database))
    for (const who of ['acme', 'globex'])
      expect((await send(gateway.it, '/api/servers/one/tools/echo', { headers: headers(key(who)), body: bodyOf(who) })).status).toBe(200) // prettier-ignore
    for (const who of ['acme', 'globex']) {
      const its = { ...place(at, dsn, who), file: join(at.path, 'tenants', who, 'audit.db') }
      expect(await loggedIn(its)).toEqual([who])
    }
    const origins = await server.sql(dsn).unsafe('select origin from audit_log')
    expect(new Set(origins.map(({ origin }) => String(origin))).size).toBe(3)
    for (const { origin } of origins) expect(origin).toMatch(/^mcp-gateway\/audit\/eu\/[0-9a-f]{32}$/)
    for (const who of ['acme', 'globex']) {
      const its = { ...place(at, dsn, who), file: join(at.path, 'tenants', who, 'audit.db'), meta: join(at.path, 'audit-meta.db') } // prettier-ignore
      expect(await recordedIn(its)).toHaveLength(1)
    }
    const all = await server.sql(dsn).unsafe('select origin from audit_log order by origin')
    expect(all.map(({ origin }) => String(origin)).at(-1)).toMatch(/^mcp-gateway\/meta\/eu\/[0-9a-f]{32}$/)
    expect(all).toHaveLength(4)
    await expect(gatewayWith({ ...config, audit: audit(dsn, { region: 'us' }) }, at.database)).rejects.toMatchObject({ code: 'GATEWAY_AUDIT_REGION' }) // prettier-ignore
  })

  it(
    'rows of one tenant that were set back, with all that was signed for them, are found',
    { timeout: 60_000 },
    async () => {
      using at = folder()
      const dsn = await server.createDatabase('rollback')
      const owner = server.sql(dsn)
      const config = { auth: KEYS, servers: [echoServer('one')], audit: audit(dsn) }
      const checkpoints = join(at.path, 'checkpoints')
      const run = async () => {
        await using gateway = closing(await gatewayWith(config, at.database))
        await send(gateway.it, '/api/servers/one/tools/echo', { headers: headers(), body: bodyOf('x') })
        await gateway.it.close()
      }
      await run()
      await recordedIn(place(at, dsn))
      using copy = folder()
      cpSync(checkpoints, copy.path, { recursive: true })
      const [before] = await owner.unsafe(`select * from audit_log where origin like 'mcp-gateway/audit/%'`)
      if (before === undefined) throw new Error('there is no log')
      await run()
      await recordedIn(place(at, dsn))
      await owner.begin(async (sql) => {
        await sql.unsafe(`set local session_replication_role = replica`) // No trigger refuses its owner.
        for (const [table, column] of [
          ['audit_entry', 'seq'],
          ['audit_field', 'seq'],
          ['audit_checkpoint', 'size - 1'],
        ])
          // prettier-ignore
          await sql.unsafe(`delete from ${table} where log = $1 and ${column} >= $2`, [before['log'], before['size']])
        await sql.unsafe('update audit_log set size = $2, last_hash = $3, last_at = $4, nodes = $5 where log = $1', [before['log'], before['size'], before['last_hash'], before['last_at'], before['nodes']]) // prettier-ignore
      })
      using newer = folder()
      cpSync(checkpoints, newer.path, { recursive: true })
      cpSync(copy.path, checkpoints, { recursive: true })
      {
        await using reader = await readLedger(place(at, dsn))
        const own = await checkLedger({ store: reader.store, origin: reader.log.origin, file: at.audit })
        expect(own).toMatchObject({ findings: [], size: Number(before['size']) })
      }
      const { findings } = await checkPlace(place(at, dsn), { everyLog: true })
      expect(findings).toMatchObject([{ code: 'ROLLED_BACK', origin: before['origin'] }])
      await expect(recordedIn(place(at, dsn))).rejects.toMatchObject({ code: 'AUDIT_ROLLED_BACK' })
      // Where what was signed is remembered, a successor begins, and goes on.
      cpSync(newer.path, checkpoints, { recursive: true })
      await run()
      await run()
      await using reader = await readLedger(place(at, dsn))
      expect(reader.log.origin).toBe(`${before['origin']}.2`)
      const { entry } = await reader.log.entry(0)
      expect(entry).toMatchObject({ type: 'log.opened', facts: { previous: { origin: before['origin'] } } })
      await using ledger = await openLedger(place(at, dsn))
      await ledger.keys.checkpoint()
      const again = await checkPlace(place(at, dsn), { everyLog: true })
      expect(new Set(again.findings.map(({ origin }) => origin))).toEqual(new Set([before['origin']]))
    },
  )

  it('one with other names is refused, not given another log', { timeout: 60_000 }, async () => {
    using at = folder()
    using elsewhere = folder()
    const dsn = await server.createDatabase('names')
    const config = { auth: KEYS, servers: [], audit: audit(dsn) }
    await (await gatewayWith(config, at.database)).close()
    await expect(gatewayWith(config, elsewhere.database)).rejects.toMatchObject({ code: 'GATEWAY_AUDIT_NAMES' })
    await (await gatewayWith(config, at.database)).close()
    await using reader = await readLedger(place(at, dsn))
    const { entries } = await queryLedger(reader, { limit: 10, withBodies: false })
    expect(entries.map(({ type }) => type)).toEqual(['gateway.stopped', 'gateway.started', 'gateway.stopped', 'gateway.started']) // prettier-ignore
  })

  it('checkpoints, proofs and erasing work beside a gateway that runs', { timeout: 60_000 }, async () => {
    using at = folder()
    const dsn = await server.createDatabase('proofs')
    const config = { auth: KEYS, servers: [echoServer('one')], audit: audit(dsn, { checkpointIntervalMs: 20 }) }
    await using gateway = closing(await gatewayWith(config, at.database))
    await send(gateway.it, '/api/servers/one/tools/echo', { headers: headers(), body: bodyOf('to-be-erased') })
    await using ledger = await openLedger(place(at, dsn))
    const { entries } = await queryLedger(ledger, { limit: 10, withBodies: true, consumer: 'tester' })
    const id = String(entries[0]?.id)
    const paths = ['/api/audit', '/api/audit/verify', '/api/audit/stats', '/api/usage', `/api/proofs/${id}`]
    for (const path of paths) {
      const answer = await send(gateway.it, path, { method: 'GET', headers: headers() })
      expect([path, answer.status]).toEqual([path, 200])
    }
    const proofs = await Promise.all(Array.from({ length: 5 }, () => ledger.keys.prove(ledger.log, id)))
    expect(proofs.map((proof) => proof.id)).toEqual(Array.from({ length: 5 }, () => id))
    await ledger.log.erase({ what: { subject: 'tester' }, reason: 'a test', by: 'test' })
    const [row] = (await queryLedger(ledger, { limit: 10, withBodies: true })).entries.filter((one) => one.id === id)
    expect(JSON.stringify(row)).not.toContain('to-be-erased')
    const { findings } = await checkLedger({ store: ledger.store, origin: ledger.log.origin, file: at.audit })
    expect(findings).toEqual([])
  })

  it('a role that may only insert and read runs on the tables of the owner', { timeout: 60_000 }, async () => {
    using at = folder()
    const dsn = await server.createDatabase('roles')
    const owner = server.sql(dsn)
    await owner.unsafe(`create role clerk login password '${PASSWORD}'`)
    const clerk = dsn.replace('owner:', 'clerk:')
    const config = (to: string) => ({ auth: KEYS, servers: [echoServer('one')], audit: audit(to) })
    await expect(gatewayWith(config(clerk), at.database)).rejects.toMatchObject({ code: 'GATEWAY_AUDIT_UNAVAILABLE' })
    await (await gatewayWith(config(dsn), at.database)).close()
    await owner.unsafe(`grant select, insert on audit_entry, audit_node, audit_checkpoint to clerk;
      grant select, insert, update on audit_log, audit_cursor to clerk;
      grant select, insert, update, delete on audit_field to clerk`)
    await using gateway = closing(await gatewayWith(config(clerk), at.database))
    const answer = await send(gateway.it, '/api/servers/one/tools/echo', { headers: headers(), body: bodyOf('x') })
    expect(answer.status).toBe(200)
    await expect(server.sql(clerk).unsafe('delete from audit_entry')).rejects.toMatchObject({ code: '42501' })
  })
})

describe.skipIf(isAbsent)('a database that is not there', () => {
  it('refuses a start, and nobody learns the password', { timeout: 60_000 }, async () => {
    using at = folder()
    const good = await server.createDatabase('canary')
    const wrong = [good.replace(PASSWORD, `${PASSWORD}x`), good.replace(/:\d+\//, ':1/'), `${good}_missing`]
    for (const dsn of wrong) {
      const lines: string[] = []
      const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
      const config = parseConfig(JSON.stringify({ port: 0, auth: KEYS, audit: audit(dsn) }), { env: {} })
      const error: unknown = await startGateway({ config, database: at.database, logger }).catch(
        (found: unknown) => found,
      )
      expect(error).toMatchObject({ code: 'GATEWAY_AUDIT_UNAVAILABLE' })
      expect(inspect(error, { depth: 20, showHidden: true }) + lines.join('')).not.toContain(PASSWORD)
    }
  })

  it('closed: nothing passes unrecorded, and the log says what is missing', { timeout: 120_000 }, async () => {
    using at = folder()
    const dsn = await server.createDatabase('away')
    await using gateway = closing(await gatewayWith({ auth: KEYS, servers: [echoServer('one')], audit: audit(dsn) }, at.database)) // prettier-ignore
    await using open = closing(await gatewayWith({ auth: KEYS, servers: [echoServer('one')], audit: audit(dsn, { onFailure: 'open' }) }, at.database)) // prettier-ignore
    const acknowledged: string[] = []
    const refused: string[] = []
    const stop = new AbortController()
    const calls = Array.from({ length: CLIENTS }, async (_, client) => {
      for (let i = 0; !stop.signal.aborted; i += 1) {
        const id = `${client}-${i}`
        const answer = await send(gateway.it, '/api/servers/one/tools/echo', { headers: headers(), body: bodyOf(id) })
        if (answer.status === 200) acknowledged.push(id)
        else refused.push(answer.text)
      }
    })
    await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(50)
    await server.stop()
    await expect.poll(() => refused.length, { timeout: 20_000 }).toBeGreaterThan(CLIENTS * 2)
    const during = await send(open.it, '/api/servers/one/tools/echo', { headers: headers(), body: bodyOf('open') })
    expect(during.status).toBe(200)
    await server.start()
    const before = acknowledged.length
    await expect.poll(() => acknowledged.length, { timeout: 30_000 }).toBeGreaterThan(before + 50)
    stop.abort()
    await Promise.all(calls)
    for (const text of refused) {
      expect(text).toContain('GATEWAY_AUDIT_UNAVAILABLE')
      expect(text).not.toContain(PASSWORD)
    }
    const logged = new Set(await loggedIn(place(at, dsn)))
    expect(acknowledged.filter((id) => !logged.has(id))).toEqual([])
    await using reader = await readLedger(place(at, dsn))
    const { entries } = await queryLedger(reader, { limit: 1000, withBodies: false })
    expect(entries.length).toBeGreaterThan(0)
    let gaps = 0
    for await (const { entry } of reader.log.entries()) if (entry.type === 'audit.gap') gaps += Number(entry.facts?.['lost']) // prettier-ignore
    expect(gaps).toBeGreaterThan(0)
    process.stderr.write(`${acknowledged.length} acknowledged, ${refused.length} refused, ${gaps} in gaps\n`)
  })
})

function closing<T extends { close(): Promise<void> }>(it: T): AsyncDisposable & { readonly it: T } {
  return { it, [Symbol.asyncDispose]: () => it.close() }
}
