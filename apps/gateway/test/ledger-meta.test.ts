// The meta-log over the logs of all tenants, on the files of gateways: what it records, what it finds that nothing beside a
// log betrays, and that no call waits for it.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readMetaEntry } from '@mcp-gateway/audit-chain'
import { trustLogs, verifyCheckpoint, verifyTlogProof } from '@mcp-gateway/audit-chain/verify'
import { parseConfig, startGateway, type RunningGateway } from '@mcp-gateway/gateway'
import { checkLedger, checkPlace, metaFileOf, openLedger, openLedgerFile, readLedgerFile, type LedgerPlace } from '@mcp-gateway/gateway/ledger' // prettier-ignore
import { folder, type Folder } from './ledger-support.ts'
import { echoServer, gatewayWith, modern, send } from './support.ts'

const TENANTS = ['acme', 'globex']
const key = (tenant: string) => `gw_test_${tenant}_0123456789abcdef0123456789abcdef`
const keys = TENANTS.map((id) => ({ id, key: key(id), name: id, consumerId: id, roles: ['auditor'], tenantId: id }))
const config = (audit: object = {}) => ({ auth: { type: 'api-key', keys }, servers: [echoServer('one', { tenants: TENANTS })], audit }) // prettier-ignore

let place: Folder
beforeEach(() => void (place = folder()))
afterEach(() => place[Symbol.dispose]())

const fileOf = (tenant?: string) => join(place.path, ...(tenant === undefined ? [] : ['tenants', tenant]), 'audit.db')
const placeOf = (tenant?: string): LedgerPlace => ({ file: fileOf(tenant), meta: metaFileOf(place.database) })
const call = async (gateway: RunningGateway, tenant: string) => {
  const request = modern('tools/call', { name: 'echo', arguments: {} })
  const headers = { ...request.headers, authorization: `Bearer ${key(tenant)}` }
  return (await send(gateway, '/mcp/server/one', { ...request, headers })).status
}
const get = (gateway: RunningGateway, path: string, tenant: string) =>
  send(gateway, path, { method: 'GET', headers: { authorization: `Bearer ${key(tenant)}` } })

/** A gateway that was called, stopped, and whose logs were signed. */
async function run(calls: number): Promise<void> {
  const gateway = await gatewayWith(config(), place.database)
  for (let i = 0; i < calls; i += 1) for (const tenant of TENANTS) expect(await call(gateway, tenant)).toBe(200)
  await gateway.close()
  for (const tenant of [undefined, ...TENANTS]) await sign(tenant)
}
async function sign(tenant?: string): Promise<void> {
  await using ledger = await openLedger(placeOf(tenant))
  await ledger.keys.checkpoint()
}
const recorded = async () => {
  await using meta = await readLedgerFile(metaFileOf(place.database))
  const stated = []
  for await (const { leaf } of meta.log.entries()) stated.push(readMetaEntry(leaf))
  return { origin: meta.log.origin, stated }
}
const originOf = async (tenant?: string) => {
  await using reader = await readLedgerFile(fileOf(tenant))
  return reader.log.origin
}

