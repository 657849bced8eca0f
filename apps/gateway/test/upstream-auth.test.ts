// Servers behind OAuth: a real provider gives the tokens out, and a server checks every one of them.
import fc from 'fast-check'
import { startGateway, parseConfig, type RunningGateway } from '@mcp-gateway/gateway'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SECRET, startIssuer, type Issuer } from '../../../packages/auth/test/support/issuer.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { replies, type ErrorCode } from '../src/replies.ts'
import { entriesIn, folder } from './ledger-support.ts'
import { echoServer, KEY, KEYS, modern, openSession, send, type Answer } from './support.ts'
import { startProtectedServer } from './support/protected-server.ts'

let idp: Issuer
beforeAll(async () => {
  idp = await startIssuer()
})
afterAll(() => idp[Symbol.asyncDispose]())

const MCP = '/mcp/server/crm'
const client = (more: object = {}) => ({ clientId: 'gateway', clientSecret: SECRET, scopes: ['mcp:read'], ...more })
const own = (more: object = {}) => ({
  type: 'client-credentials',
  tokenEndpoint: `${idp.issuer}/token`,
  ...client(more),
})
const exchange = (more: object = {}) => ({
  type: 'token-exchange',
  tokenEndpoint: `${idp.issuer}/token`,
  ...client(more),
})
const crm = (url: string, auth: object, more: object = {}) => ({ id: 'crm', url, auth, ...more })

async function start(servers: readonly object[], more: object = {}, database?: string) {
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const auth = { ...KEYS, oidc: [{ issuer: idp.issuer, allowLoopback: true }] }
  const parse = (now: readonly object[]) =>
    parseConfig(JSON.stringify({ port, publicUrl, auth, servers: now, log: { level: 'silent' }, ...more }), { env: {} })
  const gateway = await startGateway({ config: parse(servers), ...(database !== undefined && { database }) })
  return {
    gateway,
    /** Somebody's token for the gateway. */
    tokenOf: (who: string, path = MCP, scope = 'mcp:read') => idp.token(publicUrl + path, scope, who),
    reload: (now: readonly object[]) => gateway.reload(parse(now)),
    [Symbol.asyncDispose]: () => gateway.close(),
  }
}

const call = (gateway: RunningGateway, credential = KEY, args: object = {}) => {
  const { headers, body } = modern('tools/call', { name: 'whoami', arguments: args })
  return send(gateway, MCP, { headers: { ...headers, authorization: `Bearer ${credential}` }, body })
}
const textOf = (answer: Answer) =>
  (answer.json() as { result?: { content: [{ text: string }] } }).result?.content[0].text ?? answer.text

/** Over MCP and over REST. */
async function expectRefused(gateway: RunningGateway, code: ErrorCode, credential = KEY) {
  const { status, rpcCode } = replies[code]
  const said = await call(gateway, credential)
  expect(said.json()).toMatchObject({ error: { code: rpcCode, data: { code } } })
  const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/json' }
  const rest = await send(gateway, '/api/servers/crm/tools/whoami', { headers, body: '{}' })
  expect([rest.status, rest.json()]).toMatchObject([status, { error: { code } }])
  // It is not about what the caller came with: a client that is told so throws a good token away.
  expect([said.status, rest.status]).not.toContain(401)
  expect([said.headers['www-authenticate'], rest.headers['www-authenticate']]).toEqual([undefined, undefined])
  for (const { text } of [said, rest]) expect(text).not.toContain(SECRET)
  return said.text
}

