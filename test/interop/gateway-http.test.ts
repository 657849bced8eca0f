// Acceptance: every client lists and calls the tools of three servers through the gateway's one endpoint, /mcp.
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { cliSource, type Gateway, startGateway } from '../support/gateway.ts'
import { processesWith } from '../support/processes.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { clients, type HttpEndpoint } from './clients.ts'
import { referenceServers } from './upstreams.ts'

const key = 'gw_test_0123456789abcdef0123456789abcdef'
const upstreams = referenceServers()
const home = scratchDirectory()
let gateway: Gateway
let endpoint: HttpEndpoint

beforeAll(async () => {
  gateway = await startGateway(cliSource, {
    auth: { type: 'api-key', keys: [{ id: 't', key, name: 't', consumerId: 't', roles: ['admin'] }] },
    servers: upstreams.servers,
  })
  endpoint = { kind: 'http', url: `${gateway.origin}/mcp`, headers: { Authorization: `Bearer ${key}` } }
})

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]()
  upstreams[Symbol.dispose]()
  home[Symbol.dispose]()
})

const overHttp = clients.filter(({ kinds }) => kinds.includes('http'))

describe.each(overHttp)('$name through /mcp', (client) => {
  test('lists the tools of all three servers', async () => {
    await using connection = await client.connect({ endpoint, home: home.path })
    const names = await connection.listTools()
    expect(names).toEqual(expect.arrayContaining(upstreams.cases.map(({ server, tool }) => `${server}__${tool}`)))
  })

  test.each(upstreams.cases)('calls $tool of server-$server', async ({ server, tool, args, answer }) => {
    await using connection = await client.connect({ endpoint, home: home.path })
    expect(await connection.callTool(`${server}__${tool}`, args)).toContain(answer)
  })

  test.each(upstreams.cases)('calls $tool under its own name through /mcp/server/$server', async (it) => {
    const url = `${gateway.origin}/mcp/server/${it.server}`
    await using connection = await client.connect({ endpoint: { ...endpoint, url }, home: home.path })
    expect(await connection.listTools()).toContain(it.tool)
    expect(await connection.callTool(it.tool, it.args)).toContain(it.answer)
  })

  test('is refused without a key', async () => {
    const refused = client.connect({ endpoint: { ...endpoint, headers: {} }, home: home.path }).then((connection) => {
      // The inspector connects only now.
      return connection.listTools()
    })
    await expect(refused).rejects.toThrow()
  })
})

describe('with a server of the modern era', () => {
  const fixture = fileURLToPath(new URL('../conformance/fixture/stdio.ts', import.meta.url))

  test.each(['/mcp', '/mcp/server/fixture'])('a client that negotiates stays in that era through %s', async (path) => {
    await using modern = await startGateway(cliSource, {
      auth: { type: 'none' },
      servers: [{ id: 'fixture', command: process.execPath, args: [fixture] }],
    })
    const auto = overHttp.find(({ name }) => name === 'SDK v2, auto')
    if (auto === undefined) throw new Error('no such client')
    const url = `${modern.origin}${path}`
    await using connection = await auto.connect({ endpoint: { kind: 'http', url, headers: {} }, home: home.path })
    expect(connection.era).toBe('modern')
    const prefix = path === '/mcp' ? 'fixture__' : ''
    expect(await connection.callTool(`${prefix}test_simple_text`, {})).toContain('simple text response')
  })
})

test('leaves no server process behind', async () => {
  expect(processesWith(upstreams.marker)).not.toEqual([])
  await gateway[Symbol.asyncDispose]()
  await expect.poll(() => processesWith(upstreams.marker), { timeout: 5_000 }).toEqual([])
})
