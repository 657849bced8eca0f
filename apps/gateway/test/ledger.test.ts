// Every way a call ends leaves exactly one entry, and what else is in the log.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseConfig, type RunningGateway } from '@mcp-gateway/gateway'
import { callsIn, entriesIn, folder, type Folder } from './ledger-support.ts'
import { echoServer, gatewayWith, KEY, KEYS, modern, openSession, send } from './support.ts'

let place: Folder
let gateway: RunningGateway
const config = {
  auth: KEYS,
  servers: [
    echoServer('one', { timeout: 700 }),
    { id: 'broken', command: process.execPath, args: ['-e', 'process.exit(3)'] },
  ],
}
beforeAll(async () => {
  place = folder()
  gateway = await gatewayWith(config, place.database)
})
afterAll(async () => {
  await gateway.close()
  place[Symbol.dispose]()
})

const tool = (name: string, args: object = {}) => modern('tools/call', { name, arguments: args })
const call = (path: string, request: ReturnType<typeof modern>) => send(gateway, path, request)
const leave = async (path: string, request: ReturnType<typeof modern>): Promise<void> => {
  const controller = new AbortController()
  const gone = fetch(`${gateway.url}${path}`, { method: 'POST', ...request, signal: controller.signal }).then(
    (response) => response.text(),
  )
  setTimeout(() => controller.abort(), 150)
  await expect(gone).rejects.toThrow()
}

const exits: [title: string, act: () => Promise<unknown>, expected: object][] = [
  ['served', () => call('/mcp/server/one', tool('echo', { a: 1 })), { status: 'served', server: 'one', name: 'echo' }],
  ['a tool error', () => call('/mcp/server/one', tool('fail')), { status: 'tool_error', server: 'one' }],
  ['a JSON-RPC error', () => call('/mcp/server/one', modern('no/such')), { status: 'error', code: '-32601' }],
  [
    'a name that leads nowhere',
    () => call('/mcp', tool('nowhere__x')),
    { status: 'refused', code: 'WIRE_UNKNOWN_NAME' },
  ],
  ['a killed child', () => call('/mcp/server/one', tool('exit')), { status: 'failed', server: 'one' }],
  ['a child that never starts', () => call('/mcp/server/broken', tool('x')), { status: 'failed', server: 'broken' }],
  ['a timeout', () => call('/mcp/server/one', tool('slow')), { status: 'timeout', code: 'WIRE_UPSTREAM_TIMEOUT' }],
  ['a client that is gone', () => leave('/mcp/server/one', tool('slow')), { status: 'abandoned' }],
  ['a client that leaves a stream', () => leave('/mcp/server/one', modern('tools/call', { name: 'ask', _meta: { progressToken: 'p' } })), { status: 'abandoned' }], // prettier-ignore
  ['a list', () => call('/mcp', modern('tools/list')), { status: 'served', method: 'tools/list' }],
  ['a REST call', () => send(gateway, '/api/servers/one/tools/echo', { headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }, body: '{"arguments":{"via":"rest"}}' }), { status: 'served', server: 'one', name: 'echo' }], // prettier-ignore
]

describe('exactly one entry', () => {
  it.for(exits)('%s', async ([, act, expected]) => {
    const before = (await callsIn(place.audit)).length
    await act()
    await expect.poll(async () => (await callsIn(place.audit)).length).toBeGreaterThan(before)
    // A second one would come with a late end of the same call.
    await new Promise((resolve) => setTimeout(resolve, 100))
    const added = (await callsIn(place.audit)).slice(before)
    expect(added.map(({ facts }) => facts)).toEqual([expect.objectContaining(expected)])
    expect(added[0]).toMatchObject({ consumer: 'tester', keyId: 'test' })
    expect(added[0]?.facts['latencyMs']).toBeGreaterThanOrEqual(0)
  })

  it('cancelled by a legacy client', async () => {
    const session = await openSession(gateway, '/mcp/server/one')
    const before = (await callsIn(place.audit)).length
    const pending = session.post({ id: 'c', method: 'tools/call', params: { name: 'slow' } })
    await new Promise((resolve) => setTimeout(resolve, 150))
    await session.post({ method: 'notifications/cancelled', params: { requestId: 'c' } })
    await pending
    await expect.poll(async () => (await callsIn(place.audit)).length).toBeGreaterThan(before)
    const added = (await callsIn(place.audit)).slice(before)
    expect(added.map(({ facts }) => facts['status'])).toEqual(['abandoned'])
  })
})

it('has who, what, sizes, the server and both bodies', async () => {
  await call('/mcp/server/one', tool('echo', { text: 'précis' }))
  const last = (await callsIn(place.audit)).at(-1)
  expect(last).toMatchObject({
    type: 'tool.call',
    consumer: 'tester',
    arguments: '{"text":"précis"}',
    facts: { method: 'tools/call', requestBytes: 18, serverInfo: { era: 'modern' } },
  })
  expect(last?.response).toContain('précis')
  expect(last?.requestId).toBeTypeOf('string')
})

it('cuts what is too large, and says so', async () => {
  await call('/mcp/server/one', tool('echo', { text: 'x'.repeat(20_000) }))
  const last = (await callsIn(place.audit)).at(-1)
  expect(last?.facts).toMatchObject({ argumentsCutAt: 16_384, requestBytes: 20_011 })
  expect(last?.arguments).toHaveLength(16_384)
})