describe('client-credentials', () => {
  it.for(['modern', 'legacy'] as const)(
    'a %s server gets the gateway’s token with every request, and nothing of the caller’s',
    async (era) => {
      await using server = await startProtectedServer(idp.issuer, era)
      using place = folder()
      await using running = await start([crm(server.url, own())], {}, place.database)
      expect(textOf(await call(running.gateway))).toBe('gateway')
      const session = await openSession(running.gateway, MCP)
      expect((await session.post({ id: 1, method: 'tools/call', params: { name: 'whoami' } })).text).toContain(
        '"gateway"',
      )
      expect(server.refused()).toBe(0)
      expect(new Set(server.seen.map(({ token }) => token)).size).toBe(1)
      const [{ token, scopes } = { token: '', scopes: [] }] = server.seen
      expect(scopes).toEqual(['mcp:read'])
      const log = JSON.stringify(await entriesIn(place.audit))
      expect([log.includes('whoami'), log.includes(token), log.includes(SECRET)]).toEqual([true, false, false])
    },
  )

  it('ten callers at once cost one token, and those after them none', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, own())])
    const before = idp.tokenRequests()
    const ten = await Promise.all(Array.from({ length: 10 }, () => call(running.gateway)))
    expect(ten.map(textOf)).toEqual(Array.from({ length: 10 }, () => 'gateway'))
    await call(running.gateway)
    expect(idp.tokenRequests() - before).toBe(1)
  })

  it('each tenant’s server has a token of its own', async () => {
    await using server = await startProtectedServer(idp.issuer)
    const keys = ['acme', 'globex'].map((tenantId) => ({ id: tenantId, key: `gw_test_${tenantId}_0123456789abcdef0123456789`, consumerId: 'agent', tenantId })) // prettier-ignore
    await using running = await start([crm(server.url, own(), { tenants: ['acme', 'globex'] })], { auth: { keys } })
    for (const { key } of keys) expect(textOf(await call(running.gateway, key))).toBe('gateway')
    expect(new Set(server.seen.map(({ token }) => token)).size).toBe(2)
  })

  it('a token is fetched again before it ends', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, own())])
    // Shorter than the time that is kept back for a call to arrive.
    idp.setTtl(20_000)
    for (let round = 0; round < 3; round += 1) expect(textOf(await call(running.gateway))).toBe('gateway')
    idp.setTtl(300_000)
    const calls = server.seen.filter(({ method }) => method === 'tools/call')
    expect(new Set(calls.map(({ token }) => token)).size).toBe(3)
    expect(server.refused()).toBe(0)
  })

  it('a token that the server refuses is dropped and the request made once more, by many at once with one new token', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, own())])
    await call(running.gateway)
    const before = { tokens: idp.tokenRequests(), seen: server.seen.length }
    server.revoke('seen')
    const five = await Promise.all(Array.from({ length: 5 }, () => call(running.gateway)))
    expect(five.map(textOf)).toEqual(Array.from({ length: 5 }, () => 'gateway'))
    expect(idp.tokenRequests() - before.tokens).toBe(1)
    expect(server.seen.length - before.seen).toBe(5)
  })

  it.for(['at its start', 'later'])(
    'a server that takes no token of ours is an error of ours, never a 401: %s',
    async (when) => {
      await using server = await startProtectedServer(idp.issuer)
      await using running = await start([crm(server.url, own())])
      if (when === 'later') await call(running.gateway)
      server.revoke('all')
      await expectRefused(running.gateway, 'WIRE_UPSTREAM_UNAUTHORIZED')
      // Two calls, and each tried a second token. The next one tries again: there is nothing wrong with the server.
      expect(server.refused()).toBe(4)
      await expectRefused(running.gateway, 'WIRE_UPSTREAM_UNAUTHORIZED')
      if (when === 'later') return
      // An operator sees why it does not start, until it does.
      const headers = { authorization: `Bearer ${KEY}` }
      const state = async () => (await send(running.gateway, '/api/servers', { method: 'GET', headers })).json()
      const error = 'the server does not take the credentials of the gateway (HTTP 401)'
      expect(await state()).toMatchObject({ servers: [{ id: 'crm', status: 'stopped', error }] })
      server.revoke('seen')
      expect(textOf(await call(running.gateway))).toBe('gateway')
      expect(await state()).toMatchObject({ servers: [{ id: 'crm', status: 'ready' }] })
    },
  )

  it('a provider that is down is asked by few, and when it is back the server is', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, own())])
    const before = idp.tokenRequests()
    idp.setDown(true)
    const five = await Promise.all(
      Array.from({ length: 5 }, () => expectRefused(running.gateway, 'AUTH_UPSTREAM_UNAVAILABLE')),
    ).finally(() => idp.setDown(false))
    // Ten requests were made, and those that came within a second of each other are told the same.
    expect(five).toHaveLength(5)
    expect(idp.tokenRequests() - before).toBeLessThan(10)
    await expect.poll(async () => textOf(await call(running.gateway)), { timeout: 10_000 }).toBe('gateway')
  })

  it('a provider that is down ends no session, though nobody can ask whether its server is well', async () => {
    await using server = await startProtectedServer(idp.issuer, 'legacy')
    await using running = await start([crm(server.url, own(), { healthInterval: 1 })])
    idp.setTtl(20_000)
    await call(running.gateway)
    idp.setTtl(300_000)
    idp.setDown(true)
    const before = idp.tokenRequests()
    await expect
      .poll(() => idp.tokenRequests() - before, { timeout: 10_000 })
      .toBeGreaterThan(1)
      .finally(() => idp.setDown(false))
    await expect.poll(async () => textOf(await call(running.gateway)), { timeout: 10_000 }).toBe('gateway')
    expect(server.seen.filter(({ method }) => method === 'initialize')).toHaveLength(1)
  })

  it('a client that the provider does not know is refused', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, own({ clientSecret: `${SECRET}x` }))])
    expect(await expectRefused(running.gateway, 'AUTH_UPSTREAM_REFUSED')).toContain('invalid_client')
    expect(server.seen).toEqual([])
  })

  it('without a token endpoint the server says where its tokens are', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, { type: 'client-credentials', ...client() })])
    expect(textOf(await call(running.gateway))).toBe('gateway')
  })

  it('a reload takes effect for the next call', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, own())])
    await call(running.gateway)
    await running.reload([crm(server.url, own({ scopes: ['mcp:read', 'mcp:write'] }))])
    await call(running.gateway)
    expect(server.seen.at(-1)?.scopes).toEqual(['mcp:read', 'mcp:write'])
    await running.reload([crm(server.url, exchange())])
    expect(textOf(await call(running.gateway, await running.tokenOf('robot')))).toBe('robot')
    await running.reload([crm(server.url, own({ clientSecret: 'another' }))])
    await expectRefused(running.gateway, 'AUTH_UPSTREAM_REFUSED')
  })
})

