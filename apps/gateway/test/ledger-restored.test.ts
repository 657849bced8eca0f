// A log that was put back from a backup: its successor begins, names it, and is signed; the old one stays as it is, is a finding
// for good, and is read, aged and erased with the new one.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { AuditStore } from '@mcp-gateway/audit-chain'
import type { RunningGateway } from '@mcp-gateway/gateway'
import { checkPlace, metaFileOf, openLedger, openLedgerFile, predecessorsOf, queryLedger, readLedger, readLedgerFile, type LedgerPlace } from '@mcp-gateway/gateway/ledger' // prettier-ignore
import { openLedgerLog } from '../src/ledger-store.ts'
import { continueOrSucceed } from '../src/ledger-succession.ts'
import { entriesIn, folder, type Folder } from './ledger-support.ts'
import { echoServer, gatewayWith, modern, send } from './support.ts'

const KEY = 'gw_test_0123456789abcdef0123456789abcdef'
const TENANT_KEY = 'gw_test_acme_0123456789abcdef0123456789abcdef'
const keys = [
  { id: 'k', key: KEY, name: 'k', consumerId: 'anna', roles: ['auditor'] },
  { id: 'a', key: TENANT_KEY, name: 'a', consumerId: 'bert', roles: ['auditor'], tenantId: 'acme' },
]
const config = (audit: object = {}) => ({
  auth: { type: 'api-key', keys },
  servers: [echoServer('one', { tenants: ['default', 'acme'] })],
  audit,
})

let place: Folder
let copy: Folder
beforeEach(() => {
  place = folder()
  copy = folder()
})
afterEach(() => {
  place[Symbol.dispose]()
  copy[Symbol.dispose]()
})

const fileOf = (tenant?: string) => join(place.path, ...(tenant === undefined ? [] : ['tenants', tenant]), 'audit.db')
const placeOf = (tenant?: string): LedgerPlace => ({ file: fileOf(tenant), meta: metaFileOf(place.database) })
const call = async (gateway: RunningGateway, key = KEY) => {
  const request = modern('tools/call', { name: 'echo', arguments: { text: 'said-by-them' } })
  const headers = { ...request.headers, authorization: `Bearer ${key}` }
  return (await send(gateway, '/mcp/server/one', { ...request, headers })).status
}

/** A gateway that is started, called by both tenants, and stopped; then its logs are signed. */
async function run(calls: number): Promise<void> {
  await using gateway = await gatewayWith(config(), place.database)
  for (let i = 0; i < calls; i += 1) for (const key of [KEY, TENANT_KEY]) expect(await call(gateway, key)).toBe(200)
  await gateway.close()
  await sign()
  await sign('acme')
}
async function sign(tenant?: string): Promise<number> {
  await using ledger = await openLedger(placeOf(tenant))
  return (await ledger.keys.checkpoint())?.size ?? 0
}
async function stateOf(tenant?: string) {
  await using reader = await readLedgerFile(fileOf(tenant))
  const { size = 0 } = (await reader.store.head(reader.log.origin)) ?? {}
  return { origin: reader.log.origin, size }
}

const names = (tenant?: string) => (tenant === undefined ? ['audit.db'] : [join('tenants', tenant)])
const backUp = (tenant?: string): void => {
  for (const name of names(tenant)) cpSync(join(place.path, name), join(copy.path, name), { recursive: true })
}
const putBack = (tenant?: string): void => {
  for (const name of names(tenant)) {
    rmSync(join(place.path, name), { recursive: true })
    cpSync(join(copy.path, name), join(place.path, name), { recursive: true })
  }
}

it.for([undefined, 'acme'])('a successor begins that names it and goes on, once: %s', async (tenant) => {
  await run(2)
  backUp(tenant)
  await run(3)
  const before = await stateOf(tenant)
  putBack(tenant)
  const old = await stateOf(tenant)
  expect(old.origin).toBe(before.origin)
  await run(4)
  const after = await stateOf(tenant)
  expect(after.origin).toBe(`${before.origin}.2`)
  const [first, ...rest] = await entriesIn(fileOf(tenant))
  expect(first).toMatchObject({ seq: 0, type: 'log.opened', facts: { previous: { origin: before.origin, size: before.size } } }) // prettier-ignore
  expect(rest.filter(({ type }) => type === 'tool.call')).toHaveLength(4)
  // What is missing stays a finding, and nothing else is one.
  for (const everyLog of [false, true]) {
    const { findings, signedSize } = await checkPlace(placeOf(tenant), { everyLog })
    expect(new Set(findings.map(({ code, origin }) => `${code} ${origin}`))).toEqual(new Set([`ROLLED_BACK ${before.origin}`])) // prettier-ignore
    expect(signedSize).toBe(after.size)
  }
  // The old one is as it was put back, and can be read.
  await using earlier = await readLedger({ ...placeOf(tenant), log: before.origin })
  expect((await earlier.store.head(before.origin))?.size).toBe(old.size)
  expect((await queryLedger(earlier, { limit: 100, withBodies: true })).entries).toHaveLength(old.size)
  // Started again, it goes on.
  await run(1)
  const again = await stateOf(tenant)
  expect(again.origin).toBe(after.origin)
  expect(again.size).toBeGreaterThan(after.size)
})

