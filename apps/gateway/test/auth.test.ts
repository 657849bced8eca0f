// Who is calling, at a gateway as it is configured: tokens of a real OpenID provider, wallets, signed requests, certificates.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client'
import { createSignerClient } from '@slicekit/erc8128'
import { parseConfig, readKeyUse, startGateway } from '@mcp-gateway/gateway'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createBrowser, createPerson } from '../../../packages/auth/test/support/browser.ts'
import { CLIENT_AUTH, issue, SERVER_AUTH } from '../../../packages/auth/test/support/certificates.ts'
import { startIssuer, type Issuer } from '../../../packages/auth/test/support/issuer.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { entriesIn, folder } from './ledger-support.ts'
import { echoServer, gatewayWith, KEY, KEYS, modern, send } from './support.ts'

const call = (tool: string, authorization: string) => {
  const request = modern('tools/call', { name: tool, arguments: {} })
  return { ...request, headers: { ...request.headers, authorization } }
}

describe('access tokens', () => {
  let idp: Issuer
  beforeAll(async () => {
    idp = await startIssuer()
  })
  afterAll(() => idp[Symbol.asyncDispose]())

  const start = async (database?: string) => {
    const port = await freePort()
    const publicUrl = `http://127.0.0.1:${port}`
    const auth = { ...KEYS, oidc: [{ issuer: idp.issuer, allowLoopback: true }], scopes: ['mcp:read'] }
    const servers = [echoServer('one', { tools: { env: { scopes: ['mcp:write'] } } })]
    const gateway = await gatewayWith({ port, publicUrl, auth, servers }, database)
    return { gateway, publicUrl, [Symbol.asyncDispose]: () => gateway.close() }
  }

  it('an MCP client signs in by code and PKCE, calls, steps up for one tool, and calls that', async () => {
    await using own = await start()
    const person = createPerson()
    const browser = createBrowser()
    const open = () => new StreamableHTTPClientTransport(new URL(`${own.publicUrl}/mcp/server/one`), { authProvider: person.provider }) // prettier-ignore
    const first = open()
    await expect(new Client({ name: 'agent', version: '1' }).connect(first)).rejects.toThrow(UnauthorizedError)
    expect(person.lastRedirect().searchParams.get('resource')).toBe(`${own.publicUrl}/mcp/server/one`)
    await first.finishAuth((await browser.visit(person.lastRedirect())).searchParams)
    const second = open()
    const client = new Client({ name: 'agent', version: '1' })
    await client.connect(second)
    expect(await client.callTool({ name: 'echo', arguments: {} })).toHaveProperty('content')
    await expect(client.callTool({ name: 'env', arguments: {} })).rejects.toThrow(UnauthorizedError)
    await second.finishAuth((await browser.visit(person.lastRedirect())).searchParams)
    expect(await client.callTool({ name: 'env', arguments: {} })).toHaveProperty('content')
    await client.close()
  })

  it('each refusal has its status and challenge, and the token goes no further', async () => {
    using place = folder()
    await using own = await start(place.database)
    const { gateway, publicUrl } = own
    const at = (path: string) => `resource_metadata="${publicUrl}/.well-known/oauth-protected-resource${path}"`
    const none = await send(gateway, '/mcp', {
      ...call('one__echo', ''),
      headers: { 'content-type': 'application/json' },
    })
    expect([none.status, none.headers['www-authenticate']]).toEqual([401, `Bearer scope="mcp:read", ${at('/mcp')}`])
    const token = await idp.token(`${publicUrl}/mcp/server/one`)
    const good = await send(gateway, '/mcp/server/one', call('echo', `Bearer ${token}`))
    expect(good.status).toBe(200)
    expect(good.text).not.toContain(token)
    const step = await send(gateway, '/mcp/server/one', call('env', `Bearer ${token}`))
    expect([step.status, step.headers['www-authenticate']]).toEqual([403, expect.stringContaining('error="insufficient_scope"')]) // prettier-ignore
    expect(step.headers['www-authenticate']).toContain('scope="mcp:read mcp:write"')
    expect(step.json()).toMatchObject({ error: { data: { code: 'AUTH_INSUFFICIENT_SCOPE' } } })
    const tampered = await send(gateway, '/mcp', call('one__echo', `Bearer ${token.slice(0, -8)}AAAAAAAA`))
    expect([tampered.status, tampered.headers['www-authenticate']]).toEqual([401, expect.stringContaining('error="invalid_token"')]) // prettier-ignore
    const foreign = await idp.token('http://elsewhere.example/mcp')
    const wrong = await send(gateway, '/mcp', call('one__echo', `Bearer ${foreign}`))
    expect(wrong.json()).toMatchObject({ error: { data: { code: 'AUTH_TOKEN_AUDIENCE' } } })
    // Keys know no scopes.
    expect((await send(gateway, '/mcp/server/one', call('env', `Bearer ${KEY}`))).status).toBe(200)
    const [entry] = (await entriesIn(place.audit)).filter(({ type }) => type === 'tool.call')
    expect(entry?.consumer).toBe(`${idp.issuer}|machine`)
    expect(JSON.stringify(entry)).not.toContain(token)
  })

  it('publishes the metadata of each resource, and of nothing else', async () => {
    await using own = await start()
    const read = async (path: string) =>
      send(own.gateway, `/.well-known/oauth-protected-resource${path}`, { method: 'GET' })
    for (const path of ['/mcp', '/mcp/server/one']) {
      expect((await read(path)).json()).toMatchObject({
        resource: own.publicUrl + path,
        authorization_servers: [idp.issuer],
      })
    }
    expect((await read('')).json()).toMatchObject({ resource: `${own.publicUrl}/mcp` })
    expect((await read('/mcp/server/none')).status).toBe(404)
  })
})

