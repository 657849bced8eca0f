// What a caller sees on /mcp when there is too much to see, and the gateway as a server of its own.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger, parseConfig, startGateway, type RunningGateway } from '@mcp-gateway/gateway'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { echoServer, KEY, KEYS, modern, openSession, send } from './support.ts'

const OTHER_KEY = 'gw_other_0123456789abcdef0123456789abcdef'
const auth = {
  ...KEYS,
  keys: [...KEYS.keys, { id: 'other', key: OTHER_KEY, name: 'other', consumerId: 'other', roles: [] }],
}
const folder = mkdtempSync(join(tmpdir(), 'mcp-gateway-discovery-'))
afterAll(() => rmSync(folder, { recursive: true }))

const open: RunningGateway[] = []
afterEach(async () => {
  for (const gateway of open.splice(0)) await gateway.close()
})

async function start(config: object, database?: string): Promise<RunningGateway> {
  const text = JSON.stringify({ port: 0, auth, servers: [echoServer('one', { tags: ['speech'], description: 'Says it again' }), echoServer('two')], ...config }) // prettier-ignore
  const gateway = await startGateway({
    config: parseConfig(text, { env: {} }),
    logger: createLogger('silent'),
    ...(database !== undefined && { database }),
  })
  open.push(gateway)
  return gateway
}

type Result = Record<string, unknown>
const ask = async (gateway: RunningGateway, method: string, params = {}, headers = {}, path = '/mcp') => {
  const request = modern(method, params)
  const answer = await send(gateway, path, { ...request, headers: { ...request.headers, ...headers } })
  return answer.json() as { result: Result; error?: { data: { code: string } } }
}
const call = async (gateway: RunningGateway, name: string, args = {}, headers = {}, path = '/mcp') =>
  (await ask(gateway, 'tools/call', { name, arguments: args }, headers, path)).result
const namesIn = async (gateway: RunningGateway, headers = {}) =>
  ((await ask(gateway, 'tools/list', {}, headers)).result['tools'] as { name: string }[]).map(({ name }) => name)
const OWN = 'audit_log audit_stats audit_verify call disable_server enable_server list_enabled list_servers list_tools search_servers server_info server_status usage'.split(' ') // prettier-ignore
const own = OWN.map((name) => `gateway__${name}`)

describe('opt-in discovery', () => {
  it('shows the gateway’s own tools, then those of the servers that were enabled, to the one who enabled them', async () => {
    const gateway = await start({ discovery: 'opt-in' })
    expect(await namesIn(gateway)).toEqual(own)
    expect(await ask(gateway, 'tools/call', { name: 'one__echo' })).toMatchObject({ error: { data: { code: 'WIRE_UNKNOWN_NAME' } } }) // prettier-ignore
    expect((await call(gateway, 'gateway__enable_server', { server: 'one' }))['structuredContent']).toMatchObject({ enabled: true, changed: true }) // prettier-ignore
    expect(await namesIn(gateway)).toContain('one__echo')
    expect(await namesIn(gateway, { authorization: `Bearer ${OTHER_KEY}` })).toEqual(own)
    // A caller that names its session has each of them for itself.
    expect(await namesIn(gateway, { 'x-mcp-session': 'night' })).toEqual(own)
    expect(await call(gateway, 'one__echo', { message: 'x' })).toMatchObject({ resultType: 'complete' })
    expect((await call(gateway, 'gateway__list_enabled'))['structuredContent']).toMatchObject({ servers: [{ id: 'one' }] }) // prettier-ignore
    await call(gateway, 'gateway__disable_server', { server: 'one' })
    expect(await namesIn(gateway)).toEqual(own)
  })

  it('remembers across a restart', async () => {
    const database = join(folder, 'sub', 'gateway.db')
    const first = await start({ discovery: 'opt-in' }, database)
    await call(first, 'gateway__enable_server', { server: 'two' })
    await first.close()
    open.pop()
    const second = await start({ discovery: 'opt-in' }, database)
    expect(await namesIn(second)).toContain('two__echo')
  })

  it('begins by itself above the threshold', async () => {
    const gateway = await start({ discoveryThreshold: 2 })
    expect(await namesIn(gateway)).toEqual(own)
    expect(await namesIn(gateway)).toEqual(own)
  })

  it('a legacy session sees the same, and is told when its list has changed', async () => {
    const gateway = await start({ discovery: 'opt-in' })
    const { post, headers } = await openSession(gateway, '/mcp')
    const namesOf = async () =>
      ((await post({ id: 1, method: 'tools/list' })).json()['result'] as { tools: { name: string }[] }).tools.map(({ name }) => name) // prettier-ignore
    expect(await namesOf()).toEqual(own)
    const stop = new AbortController()
    const stream = await fetch(`${gateway.url}/mcp`, { headers, signal: stop.signal })
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader()
    const enabled = await post({ id: 2, method: 'tools/call', params: { name: 'gateway__enable_server', arguments: { server: 'one' } } }) // prettier-ignore
    expect(enabled.json()['result']).not.toHaveProperty('resultType')
    let seen = ''
    while (!seen.includes('notifications/tools/list_changed')) seen += (await reader?.read())?.value ?? ''
    expect(await namesOf()).toContain('one__echo')
    stop.abort()
  })

  it('a modern client that listens is told, too', async () => {
    const gateway = await start({ discovery: 'opt-in' })
    const stop = new AbortController()
    const request = modern('subscriptions/listen', { notifications: { toolsListChanged: true } }, 'sub')
    const stream = await fetch(`${gateway.url}/mcp`, { method: 'POST', ...request, signal: stop.signal })
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toContain('"notifications":{"toolsListChanged":true}')
    await call(gateway, 'gateway__enable_server', { server: 'one' })
    const told = (await reader?.read())?.value
    expect(told).toContain('notifications/tools/list_changed')
    expect(told).toContain('"io.modelcontextprotocol/subscriptionId":"sub"')
    stop.abort()
  })
})