describe('recording', () => {
  it('has each checkpoint of each log once, under names that tell nobody', async () => {
    await run(2)
    await run(1)
    await sign('acme')
    const { origin, stated } = await recorded()
    expect(origin).toMatch(/^mcp-gateway\/meta\/[0-9a-f]{16}$/)
    const origins = [await originOf(), await originOf('acme'), await originOf('globex')]
    expect(stated.map((one) => one.origin)).toEqual([...origins, ...origins])
    for (const one of [origin, ...origins]) expect(one).not.toMatch(/acme|globex|default/)
    const checked = await checkPlace(placeOf(), { everyLog: true })
    expect(checked).toMatchObject({ findings: [], meta: { entries: 6, logs: 3, behind: [] } })
  })

  it('a gateway with one tenant has one too, and a running one signs it', async () => {
    const gateway = await gatewayWith(config({ checkpointIntervalMs: 20 }), place.database)
    expect(await call(gateway, 'acme')).toBe(200)
    await expect.poll(async () => (existsSync(metaFileOf(place.database)) ? (await checkPlace(placeOf('acme'), { everyLog: false })).meta?.signedEntries : 0), { timeout: 20_000 }).toBeGreaterThan(0) // prettier-ignore
    await gateway.close()
    expect((await checkPlace(placeOf(), { everyLog: true })).findings).toEqual([])
  })

  it('a proof comes with the proof that its checkpoint is in the meta-log', async () => {
    const gateway = await gatewayWith(config(), place.database)
    await call(gateway, 'globex')
    await call(gateway, 'acme')
    const { entries } = (await get(gateway, '/api/audit', 'acme')).json() as { entries: [{ id: string }] }
    const answer = await get(gateway, `/api/proofs/${entries[0].id}`, 'acme')
    const { proof, meta } = answer.json() as { proof: string; meta: { entry: string; proof: string; verifierKey: string } } // prettier-ignore
    const policy = trustLogs(meta.verifierKey)
    expect(verifyTlogProof(meta.proof, Buffer.from(meta.entry), policy).findings).toEqual([])
    const { origin, size, rootHash } = readMetaEntry(Buffer.from(meta.entry))
    const signed = proof.slice(proof.indexOf('\n\n') + 2)
    expect(signed.startsWith(`${origin}\n${size}\n${Buffer.from(rootHash).toString('base64')}\n`)).toBe(true)
    // Nothing in it is of the others.
    for (const other of [await originOf(), await originOf('globex').catch(() => 'globex')])
      expect(answer.text).not.toContain(other)
    expect((await get(gateway, `/api/proofs/${entries[0].id}`, 'globex')).status).toBe(404)
    await gateway.close()
  })
})

describe('an older copy of one tenant’s folder, with all it remembered', () => {
  const restore = async (tenant?: string) => {
    await run(2)
    const names = (tenant === undefined ? ['audit.db', 'checkpoints'] : [join('tenants', tenant)]) as [string]
    using copy = folder()
    for (const name of names) cpSync(join(place.path, name), join(copy.path, name), { recursive: true })
    await run(3)
    for (const name of names) {
      rmSync(join(place.path, name), { recursive: true })
      cpSync(join(copy.path, name), join(place.path, name), { recursive: true })
    }
  }

  it.for(['acme', undefined])('is found: %s', async (tenant) => {
    await restore(tenant)
    const origin = await originOf(tenant)
    {
      // By itself it is what was written: keys, checkpoints and entries are of one piece.
      await using reader = await readLedgerFile(fileOf(tenant))
      expect((await checkLedger({ store: reader.store, origin, file: fileOf(tenant) })).findings).toEqual([])
    }
    const { findings } = await checkPlace(placeOf(), { everyLog: true })
    expect(findings).toEqual([expect.objectContaining({ code: 'ROLLED_BACK', origin, message: expect.stringMatching(`^log ${origin}, size .* \\(${fileOf(tenant)}\\)$`) })]) // prettier-ignore
    expect((await checkPlace(placeOf(tenant), { everyLog: false })).findings).toMatchObject([{ code: 'ROLLED_BACK' }])
    expect((await checkPlace(placeOf('globex'), { everyLog: false })).findings).toEqual([])
    await expect(sign(tenant)).rejects.toMatchObject({ code: 'AUDIT_ROLLED_BACK' })
  })

  it('is found by its own auditor over HTTP, and by nobody else’s, also when its successor has grown', async () => {
    await restore('acme')
    const origin = await originOf('acme')
    const gateway = await gatewayWith(config(), place.database)
    for (let i = 0; i < 6; i += 1) await call(gateway, 'acme')
    await call(gateway, 'globex')
    const verify = async (tenant: string) => (await get(gateway, '/api/audit/verify', tenant)).json()
    expect(await verify('acme')).toMatchObject({ intact: false, findings: [{ code: 'ROLLED_BACK', origin }] })
    expect(await verify('globex')).toMatchObject({ intact: true, findings: [], meta: { logs: 1 } })
    await gateway.close()
  })

  it('and so is a folder that is gone', async () => {
    await run(1)
    rmSync(join(place.path, 'tenants', 'acme'), { recursive: true })
    expect((await checkPlace(placeOf(), { everyLog: true })).findings).toMatchObject([{ code: 'LOG_MISSING' }])
  })
})