describe('wallets', () => {
  const operator = privateKeyToAccount(generatePrivateKey())
  const guest = privateKeyToAccount(generatePrivateKey())
  const start = async (
    wallets: object = {},
    database?: string,
    enforceSignatures = false,
    { keys = KEYS.keys, ...more }: { keys?: object[]; quotas?: object } = {},
  ) => {
    const port = await freePort()
    const publicUrl = `http://127.0.0.1:${port}`
    const operators = [{ address: operator.address, consumerId: 'ops', roles: ['operator'] }]
    const auth = {
      ...KEYS,
      keys,
      wallets: { chains: [{ id: 8453 }], operators, others: { roles: ['guest'] }, ...wallets },
    }
    const text = JSON.stringify({
      port,
      publicUrl,
      auth,
      servers: [echoServer('one')],
      log: { level: 'silent' },
      ...more,
    })
    const config = parseConfig(text, { env: {} })
    const gateway = await startGateway({ config, enforceSignatures, ...(database !== undefined && { database }) })
    return { gateway, publicUrl, [Symbol.asyncDispose]: () => gateway.close() }
  }
  type Own = Awaited<ReturnType<typeof start>>
  const signIn = async ({ gateway }: Own, account: typeof operator) => {
    const asked = await send(gateway, `/api/auth/challenge?address=${account.address}&chainId=8453`, { method: 'GET' })
    const { message } = asked.json() as { message: string }
    const body = JSON.stringify({ message, signature: await account.signMessage({ message }) })
    const verify = () => send(gateway, '/api/auth/verify', { headers: { 'content-type': 'application/json' }, body })
    const answer = await verify()
    return { verify, token: String((answer.json() as { token?: string }).token), status: answer.status }
  }
  const post = (own: Own, path: string, token: string, body: object) =>
    send(own.gateway, path, { headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(body) }) // prettier-ignore
  const signed = async (own: Own, body: string, account = operator) => {
    const signMessage = async (message: Uint8Array) => account.signMessage({ message: { raw: message } })
    const client = createSignerClient({ address: account.address, chainId: 8453, signMessage })
    const { headers } = modern('tools/call', { name: 'echo', arguments: {} })
    const { authorization: _, ...rest } = headers
    const request = await client.signRequest(`${own.publicUrl}/mcp/server/one`, { method: 'POST', headers: rest, body })
    return { headers: Object.fromEntries(request.headers), body }
  }
  const body = modern('tools/call', { name: 'echo', arguments: { note: 1 } }).body

  it('sign in once per challenge, get a token that can be taken back, and survive a restart', async () => {
    using place = folder()
    let token = ''
    {
      await using own = await start({}, place.database)
      const session = await signIn(own, guest)
      expect(session.status).toBe(200)
      expect((await session.verify()).json()).toMatchObject({ error: { code: 'AUTH_WALLET_LOGIN_REFUSED' } })
      expect((await send(own.gateway, '/mcp/server/one', call('echo', `Bearer ${session.token}`))).status).toBe(200)
      const made = await post(own, '/api/auth/create-token', session.token, { name: 'ci', expiresInDays: 1 })
      token = String((made.json() as { token?: string }).token)
      expect(token).toMatch(/^mcpwt_/)
      expect((await post(own, '/api/auth/create-token', token, {})).json()).toMatchObject({ error: { code: 'AUTH_SIGNATURE_REQUIRED' } }) // prettier-ignore
      expect((await post(own, '/api/auth/create-token', KEY, {})).json()).toMatchObject({ error: { code: 'AUTH_SIGNATURE_REQUIRED' } }) // prettier-ignore
    }
    await using own = await start({}, place.database)
    expect((await send(own.gateway, '/mcp/server/one', call('echo', `Bearer ${token}`))).status).toBe(200)
    const session = await signIn(own, guest)
    const listed = await send(own.gateway, '/api/auth/tokens', { method: 'GET', headers: { authorization: `Bearer ${session.token}` } }) // prettier-ignore
    const { tokens } = listed.json() as { tokens: { id: string }[] }
    expect(listed.text).not.toContain(token)
    const other = await signIn(own, operator)
    const end = async (who: string) =>
      (await send(own.gateway, `/api/auth/tokens/${tokens[0]?.id}`, { method: 'DELETE', headers: { authorization: `Bearer ${who}` } })).json() // prettier-ignore
    expect([await end(other.token), await end(session.token)]).toEqual([{ revoked: false }, { revoked: true }])
    expect((await send(own.gateway, '/mcp/server/one', call('echo', `Bearer ${token}`))).json()).toMatchObject({ error: { data: { code: 'AUTH_WALLET_TOKEN_REVOKED' } } }) // prettier-ignore
  })

  it('no more tokens and keys of a consumer are good than its quota, whichever of its wallets asks, ten at once', async () => {
    const second = privateKeyToAccount(generatePrivateKey())
    const operators = [operator, second].map(({ address }) => ({ address, consumerId: 'ops', roles: ['operator'] }))
    const ofOps = (id: string, more: object = {}) => ({
      id,
      key: `gw_${id.padEnd(43, 'x')}`,
      consumerId: 'ops',
      ...more,
    })
    const keys = [...KEYS.keys, ofOps('good'), ofOps('revoked', { enabled: false }), ofOps('old', { expiresAt: '2020-01-01' })] // prettier-ignore
    const quotas = { tenants: { default: { maxKeysPerConsumer: 4 } } }
    await using own = await start({ operators }, undefined, false, { keys, quotas })
    const sessions = [await signIn(own, operator), await signIn(own, second)]
    const make = (session: { token: string }) => post(own, '/api/auth/create-token', session.token, { name: 'ci' })
    const ten = await Promise.all(Array.from({ length: 10 }, (_, index) => make(sessions[index % 2] ?? { token: '' })))
    const made = ten.filter(({ status }) => status === 200).map((answer) => answer.json() as { id: string })
    expect(made).toHaveLength(3)
    const refused = ten.filter(({ status }) => status !== 200)
    for (const answer of refused) expect([answer.status, answer.json()]).toMatchObject([409, { error: { code: 'AUTH_WALLET_TOKENS_TOO_MANY' } }]) // prettier-ignore
    expect(refused[0]?.text).toContain('there are 4 keys and tokens')
    // Another consumer has a quota of its own, and a token that is revoked makes room.
    expect((await make(await signIn(own, guest))).status).toBe(200)
    const [first] = sessions
    const end = await send(own.gateway, `/api/auth/tokens/${made[0]?.id}`, { method: 'DELETE', headers: { authorization: `Bearer ${first?.token}` } }) // prettier-ignore
    expect(end.json()).toEqual({ revoked: true })
    expect([(await make(first ?? { token: '' })).status, (await make(first ?? { token: '' })).status]).toEqual([
      200, 409,
    ])
  })

  it('a signed request holds once, for its bytes, on its path; and beside a good key it decides alone', async () => {
    await using own = await start()
    const request = await signed(own, body)
    const ten = await Promise.all(Array.from({ length: 10 }, () => send(own.gateway, '/mcp/server/one', request)))
    expect(ten.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      200,
      ...Array.from({ length: 9 }, () => 401),
    ])
    const refused = ten.find(({ status }) => status === 401)
    expect(refused?.headers['www-authenticate']).toBe('ERC8128 error="nonce_reused"')
    const changed = await signed(own, body)
    const withKey = { ...changed.headers, authorization: `Bearer ${KEY}` }
    expect((await send(own.gateway, '/mcp/server/one', { headers: withKey, body: body.replace('"note":1', '"note":2') })).status).toBe(401) // prettier-ignore
    expect((await send(own.gateway, '/mcp', { headers: withKey, body })).status).toBe(401)
    expect((await send(own.gateway, '/mcp/server/one', { headers: withKey, body })).status).toBe(200)
    // The same connection has shown a good key a moment ago: the signature still decides alone.
    const rest = { ...request.headers, authorization: `Bearer ${KEY}` }
    expect((await send(own.gateway, '/mcp/server/one', { headers: rest, body })).status).toBe(401)
  })

  it('a signed REST request reaches its handler with its body', async () => {
    await using own = await start()
    const signMessage = async (message: Uint8Array) => operator.signMessage({ message: { raw: message } })
    const client = createSignerClient({ address: operator.address, chainId: 8453, signMessage })
    const url = `${own.publicUrl}/api/servers/one/tools/echo`
    const options = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"arguments":{"note":7}}',
    }
    const answer = await fetch(await client.signRequest(url, options))
    expect([answer.status, JSON.stringify(await answer.json())]).toEqual([200, expect.stringContaining('"note":7')])
  })

  it.for([
    [{ enforceSignatures: true }, false],
    [{}, true],
  ] as const)('operators must sign when %j or the variable (%s) says so', async ([wallets, variable]) => {
    // prettier-ignore
    await using own = await start(wallets, undefined, variable)
    const bearer = async (account: typeof operator) =>
      (await send(own.gateway, '/mcp/server/one', call('echo', `Bearer ${(await signIn(own, account)).token}`))).status
    expect([await bearer(operator), await bearer(guest)]).toEqual([401, 200])
    expect((await send(own.gateway, '/mcp/server/one', await signed(own, body))).status).toBe(200)
  })

  it('says what signers need to know', async () => {
    await using own = await start()
    const found = await send(own.gateway, '/.well-known/erc8128', { method: 'GET' })
    expect(found.json()).toMatchObject({ chains: ['eip155:8453'], account_verification: 'eoa-only' })
  })
})