/** A log of two runs in the place of one of three. */
async function putBackOlder(): Promise<void> {
  await run(2)
  backUp()
  await run(1)
  putBack()
}

it('put back once more from before its successor: nobody takes that one’s name, and the next names what it was', async () => {
  await run(1)
  backUp()
  await run(1)
  const { origin } = await stateOf()
  putBack()
  await run(1)
  const second = await stateOf()
  putBack()
  await run(1)
  expect((await stateOf()).origin).toBe(`${origin}.3`)
  const [first] = await entriesIn(fileOf())
  expect(first?.facts).toEqual({ previous: { origin: second.origin, size: second.size, root: expect.any(String) } })
})

it('a checkpoint that we did not sign begins nothing', async () => {
  await run(1)
  const { origin } = await stateOf()
  // By somebody who can write beside the log, and not sign.
  const directory = join(place.path, 'checkpoints')
  for (const name of readdirSync(directory)) {
    const note = readFileSync(join(directory, name), 'utf8')
    if (note.startsWith(`${origin}\n`)) writeFileSync(join(directory, name), note.replace(/\n\d+\n/, '\n9999\n'))
  }
  await using gateway = await gatewayWith(config(), place.database)
  expect(await call(gateway)).toBe(200)
  await gateway.close()
  expect((await stateOf()).origin).toBe(origin)
  await expect(sign()).rejects.toMatchObject({ code: 'AUDIT_FORKED' })
})

it('one that another gateway writes to and signs just then was not put back', async () => {
  await run(1)
  const { origin } = await stateOf()
  using opened = await openLedgerLog(fileOf())
  await using other = await openLedgerFile(fileOf())
  let looks = 0
  const store: AuditStore = {
    ...opened.store,
    // What the other one does between any two looks of ours.
    async head(name) {
      const seen = await opened.store.head(name)
      looks += 1
      await other.log.append({ type: 'test' })
      await other.keys.checkpoint()
      return seen
    },
  }
  const options = { file: fileOf(), meta: undefined, logger: pino({ level: 'silent' }) }
  const { log } = await continueOrSucceed({ ...opened, store }, options)
  expect(looks).toBeGreaterThan(0)
  expect(log.origin).toBe(origin)
})

it('gateways that start at the same time begin one successor, and go on in it together', async () => {
  await putBackOlder()
  const { origin } = await stateOf()
  await using gateways = new AsyncDisposableStack()
  const started = await Promise.all(Array.from({ length: 4 }, () => gatewayWith(config(), place.database)))
  for (const gateway of started) gateways.defer(async () => await gateway.close())
  for (const gateway of started) expect(await call(gateway)).toBe(200)
  await gateways.disposeAsync()
  await sign()
  const after = await stateOf()
  expect(after.origin).toBe(`${origin}.2`)
  expect((await entriesIn(fileOf())).filter(({ type }) => type === 'tool.call')).toHaveLength(4)
  const { findings } = await checkPlace(placeOf(), { everyLog: true })
  expect(new Set(findings.map((finding) => finding.origin))).toEqual(new Set([origin]))
})

it('a successor that another gateway began and signed meanwhile is the one', async () => {
  await putBackOlder()
  const { origin } = await stateOf()
  using late = await openLedgerLog(fileOf())
  await run(1)
  const { log } = await continueOrSucceed(late, { file: fileOf(), meta: undefined, logger: pino({ level: 'silent' }) })
  expect(log.origin).toBe(`${origin}.2`)
  expect((await stateOf()).origin).toBe(`${origin}.2`)
})

it('what ages, does so in the old log too', async () => {
  await putBackOlder()
  await run(2)
  const withData = async (): Promise<number[]> => {
    await using ledger = await openLedger(placeOf())
    const counts: number[] = []
    const count = async (origin: string) => counts.push((await ledger.store.bySubject(origin, 'anna', 0)).length)
    for await (const { log } of predecessorsOf(ledger)) await count(log.origin)
    await count(ledger.log.origin)
    return counts
  }
  expect(await withData()).toEqual([2, 2])
  using _later = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 2 * 86_400_000)
  await using gateway = await gatewayWith(config({ retentionDays: 1 }), place.database)
  await expect.poll(withData, { timeout: 10_000 }).toEqual([0, 0])
  await gateway.close()
})