describe('the gateway’s own tools', () => {
  it('find servers by their words, the id before the description', async () => {
    const gateway = await start({ discovery: 'opt-in' })
    const found = async (args: object) => {
      const { servers } = (await call(gateway, 'gateway__search_servers', args))['structuredContent'] as { servers: { id: string }[] } // prettier-ignore
      return servers.map(({ id }) => id)
    }
    expect(await found({})).toEqual(['one', 'two'])
    expect(await found({ query: 'SPEECH' })).toEqual(['one'])
    expect(await found({ query: 'two again' })).toEqual(['two', 'one'])
    expect(await found({ query: 'nothing' })).toEqual([])
  })

  it('say how a server is, and call its tools with an object or with JSON text', async () => {
    const gateway = await start({ discovery: 'opt-in' })
    const status = () => call(gateway, 'gateway__server_status', { server: 'one' })
    expect((await status())['structuredContent']).toMatchObject({ id: 'one', status: 'stopped' })
    expect((await call(gateway, 'gateway__server_info', { server: 'one' }))['structuredContent']).toMatchObject({
      tools: expect.arrayContaining([expect.objectContaining({ name: 'one__echo' })]),
    })
    expect((await status())['structuredContent']).toMatchObject({ status: 'ready' })
    for (const args of [{ message: 'hi' }, '{"message":"hi"}']) {
      const answer = await call(gateway, 'gateway__call', { tool: 'one__echo', args })
      expect(JSON.stringify(answer)).toContain('\\"message\\":\\"hi\\"')
    }
  })

  it.each([
    ['gateway__enable_server', { server: 'none' }, 'GATEWAY_UNKNOWN_SERVER'],
    ['gateway__enable_server', {}, 'GATEWAY_INVALID_REQUEST'],
    ['gateway__call', { tool: 'one__echo', args: '[' }, 'WIRE_PARSE_ERROR'],
    ['gateway__call', { tool: 'none__echo' }, 'WIRE_UNKNOWN_NAME'],
  ])('%s %j is an error that the model can read', async (name, args, code) => {
    const gateway = await start({ discovery: 'opt-in' })
    const answer = await call(gateway, name, args)
    expect(answer['isError']).toBe(true)
    expect(JSON.stringify(answer['content'])).toContain(code)
  })

  it('are a server of their own for both eras, whatever /mcp shows', async () => {
    const gateway = await start({})
    expect(await namesIn(gateway)).not.toContain('gateway__call')
    const { result } = await ask(gateway, 'tools/list', {}, {}, '/mcp/server/gateway')
    expect((result['tools'] as { name: string }[]).map(({ name }) => name).toSorted()).toEqual(OWN)
    const listed = await call(gateway, 'list_servers', {}, {}, '/mcp/server/gateway')
    expect(listed['structuredContent']).toMatchObject({ servers: [{ id: 'one' }, { id: 'two' }] })
    const { opened, post } = await openSession(gateway, '/mcp/server/gateway')
    expect(opened.json()).toMatchObject({ result: { capabilities: { tools: {} } } })
    expect((await post({ id: 3, method: 'tools/call', params: { name: 'list_servers' } })).json()).toMatchObject({
      result: { structuredContent: { servers: [{ id: 'one' }, { id: 'two' }] } },
    })
    expect(() => parseConfig(JSON.stringify({ servers: [echoServer('gateway')] }), { env: {} })).toThrow('is the gateway itself') // prettier-ignore
  })

  it('need the key like everything else', async () => {
    const gateway = await start({})
    const request = modern('tools/list')
    const { authorization: _key, ...headers } = request.headers
    expect(KEY).not.toBe('')
    expect((await send(gateway, '/mcp/server/gateway', { ...request, headers })).status).toBe(401)
  })
})