describe('client certificates', () => {
  it('of an own TLS listener, and none of a stranger', async () => {
    const path = mkdtempSync(join(tmpdir(), 'mcp-gateway-tls-'))
    const authority = issue({ commonName: 'authority', isAuthority: true })
    const server = issue({ commonName: '127.0.0.1', issuer: authority, uses: [SERVER_AUTH] })
    const agent = issue({ commonName: 'agent', issuer: authority, uses: [CLIENT_AUTH], names: [['URI', 'spiffe://acme.example/agent']] }) // prettier-ignore
    const stranger = issue({
      commonName: 'agent',
      uses: [CLIENT_AUTH],
      names: [['URI', 'spiffe://acme.example/agent']],
    })
    const file = (name: string, text: string) => {
      writeFileSync(join(path, name), text)
      return join(path, name)
    }
    const tls = {
      cert: file('cert.pem', server.pem),
      key: file('key.pem', server.keyPem),
      ca: file('ca.pem', authority.pem),
    }
    const match = { spiffeId: 'spiffe://acme.example/agent' }
    const certificates = { identities: [{ match, consumerId: 'agent', roles: ['user'] }], trustDomains: [{ trustDomain: 'acme.example' }] } // prettier-ignore
    await using gateway = await gatewayWith({ tls, auth: { ...KEYS, certificates }, servers: [echoServer('one')] })
    expect(gateway.url).toMatch(/^https:/)
    const ask = (who?: { pem: string; keyPem: string }) =>
      new Promise<number>((resolve, reject) => {
        const { headers, body } = call('echo', 'x')
        const { authorization: _, ...rest } = headers
        const own = who === undefined ? {} : { cert: who.pem, key: who.keyPem }
        const to = { host: '127.0.0.1', port: gateway.port, path: '/mcp/server/one', method: 'POST', ca: authority.pem, checkServerIdentity: () => undefined } // prettier-ignore
        const req = httpsRequest({ ...to, ...own, headers: rest, agent: false }, (res) => {
          res.resume()
          resolve(res.statusCode ?? 0)
        })
        req.once('error', reject)
        req.end(body)
      })
    expect([await ask(agent), await ask(stranger), await ask()]).toEqual([200, 401, 401])
    rmSync(path, { recursive: true })
  })

  it('from a proxy of ours only', async () => {
    const agent = issue({ commonName: 'agent', uses: [CLIENT_AUTH] })
    const identities = [{ match: { subject: 'CN=agent' }, consumerId: 'agent' }]
    const headers: Record<string, string> = {
      ...modern('ping').headers,
      'client-cert': `:${agent.der.toString('base64')}:`,
    }
    delete headers['authorization']
    const ask = async (addresses: string[]) => {
      const auth = { ...KEYS, certificates: { identities, proxies: { addresses } } }
      await using gateway = await gatewayWith({ auth, servers: [echoServer('one')] })
      const request = { ...modern('tools/list'), headers: { ...headers, 'mcp-method': 'tools/list' } }
      return (await send(gateway, '/mcp', request)).status
    }
    expect([await ask(['127.0.0.1']), await ask(['10.0.0.0/8'])]).toEqual([200, 400])
  })
})