it('is for the eyes of its own user', () => {
  const files = readdirSync(place.path).filter((name) => name.startsWith('audit.db'))
  expect(files).toContain('audit.db-wal')
  for (const name of files) expect(statSync(join(place.path, name)).mode & 0o077).toBe(0)
})

it('does not log pings', async () => {
  const before = (await callsIn(place.audit)).length
  await call('/mcp/server/one', modern('ping'))
  await call('/mcp/server/one', tool('echo'))
  expect((await callsIn(place.audit)).length).toBe(before + 1)
})

it('keeps only hashes when it is told to', async () => {
  using other = folder()
  await using hashing = await gatewayWith(
    { ...config, audit: { arguments: 'hash', responses: 'hash' } },
    other.database,
  )
  await send(hashing, '/mcp/server/one', tool('echo', { secret: 'hunter2' }))
  const [entry] = await callsIn(other.audit)
  expect(entry?.arguments).toMatch(/^sha256:[0-9a-f]{64}$/)
  expect(entry?.response).toMatch(/^sha256:[0-9a-f]{64}$/)
})

it('says when the gateway started and stopped, when its configuration changed, and which keys', async () => {
  using other = folder()
  const short = await gatewayWith(config, other.database)
  const [key] = KEYS.keys
  const next = {
    ...config,
    auth: {
      ...KEYS,
      keys: [
        { ...key, roles: [] },
        { ...key, id: 'new', key: `${KEY}2` },
      ],
    },
  }
  await short.reload(parseConfig(JSON.stringify({ port: 0, log: { level: 'silent' }, ...next }), { env: {} }))
  await short.close()
  const entries = await entriesIn(other.audit)
  expect(entries.map(({ type }) => type)).toEqual(['gateway.started', 'config.reloaded', 'gateway.stopped'])
  expect(entries[1]?.facts).toMatchObject({ keys: { added: ['new'], changed: ['test'], removed: [] } })
  await using _again = await gatewayWith(config, other.database)
  expect((await entriesIn(other.audit)).length).toBe(4)
})

it('a flood of refused logins leaves 60 entries and one that counts the others', async () => {
  using other = folder()
  const flooded = await gatewayWith(config, other.database)
  const bad = { ...tool('echo'), headers: { ...tool('echo').headers, authorization: 'Bearer gw_wrong_key_of_nobody' } }
  for (let i = 0; i < 100; i += 1) expect((await send(flooded, '/mcp/server/one', bad)).status).toBe(401)
  await flooded.close()
  const entries = await entriesIn(other.audit)
  expect(entries.filter(({ type }) => type === 'login.refused')).toHaveLength(60)
  expect(entries.find(({ type }) => type === 'login.refused.more')?.facts).toMatchObject({ count: 40 })
})

describe('a log that cannot be written', () => {
  /** Another process that holds the write lock: what a full disk does, without filling one. */
  const locked = (audit: string): Disposable => {
    const database = new DatabaseSync(audit)
    database.exec('begin immediate')
    return { [Symbol.dispose]: () => database.close() }
  }

  it('closed: the caller gets a clear error, nothing more runs, and the gap is recorded afterwards', async () => {
    using other = folder()
    await using closed = await gatewayWith(config, other.database)
    await send(closed, '/mcp/server/one', tool('echo'))
    {
      using _lock = locked(other.audit)
      const first = await send(closed, '/mcp/server/one', tool('echo'))
      expect(first.json()).toMatchObject({ error: { data: { code: 'GATEWAY_AUDIT_UNAVAILABLE' } } })
      const pid = await send(closed, '/mcp/server/one', tool('pid'))
      expect(pid.json()).toMatchObject({ error: { data: { code: 'GATEWAY_AUDIT_UNAVAILABLE' } } })
    }
    expect((await send(closed, '/mcp/server/one', tool('echo'))).status).toBe(200)
    const entries = await entriesIn(other.audit)
    expect(entries.map(({ type }) => type)).toEqual(['gateway.started', 'tool.call', 'audit.gap', 'tool.call'])
    expect(entries[2]?.facts).toMatchObject({ lost: 1 })
  })

  it('open: the caller gets the answer, and the gap is recorded afterwards', async () => {
    using other = folder()
    await using open = await gatewayWith({ ...config, audit: { onFailure: 'open' } }, other.database)
    {
      using _lock = locked(other.audit)
      expect((await send(open, '/mcp/server/one', tool('echo'))).json()).toHaveProperty('result')
    }
    await send(open, '/mcp/server/one', tool('echo'))
    const entries = await entriesIn(other.audit)
    expect(entries.map(({ type }) => type)).toEqual(['gateway.started', 'audit.gap', 'tool.call'])
  })
})

it('async: the answer does not wait, and the entry is there when the gateway has stopped', async () => {
  using other = folder()
  const ahead = await gatewayWith({ ...config, audit: { mode: 'async' } }, other.database)
  for (let i = 0; i < 20; i += 1) await send(ahead, '/mcp/server/one', tool('echo', { i }))
  await ahead.close()
  expect((await callsIn(other.audit)).map((entry) => entry.arguments)).toEqual(
    Array.from({ length: 20 }, (_, i) => `{"i":${i}}`),
  )
})

it('is not there when it is switched off', async () => {
  using other = folder()
  await using off = await gatewayWith({ ...config, audit: { enabled: false } }, other.database)
  expect((await send(off, '/mcp/server/one', tool('echo'))).status).toBe(200)
  await expect(entriesIn(other.audit)).rejects.toMatchObject({ code: 'AUDIT_NOT_FOUND' })
})
