// What GET /metrics says, to whom, and what it never says. Each page is read as strictly as a scraper reads it.
import { once } from 'node:events'
import { request } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { parseConfig, type RunningGateway } from '@mcp-gateway/gateway'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { entriesIn, folder } from './ledger-support.ts'
import { echoServer, gatewayWith, modern, openSession, send, KEY } from './support.ts'
import { parsePrometheus } from './support/prometheus.ts'

const key = (who: string) => `gw_test_${who}_0123456789abcdef0123456789abcdef`
const CONSUMER = 'canary-of-a-consumer'
const keys = [
  { id: 'operator', key: key('operator'), consumerId: 'operator', roles: ['metrics'] },
  { id: 'test', key: KEY, consumerId: 'ada', roles: ['admin'] },
  { id: 'agent', key: key('agent'), consumerId: CONSUMER, roles: ['user'] },
  { id: 'acme', key: key('acme'), consumerId: 'acme', roles: ['admin', 'metrics', 'user'], tenantId: 'acme' },
]
const auth = { type: 'api-key', keys }
const args = (more: readonly string[]) => ({ args: [...(echoServer('x') as { args: string[] }).args, ...more] })

const scrape = (gateway: RunningGateway, who = 'operator') =>
  send(gateway, '/metrics', { method: 'GET', headers: { authorization: `Bearer ${key(who)}` } })

type Labels = Readonly<Record<string, string>>
/** The samples of one name that have these labels, all of them. */
async function samplesOf(gateway: RunningGateway, name: string, wanted: Labels = {}) {
  const families = parsePrometheus((await scrape(gateway)).text)
  return [...families.values()]
    .flatMap(({ samples }) => samples)
    .filter((sample) => sample.name === name)
    .filter(({ labels }) => Object.entries(wanted).every(([label, value]) => labels[label] === value))
}
async function valueOf(gateway: RunningGateway, name: string, wanted: Labels = {}): Promise<number> {
  return (await samplesOf(gateway, name, wanted)).reduce((sum, { value }) => sum + value, 0)
}
const calls = (gateway: RunningGateway, server: string, tool: string, status: string) =>
  valueOf(gateway, 'mcp_gateway_requests_total', { server, tool, status })

const as = (who: string, request: ReturnType<typeof modern>, more: Record<string, string> = {}) => ({
  ...request,
  headers: { ...request.headers, authorization: `Bearer ${key(who)}`, ...more },
})
const call = (gateway: RunningGateway, path: string, name: string, args: object = {}, who = 'agent') =>
  send(gateway, path, as(who, modern('tools/call', { name, arguments: args })))