describe('token-exchange', () => {
  it.for(['modern', 'legacy'] as const)('a %s server is called as the caller, with a token of its own', async (era) => {
    await using server = await startProtectedServer(idp.issuer, era)
    using place = folder()
    await using running = await start([crm(server.url, exchange())], {}, place.database)
    const tokens = [await running.tokenOf('machine'), await running.tokenOf('robot')]
    for (const [index, who] of ['machine', 'robot', 'machine'].entries())
      expect(textOf(await call(running.gateway, tokens[index % 2]))).toBe(who)
    expect(server.refused()).toBe(0)
    const log = JSON.stringify(await entriesIn(place.audit))
    expect(log).toContain('|robot')
    for (const token of [...tokens, ...server.seen.map((one) => one.token)]) expect(log).not.toContain(token)
    for (const token of tokens) expect(server.seen.map((one) => one.token)).not.toContain(token)
  })

  it('ten calls of one caller cost one exchange', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, exchange())])
    const token = await running.tokenOf('robot')
    const before = idp.tokenRequests()
    const ten = await Promise.all(Array.from({ length: 10 }, () => call(running.gateway, token)))
    expect(ten.map(textOf)).toEqual(Array.from({ length: 10 }, () => 'robot'))
    expect(idp.tokenRequests() - before).toBe(1)
  })

  it('who has no token is refused by name, sees the other servers, and costs nobody else the server', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, exchange()), echoServer('one')])
    const before = idp.tokenRequests()
    for (let round = 0; round < 6; round += 1) await expectRefused(running.gateway, 'AUTH_UPSTREAM_SUBJECT_MISSING')
    const session = await openSession(running.gateway, MCP)
    expect(session.opened.json()).toMatchObject({ error: { data: { code: 'AUTH_UPSTREAM_SUBJECT_MISSING' } } })
    for (const path of ['', '/tools']) {
      const headers = { authorization: `Bearer ${KEY}` }
      const rest = await send(running.gateway, `/api/servers/crm${path}`, { method: 'GET', headers })
      expect([rest.status, rest.json()]).toMatchObject([403, { error: { code: 'AUTH_UPSTREAM_SUBJECT_MISSING' } }])
    }
    const everything = await send(running.gateway, '/mcp', modern('tools/list'))
    expect(everything.text).toContain('one__echo')
    expect(everything.text).not.toContain('crm__')
    expect([idp.tokenRequests() - before, server.seen.length]).toEqual([0, 0])
    expect(textOf(await call(running.gateway, await running.tokenOf('robot')))).toBe('robot')
  })

  it('a caller whom the provider refuses costs nobody else the server', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, exchange())])
    const [robot, machine] = [await running.tokenOf('robot'), await running.tokenOf('machine')]
    await call(running.gateway, robot)
    idp.setDown(true)
    const refuse = async () => {
      for (let round = 0; round < 6; round += 1)
        await expectRefused(running.gateway, 'AUTH_UPSTREAM_UNAVAILABLE', machine)
      expect(textOf(await call(running.gateway, robot))).toBe('robot')
    }
    await refuse().finally(() => idp.setDown(false))
    await expect.poll(async () => textOf(await call(running.gateway, machine)), { timeout: 10_000 }).toBe('machine')
  })

  it('on /mcp each caller is shown its own tools', async () => {
    await using server = await startProtectedServer(idp.issuer)
    await using running = await start([crm(server.url, exchange())], { toolGuard: { definitions: 'block' } })
    for (const who of ['machine', 'robot', 'machine']) {
      const { headers, body } = modern('tools/list')
      const authorization = `Bearer ${await running.tokenOf(who, '/mcp')}`
      const listed = (await send(running.gateway, '/mcp', { headers: { ...headers, authorization }, body })).json()
      expect(listed).toMatchObject({ result: { tools: [{ name: `crm__for-${who}` }] } })
    }
  })

  it('a legacy session goes on with its caller’s next token', async () => {
    await using server = await startProtectedServer(idp.issuer, 'legacy')
    await using running = await start([crm(server.url, exchange())])
    const tokens = [await running.tokenOf('robot'), await running.tokenOf('robot', MCP, 'mcp:read mcp:write')]
    const { post } = await sessionOf(running.gateway, tokens[0] ?? '')
    await post({ id: 1, method: 'tools/call', params: { name: 'whoami' } }, tokens[0])
    const answer = await post({ id: 2, method: 'tools/call', params: { name: 'whoami' } }, tokens[1])
    expect(answer.text).toContain('"robot"')
    const calls = server.seen.filter(({ method }) => method === 'tools/call')
    expect(new Set(calls.map(({ token }) => token)).size).toBe(2)
    expect(new Set(calls.map(({ session }) => session)).size).toBe(2)
  })

  it.for(['modern', 'legacy'] as const)(
    'law: a connection of a %s server serves the token it was opened for, and no other',
    { timeout: 60_000 },
    async (era) => {
      await using server = await startProtectedServer(idp.issuer, era)
      await using running = await start([crm(server.url, exchange())])
      const people = await Promise.all(
        [['machine', 'mcp:read'], ['machine', 'mcp:read mcp:write'], ['robot', 'mcp:read'], ['robot', 'mcp:read mcp:write']].map(async ([who = '', scope = '']) => ({ who, token: await running.tokenOf(who, MCP, scope) })), // prettier-ignore
      )
      const sessions = await Promise.all(people.map(({ token }) => sessionOf(running.gateway, token)))
      let note = 0
      const step = fc.record({ person: fc.nat(people.length - 1), inSession: fc.boolean() })
      const law = fc.asyncProperty(
        fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 5 }),
        async (rounds) => {
          for (const round of rounds) {
            await Promise.all(
              round.map(async ({ person, inSession }) => {
                const { who = '', token = '' } = people[person] ?? {}
                note += 1
                const args = { person, note }
                const answer = inSession
                  ? await sessions[person]?.post({
                      id: note,
                      method: 'tools/call',
                      params: { name: 'whoami', arguments: args },
                    })
                  : await call(running.gateway, token, args)
                expect(answer?.text).toContain(`"text":"${who}"`)
              }),
            )
          }
        },
      )
      await fc.assert(law, { numRuns: 25, endOnFailure: true })
      const calls = server.seen.filter(({ method }) => method === 'tools/call')
      expect(calls.length).toBeGreaterThan(20)
      // Each token of the server was made for one token of a caller, and was used for that one's calls.
      const personOf = Map.groupBy(calls, ({ token }) => token)
      for (const used of personOf.values()) expect(new Set(used.map(({ args }) => args['person'])).size).toBe(1)
      const withSession = server.seen.filter(({ session }) => session !== undefined)
      for (const used of Map.groupBy(withSession, ({ session }) => session).values())
        expect(new Set(used.map(({ token }) => token)).size).toBe(1)
      expect(withSession.length > 0).toBe(era === 'legacy')
    },
  )
})

/** A legacy session of whoever has the token. */
async function sessionOf(gateway: RunningGateway, token: string) {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  }
  const post = (message: object, credential = token) =>
    send(gateway, MCP, { headers: { ...headers, authorization: `Bearer ${credential}` }, body: JSON.stringify({ jsonrpc: '2.0', ...message }) }) // prettier-ignore
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } }
  const opened = await post({ id: 'init', method: 'initialize', params })
  headers['mcp-session-id'] = String(opened.headers['mcp-session-id'])
  headers['mcp-protocol-version'] = '2025-11-25'
  await post({ method: 'notifications/initialized' })
  return { post }
}