describe('what the configuration must say', () => {
  it.for([
    [{ oidc: [{ issuer: 'http://idp.example' }] }, /auth\.oidc.*publicUrl[^]*https/],
    [{ wallets: { chains: [{ id: 1 }] } }, /auth\.wallets.*publicUrl/],
    [{ wallets: { chains: [{ id: 1 }, { id: 1 }] } }, /auth\.wallets/],
    [{ certificates: { identities: [{ match: { spiffeId: 'acme' }, consumerId: 'a' }] } }, /auth\.certificates/],
  ] as const)('%j', ([auth, message]) => {
    expect(() => parseConfig(JSON.stringify({ auth }), { env: {} })).toThrow(message)
  })
})

it('a rotated key’s predecessor is good until its time', async () => {
  const [first] = KEYS.keys
  const rotated = (expiresAt: string) => ({ type: 'api-key', keys: [{ ...first, key: `${KEY}2`, previous: { key: KEY, expiresAt } }] }) // prettier-ignore
  const status = async (auth: object, key: string) => {
    await using gateway = await gatewayWith({ auth, servers: [echoServer('one')] })
    return (await send(gateway, '/mcp/server/one', call('echo', `Bearer ${key}`))).status
  }
  expect(await status(rotated('2090-01-01'), KEY)).toBe(200)
  expect(await status(rotated('2090-01-01'), `${KEY}2`)).toBe(200)
  expect(await status(rotated('2020-01-01'), KEY)).toBe(401)
})

it('notes when a key was last used, and keeps it', async () => {
  using place = folder()
  const from = Date.now()
  {
    await using gateway = await gatewayWith({ auth: KEYS, servers: [echoServer('one')] }, place.database)
    await send(gateway, '/mcp/server/one', call('echo', `Bearer ${KEY}`))
  }
  expect(readKeyUse(place.database).get('test')).toBeGreaterThanOrEqual(from)
})