const rest = (gateway: RunningGateway, server: string, name: string, body: object = {}) =>
  send(gateway, `/api/servers/${server}/tools/${encodeURIComponent(name)}`, {
    headers: { authorization: `Bearer ${key('agent')}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
const list = (gateway: RunningGateway, path: string, who = 'agent') =>
  send(gateway, path, as(who, modern('tools/list')))

describe('what is counted', () => {
  const LONG = 'a-tool-whose-name-is-so-long-that-it-does-not-fit-behind-a-prefix'
  let gateway: RunningGateway
  beforeAll(async () => {
    gateway = await gatewayWith({
      auth,
      servers: [
        echoServer('one', { tools: { steps: { timeout: 50 } } }),
        echoServer('two', args(['--legacy'])),
        { id: 'dead', command: '/nonexistent' },
      ],
      policies: [
        { id: 'agents', roles: ['user', 'admin'], rules: [{ server: '*', tool: '*', action: 'allow' }, { id: 'no-exit', tool: 'exit', action: 'deny' }] }, // prettier-ignore
      ],
      rateLimit: { limits: [{ id: 'pids', per: ['caller'], tool: 'pid', rate: '1/min' }] },
      trustedProxies: ['127.0.0.1'],
      ipFilter: { deny: ['203.0.113.0/24'] },
    })
    await list(gateway, '/mcp')
  })
  afterAll(() => gateway.close())

  it('every name of the contract is there, with its type and nothing without help', async () => {
    await call(gateway, '/mcp/server/one', 'echo')
    const families = parsePrometheus((await scrape(gateway)).text)
    const types = Object.fromEntries(Array.from(families, ([name, { type }]) => [name, type]))
    expect(types).toEqual({
      mcp_gateway_requests_total: 'counter',
      mcp_gateway_request_duration_ms: 'histogram',
      mcp_gateway_active_servers: 'gauge',
      mcp_gateway_rate_limited_total: 'counter',
      mcp_gateway_auth_failures_total: 'counter',
      mcp_gateway_uptime_seconds: 'gauge',
      mcp_gateway_ip_blocked_total: 'counter',
      http_requests_total: 'counter',
      http_request_duration_seconds: 'histogram',
      http_active_requests: 'gauge',
      mcp_tool_calls_total: 'counter',
      mcp_tool_duration_seconds: 'histogram',
      mcp_servers_active: 'gauge',
      mcp_servers_failed: 'gauge',
      rate_limit_hits_total: 'counter',
      process_memory_bytes: 'gauge',
      process_uptime_seconds: 'gauge',
    })
    for (const [name, { help, samples }] of families) {
      expect(help, name).not.toBe('')
      expect(samples.length, name).toBeGreaterThan(0)
    }
  })

  const SEVERAL: readonly [string, string, string, string, (to: RunningGateway) => Promise<unknown>][] = [
    ['a call on one server', 'one', 'echo', 'served', (to) => call(to, '/mcp/server/one', 'echo')],
    ['a call on /mcp, by the name that its server gave it', 'one', 'env', 'served', (to) => call(to, '/mcp', 'one__env')], // prettier-ignore
    ['a name that was shortened for /mcp', 'one', LONG, 'served', (to) => call(to, '/mcp', shortened)],
    ['a call over REST', 'two', 'echo', 'served', (to) => rest(to, 'two', 'echo')],
    ['a tool that fails', 'one', 'fail', 'tool_error', (to) => call(to, '/mcp/server/one', 'fail')],
    ['a call that a policy refuses', 'one', 'exit', 'refused', (to) => call(to, '/mcp/server/one', 'exit')],
    ['the same on /mcp', 'two', 'exit', 'refused', (to) => call(to, '/mcp', 'two__exit')],
    ['a server that says nothing', 'one', 'steps', 'timeout', (to) => call(to, '/mcp/server/one', 'steps', { steps: 9 })], // prettier-ignore
    ['a server that cannot start', 'dead', 'other', 'failed', (to) => call(to, '/mcp/server/dead', 'echo')],
    [
      'an error of the server, at a tool that it does not list',
      'one',
      'other',
      'error',
      (to) => call(to, '/mcp/server/one', 'refuse', { text: 'x' }),
    ],
    ['a name that leads nowhere', 'gateway', 'other', 'refused', (to) => call(to, '/mcp', 'nowhere__echo')],
    ['a tool of the gateway’s own', 'gateway', 'list_servers', 'served', (to) => call(to, '/mcp/server/gateway', 'list_servers')], // prettier-ignore
    ['a list', 'one', 'tools/list', 'served', (to) => list(to, '/mcp/server/one')],
    ['a method that somebody made up', 'one', 'other', 'error', (to) => send(to, '/mcp/server/one', as('agent', modern('made/up')))], // prettier-ignore
  ]
  let shortened = ''
  it.for(SEVERAL)('once: %s', async ([, server, tool, status, make]) => {
    const names = (await list(gateway, '/mcp')).json() as { result: { tools: { name: string }[] } }
    shortened = names.result.tools.find(({ name }) => name.startsWith('one__a-tool'))?.name ?? ''
    const before = await valueOf(gateway, 'mcp_gateway_requests_total')
    const mine = await calls(gateway, server, tool, status)
    const took = await valueOf(gateway, 'mcp_gateway_request_duration_ms_count', { server, status })
    await make(gateway)
    expect(await calls(gateway, server, tool, status)).toBe(mine + 1)
    expect(await valueOf(gateway, 'mcp_gateway_requests_total')).toBe(before + 1)
    expect(await valueOf(gateway, 'mcp_gateway_request_duration_ms_count', { server, status })).toBe(took + 1)
  })

  it('once: a call in a legacy session', async () => {
    const { post } = await openSession(gateway, '/mcp')
    const before = await calls(gateway, 'two', 'pid', 'served')
    await post({ id: 1, method: 'tools/call', params: { name: 'two__pid', arguments: {} } })
    expect(await calls(gateway, 'two', 'pid', 'served')).toBe(before + 1)
  })

  it('once: a call whose client is gone', async () => {
    const { headers, body } = as('agent', modern('tools/call', { name: 'slow', arguments: {} }))
    const req = request({ host: '127.0.0.1', port: gateway.port, path: '/mcp/server/one', method: 'POST', headers })
    req.on('error', () => undefined)
    req.end(body)
    // Its own request is one of them.
    await expect.poll(() => valueOf(gateway, 'http_active_requests')).toBe(2)
    req.destroy()
    await expect.poll(() => calls(gateway, 'one', 'slow', 'abandoned')).toBe(1)
    await expect.poll(() => valueOf(gateway, 'http_requests_total', { path: '/mcp/server/:id', status: '499' })).toBe(1)
    expect(await valueOf(gateway, 'http_active_requests')).toBe(1)
  })

  it('tools by themselves, and how long those took that ran', async () => {
    const tools = () => valueOf(gateway, 'mcp_tool_calls_total', { server: 'one', tool: 'exit' })
    const took = (tool: string) => valueOf(gateway, 'mcp_tool_duration_seconds_count', { server: 'one', tool })
    const [before, echoes, exits] = [await tools(), await took('echo'), await took('exit')]
    await call(gateway, '/mcp/server/one', 'exit')
    await call(gateway, '/mcp/server/one', 'echo')
    expect(await tools()).toBe(before + 1)
    expect([await took('echo'), await took('exit')]).toEqual([echoes + 1, exits])
    expect(await samplesOf(gateway, 'mcp_tool_calls_total', { tool: 'tools/list' })).toEqual([])
  })

  it('a rate limit, under both names', async () => {
    const both = async () => [await valueOf(gateway, 'mcp_gateway_rate_limited_total'), await valueOf(gateway, 'rate_limit_hits_total')] // prettier-ignore
    const [limited = 0] = await both()
    const refused = await calls(gateway, 'one', 'pid', 'refused')
    const codes = []
    for (let n = 0; n < 3; n += 1) {
      const { error } = (await call(gateway, '/mcp/server/one', 'pid')).json() as { error?: { data: { code: string } } }
      codes.push(error?.data.code)
    }
    expect(codes).toEqual([undefined, 'POLICY_RATE_LIMITED', 'POLICY_RATE_LIMITED'])
    expect(await both()).toEqual([limited + 2, limited + 2])
    expect(await calls(gateway, 'one', 'pid', 'refused')).toBe(refused + 2)
  })

  it('refused credentials and refused addresses, each by itself and neither as a call', async () => {
    const counts = async () => [
      await valueOf(gateway, 'mcp_gateway_auth_failures_total'),
      await valueOf(gateway, 'mcp_gateway_ip_blocked_total'),
    ]
    const [failures = 0, blocked = 0] = await counts()
    const before = await valueOf(gateway, 'mcp_gateway_requests_total')
    const echo = modern('tools/call', { name: 'echo', arguments: {} })
    expect((await send(gateway, '/mcp/server/one', as('nobody', echo))).status).toBe(401)
    expect((await send(gateway, '/api/servers', { method: 'GET' })).status).toBe(401)
    expect(await counts()).toEqual([failures + 2, blocked])
    const there = { 'x-forwarded-for': '203.0.113.9' }
    expect((await send(gateway, '/mcp/server/one', as('agent', echo, there))).status).toBe(403)
    expect((await send(gateway, '/api/servers', { method: 'GET', headers: there })).status).toBe(403)
    expect(await counts()).toEqual([failures + 2, blocked + 2])
    expect(await valueOf(gateway, 'mcp_gateway_requests_total')).toBe(before)
  })

  it('a wallet that signs in with nothing, which is also a refused login in the log', async () => {
    using place = folder()
    const wallets = { chains: [{ id: 8453 }], operators: [], others: { roles: ['guest'] } }
    const own = await gatewayWith({ publicUrl: 'http://127.0.0.1:3100', auth: { ...auth, wallets } }, place.database)
    const body = JSON.stringify({ message: 'nothing', signature: '0x00' })
    const answer = await send(own, '/api/auth/verify', { headers: { 'content-type': 'application/json' }, body })
    expect(answer.json()).toMatchObject({ error: { code: 'AUTH_WALLET_MESSAGE_MALFORMED' } })
    expect(await valueOf(own, 'mcp_gateway_auth_failures_total')).toBe(1)
    await own.close()
    const refused = (await entriesIn(place.audit)).filter(({ type }) => type === 'login.refused')
    expect(refused.map(({ facts }) => facts['code'])).toEqual(['AUTH_WALLET_MESSAGE_MALFORMED'])
  })

  it('HTTP requests by route and status, whatever their paths', async () => {
    const http = (path: string, status: string, method = 'GET') =>
      valueOf(gateway, 'http_requests_total', { path, status, method })
    const get = (path: string) => send(gateway, path, { method: 'GET', headers: { authorization: `Bearer ${KEY}` } })
    const asked = [
      ['/mcp/server/:id', '200', () => call(gateway, '/mcp/server/one', 'echo'), 'POST'],
      ['/mcp/server/:id', '404', () => call(gateway, '/mcp/server/made-up', 'echo'), 'POST'],
      ['/mcp', '405', () => get('/mcp'), 'GET'],
      ['/api/servers/:id/tools/:name', '200', () => rest(gateway, 'one', 'echo'), 'POST'],
      ['/api/servers/:id', '401', () => send(gateway, '/api/servers/one', { method: 'GET' }), 'GET'],
      ['/health', '200', () => get('/health'), 'GET'],
      ['other', '404', () => get('/canary-of-a-path'), 'GET'],
      ['other', '404', () => get('/api/canary-of-a-path'), 'GET'],
      ['other', '404', () => send(gateway, '/canary', { method: 'PROPFIND' }), 'other'],
    ] as const
    for (const [path, status, ask, method] of asked) {
      const before = await http(path, status, method)
      await ask()
      expect(await http(path, status, method), `${method} ${path} ${status}`).toBe(before + 1)
    }
    expect((await scrape(gateway)).text).not.toContain('canary')
  })

  it('an open event stream is an active request until it ends', async () => {
    const { headers } = await openSession(gateway, '/mcp')
    const active = await valueOf(gateway, 'http_active_requests')
    const stream = request({ host: '127.0.0.1', port: gateway.port, path: '/mcp', method: 'GET', headers })
    stream.on('error', () => undefined)
    stream.end()
    const [answer] = (await once(stream, 'response')) as [NodeJS.ReadableStream]
    answer.resume()
    expect(await valueOf(gateway, 'http_active_requests')).toBe(active + 1)
    stream.destroy()
    await expect.poll(() => valueOf(gateway, 'http_active_requests')).toBe(active)
  })

  it('servers that are open, and servers that failed', async () => {
    await call(gateway, '/mcp/server/dead', 'echo')
    for (const name of ['mcp_gateway_active_servers', 'mcp_servers_active'])
      expect(await valueOf(gateway, name)).toBe(2)
    expect(await valueOf(gateway, 'mcp_servers_failed')).toBe(1)
  })
})

describe('who may see it', () => {
  const servers = [echoServer('one', { tenants: ['default', 'acme'] })]

  it('the roles metrics and admin of the default tenant, and nobody else', async () => {
    await using gateway = await gatewayWith({ auth, servers })
    expect((await send(gateway, '/metrics', { method: 'GET' })).status).toBe(401)
    for (const who of ['agent', 'acme']) {
      const answer = await scrape(gateway, who)
      expect(answer.status).toBe(403)
      expect(answer.json()).toMatchObject({ error: { code: 'GATEWAY_ROLE_REQUIRED' } })
    }
    const answer = await scrape(gateway)
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({ 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' }) // prettier-ignore
    const admin = await send(gateway, '/metrics', { method: 'GET', headers: { 'x-api-key': KEY } })
    expect(admin.status).toBe(200)
  })

  it('tenants are added up, and none is named', async () => {
    await using gateway = await gatewayWith({ auth, servers })
    for (const who of ['agent', 'acme', 'acme']) {
      await list(gateway, '/mcp/server/one', who)
      await call(gateway, '/mcp/server/one', 'echo', { note: 'canary-of-an-argument' }, who)
    }
    expect(await calls(gateway, 'one', 'echo', 'served')).toBe(3)
    expect(await valueOf(gateway, 'mcp_servers_active')).toBe(2)
    const { text } = await scrape(gateway)
    for (const secret of ['acme', CONSUMER, 'canary-of-an-argument', KEY]) expect(text).not.toContain(secret)
  })

  it('is described in /openapi.json', async () => {
    await using gateway = await gatewayWith({ auth, servers })
    const { paths } = (await send(gateway, '/openapi.json', { method: 'GET' })).json() as { paths: Record<string, unknown> } // prettier-ignore
    expect(paths['/metrics']).toHaveProperty('get.security')
  })

  it('metrics.enabled: false: there is no such path', async () => {
    await using gateway = await gatewayWith({ auth, servers, metrics: { enabled: false } })
    await call(gateway, '/mcp/server/one', 'echo')
    const [off, unknown] = [await scrape(gateway), await send(gateway, '/nowhere', { method: 'GET' })]
    expect(off.status).toBe(404)
    const { requestId: _, ...error } = off.json()['error'] as Record<string, unknown>
    expect(unknown.json()['error']).toMatchObject(error)
    expect((await send(gateway, '/openapi.json', { method: 'GET' })).text).not.toContain('/metrics')
  })

  it('a reload keeps what was counted, and metrics.enabled as it was', async () => {
    const config = { port: 0, log: { level: 'silent' }, auth }
    await using gateway = await gatewayWith({ ...config, servers })
    await list(gateway, '/mcp/server/one')
    await call(gateway, '/mcp/server/one', 'echo')
    const next = { ...config, servers: [...servers, echoServer('two')], metrics: { enabled: false } }
    await gateway.reload(parseConfig(JSON.stringify(next), { env: {} }))
    await call(gateway, '/mcp/server/one', 'echo')
    await list(gateway, '/mcp/server/two')
    await call(gateway, '/mcp/server/two', 'echo')
    expect(await calls(gateway, 'one', 'echo', 'served')).toBe(2)
    expect(await calls(gateway, 'two', 'echo', 'served')).toBe(1)
  })
})

describe('names', () => {
  const ODD = ['quote"d', 'back\\slash', 'new\nline', '}{,="', 'emoji 🦊', 'le']
  const SECRETS = ['Y', 'Z'].map((end) => ['AKIA', 'IOSFODNN7EXAMPL', end].join(''))

  it('odd ones come back from the page as they are, secrets don’t', async () => {
    const more = args([`--tools=${JSON.stringify([...ODD, ...SECRETS])}`])
    await using gateway = await gatewayWith({ auth, servers: [echoServer('one', more)] })
    await list(gateway, '/mcp/server/one')
    for (const name of [...ODD, ...SECRETS]) expect((await rest(gateway, 'one', name)).status, name).toBe(200)
    for (const name of ODD) expect(await calls(gateway, 'one', name, 'served'), name).toBe(1)
    const { text } = await scrape(gateway)
    for (const secret of SECRETS) expect(text).not.toContain(secret)
    const redacted = (await samplesOf(gateway, 'mcp_tool_calls_total')).filter(({ labels }) => labels['tool']?.startsWith('[REDACTED')) // prettier-ignore
    // Without them they look the same.
    expect(redacted.map(({ value }) => value)).toEqual([2])
  })

  it('only tools that a server lists have one, whatever it answers to others', async () => {
    await using gateway = await gatewayWith({ auth, servers: [echoServer('one')] })
    await list(gateway, '/mcp')
    for (let n = 0; n < 20; n += 1) {
      await call(gateway, '/mcp/server/one', `canary-${n}`)
      await call(gateway, '/mcp', `one__canary-${n}`)
      await call(gateway, '/mcp', `canary-${n}__echo`)
      await call(gateway, '/mcp/server/gateway', `canary-${n}`)
      await send(gateway, `/mcp/server/one`, as('agent', modern(`canary/${n}`)))
    }
    const { text } = await scrape(gateway)
    expect(text).not.toContain('canary')
    expect(await calls(gateway, 'one', 'other', 'served')).toBe(40)
    expect(await calls(gateway, 'gateway', 'other', 'refused')).toBe(40)
  })

  it('500 tools of a server have one, and 2000 of all of them', { timeout: 60_000 }, async () => {
    const names = Array.from({ length: 520 }, (_, n) => `tool-${n}`)
    const ids = ['a', 'b', 'c', 'd', 'e']
    const servers = ids.map((id) => echoServer(id, args([`--tools=${JSON.stringify(names)}`])))
    await using gateway = await gatewayWith({ auth, servers, discoveryThreshold: 10_000 })
    await list(gateway, '/mcp')
    const named = async (server: Labels) => {
      const samples = await samplesOf(gateway, 'mcp_gateway_requests_total', { ...server, status: 'served' })
      return samples.filter(({ labels }) => labels['tool']?.startsWith('tool-')).length
    }
    for (const name of names) await call(gateway, '/mcp/server/a', name)
    expect(await named({ server: 'a' })).toBe(500)
    expect(await calls(gateway, 'a', 'other', 'served')).toBe(20)
    // One server has not taken the places of the others.
    await call(gateway, '/mcp/server/e', 'echo')
    expect(await calls(gateway, 'e', 'echo', 'served')).toBe(1)
    for (const name of names.slice(0, 400)) await Promise.all(ids.slice(1).map((id) => call(gateway, `/mcp/server/${id}`, name))) // prettier-ignore
    // `echo` has the 2000th place.
    expect(await named({})).toBe(1999)
    expect(await valueOf(gateway, 'mcp_gateway_requests_total', { tool: 'other' })).toBe(20 + 4 * 400 - 1499)
  })
})

it('says what is not in the audit log', async () => {
  using place = folder()
  await using gateway = await gatewayWith({ auth, servers: [echoServer('one')], audit: { onFailure: 'open' } }, place.database) // prettier-ignore
  const backlog = async () => [
    await valueOf(gateway, 'mcp_gateway_audit_entries_waiting'),
    await valueOf(gateway, 'mcp_gateway_audit_entries_lost_total'),
  ]
  await call(gateway, '/mcp/server/one', 'echo')
  expect(await backlog()).toEqual([0, 0])
  {
    using lock = new DatabaseSync(place.audit)
    lock.exec('begin immediate')
    await call(gateway, '/mcp/server/one', 'echo')
    expect(await backlog()).toEqual([0, 1])
  }
  // The gap is told in the log; that there was one stays.
  await call(gateway, '/mcp/server/one', 'echo')
  expect(await backlog()).toEqual([0, 1])
  expect(await calls(gateway, 'one', 'other', 'served')).toBe(0)
  expect(await calls(gateway, 'one', 'echo', 'served')).toBe(3)
})