describe('a meta-log that is not there, or broken', () => {
  const metaFiles = () => readdirSync(place.path).filter((name) => name.startsWith('audit-meta.db'))

  it('stops no call and no checkpoint, is told, and gets what it missed', async () => {
    // SQLite cannot open a folder.
    mkdirSync(metaFileOf(place.database))
    const lines: string[] = []
    const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
    const parsed = parseConfig(JSON.stringify({ port: 0, ...config({ checkpointIntervalMs: 20 }) }), { env: {} })
    const gateway = await startGateway({ config: parsed, database: place.database, logger })
    expect(await call(gateway, 'acme')).toBe(200)
    const signed = async () => {
      await using reader = await readLedgerFile(fileOf('acme'))
      return (await reader.store.lastCheckpoint(reader.log.origin))?.size ?? 0
    }
    await expect.poll(signed, { timeout: 20_000 }).toBeGreaterThan(0)
    await expect.poll(() => lines.join(''), { timeout: 20_000 }).toContain('a checkpoint is not in the meta-log yet')
    await expect.poll(() => lines.join(''), { timeout: 20_000 }).toContain('no checkpoint of the meta-log was signed')
    expect((await get(gateway, '/api/audit/verify', 'acme')).json()).toMatchObject({ intact: true, meta: { problem: 'the meta-log cannot be read' } }) // prettier-ignore
    const { entries } = (await get(gateway, '/api/audit', 'acme')).json() as { entries: [{ id: string }] }
    expect((await get(gateway, `/api/proofs/${entries[0].id}`, 'acme')).json()).toMatchObject({ metaProblem: 'EISDIR' }) // prettier-ignore
    expect(await call(gateway, 'acme')).toBe(200)

    rmSync(metaFileOf(place.database), { recursive: true })
    const missed = await originOf('acme')
    const known = async () => (existsSync(metaFileOf(place.database)) ? (await recorded().catch(() => undefined))?.stated.map(({ origin }) => origin) : []) // prettier-ignore
    await expect.poll(known, { timeout: 20_000 }).toContain(missed)
    await gateway.close()
    expect((await checkPlace(placeOf(), { everyLog: true })).findings).toEqual([])
  })

  it('one that is behind is told, and the next run appends what is missing', async () => {
    await run(1)
    // What a process leaves behind that ends between signing and recording.
    const broken = join(place.path, 'broken', 'audit-meta.db')
    mkdirSync(broken, { recursive: true })
    const gateway = await gatewayWith(config(), place.database)
    await call(gateway, 'acme')
    await gateway.close()
    {
      await using ledger = await openLedgerFile(fileOf('acme'), broken)
      await ledger.keys.checkpoint()
    }
    const log = await originOf('acme')
    const before = await checkPlace(placeOf(), { everyLog: true })
    expect(before).toMatchObject({ findings: [], meta: { behind: [{ log, signed: expect.any(Number) }] } })
    await sign('acme')
    expect(await checkPlace(placeOf(), { everyLog: true })).toMatchObject({ findings: [], meta: { behind: [] } })
    expect((await recorded()).stated.filter(({ origin }) => origin === log)).toHaveLength(2)
  })

  it('one that was removed, set back or changed is found', async () => {
    await run(1)
    using copy = folder()
    for (const name of metaFiles()) cpSync(join(place.path, name), join(copy.path, name))
    await run(1)
    {
      // Proving signs it, and its checkpoint is kept.
      await using ledger = await openLedger(placeOf('acme'))
      const signed = await ledger.keys.checkpoint()
      const { entry, proof, verifierKey } = await ledger.meta.prove(ledger.log.origin, signed?.size ?? 0)
      expect(verifyTlogProof(proof, Buffer.from(entry), trustLogs(verifierKey)).findings).toEqual([])
      const note = proof.slice(proof.indexOf('\n\n') + 2)
      expect(verifyCheckpoint(note, trustLogs(verifierKey)).findings).toEqual([])
    }
    for (const name of metaFiles()) rmSync(join(place.path, name))
    const removed = await checkPlace(placeOf(), { everyLog: true })
    expect(removed).toMatchObject({ findings: [{ code: 'ROLLED_BACK' }], meta: undefined })
    for (const name of readdirSync(copy.path)) cpSync(join(copy.path, name), join(place.path, name))
    expect((await checkPlace(placeOf(), { everyLog: true })).findings).toMatchObject([{ code: 'ROLLED_BACK' }])
    writeFileSync(metaFileOf(place.database), 'x'.repeat(10_000))
    const garbage = await checkPlace(placeOf(), { everyLog: true })
    expect(garbage).toMatchObject({ findings: [], meta: { problem: expect.stringContaining('not a database') } })
  })
})
