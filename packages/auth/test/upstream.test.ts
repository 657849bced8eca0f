import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import {
  createClientCredentials,
  createTokenExchange,
  createTokenSource,
  discoverTokenEndpoint,
  type Caller,
  type ClientAuthentication,
  type TokenExchangeOptions,
  type UpstreamToken,
} from '@mcp-gateway/auth'
import { decodeJwt, decodeProtectedHeader, generateKeyPair, jwtVerify } from 'jose'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { startGateway } from './support/gateway.ts'
import { close, SECRET, startIssuer, TOKEN_TTL_MS } from './support/issuer.ts'

const alice: Caller = {
  id: 'https://idp.example|alice',
  name: 'alice',
  keyId: 'jti',
  tenantId: 'acme',
  roles: [],
  attributes: {},
  scopes: [],
  expiresAt: 10_000_000,
  scheme: 'jwt',
}
const client: ClientAuthentication = { method: 'client_secret_basic', clientId: 'gw:1', clientSecret: 'hush hush' }
const codeOf = (error: unknown): unknown => (error as { code?: string }).code ?? error

test('client credentials at a real provider', async () => {
  await using idp = await startIssuer()
  for (const method of ['client_secret_basic', 'client_secret_post'] as const) {
    const source = createClientCredentials({
      tokenEndpoint: `${idp.issuer}/token`,
      client: { method, clientId: 'machine', clientSecret: SECRET },
      scopes: ['mcp:read'],
      resource: 'https://crm.example/mcp',
      allowLoopback: true,
    })
    const [one, two] = await Promise.all([source.token(), source.token()])
    expect(two).toBe(one)
    expect(decodeJwt(one.token)).toMatchObject({ aud: 'https://crm.example/mcp', scope: 'mcp:read' })
    expect(Math.abs(one.expiresAt - Date.now() - TOKEN_TTL_MS)).toBeLessThan(10_000)
    source.forget(one.token)
    const next = await source.token()
    expect(next).not.toEqual(one)
    source.forget(one.token)
    expect(await source.token()).toBe(next)
  }
})

test('token exchange at a real provider, which is found by its name or by the server', async () => {
  await using idp = await startIssuer()
  const mine = await idp.token('https://gw.example/mcp', 'mcp:read', 'robot')
  await using server = await startGateway({ authorizationServer: idp.issuer, schemes: () => [] })
  const found = [{ issuer: idp.issuer, server: 'https://crm.example/mcp' }, { server: server.resource }]
  for (const where of found) {
    const source = createTokenExchange({
      tokenEndpoint: discoverTokenEndpoint({ ...where, allowLoopback: true }),
      client: { method: 'client_secret_basic', clientId: 'gateway', clientSecret: SECRET },
      resource: 'https://crm.example/mcp',
      allowLoopback: true,
    })
    const { token } = await source.token({ subject: { caller: { ...alice, expiresAt: undefined }, token: mine } })
    expect(decodeJwt(token)).toMatchObject({ aud: 'https://crm.example/mcp', sub: 'robot', client_id: 'gateway' })
    const forged = source.token({ subject: { caller: { ...alice, expiresAt: undefined }, token: `${mine}x` } })
    await expect(forged).rejects.toMatchObject({ code: 'AUTH_UPSTREAM_REFUSED', message: expect.stringContaining('invalid_grant') }) // prettier-ignore
  }
})

describe('at a token endpoint', () => {
  type Seen = { readonly authorization: string | undefined; readonly form: URLSearchParams }
  let seen: Seen[] = []
  let answer: { status: number; body: unknown } = { status: 200, body: {} }
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      seen.push({ authorization: request.headers.authorization, form: new URLSearchParams(body) })
      response.writeHead(answer.status, { 'content-type': 'application/json' })
      response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
    })
  }).listen(0, '127.0.0.1')
  const tokenEndpoint = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  afterAll(() => close(server))
  let now = 0
  beforeEach(() => {
    seen = []
    now = 1_000_000
    answer = { status: 200, body: { access_token: 'up-1', token_type: 'bearer', expires_in: 300 } }
  })
  const open = (changes: Partial<TokenExchangeOptions> = {}): ReturnType<typeof createTokenExchange> =>
    createTokenExchange({ tokenEndpoint: tokenEndpoint(), client, clock: () => now, allowLoopback: true, ...changes })
  const subject = { caller: alice, token: 'client-token' }

  test('exchanges as RFC 8693 says', async () => {
    const source = open({ resource: 'https://crm.example', audience: 'crm', scopes: ['a', 'b'] })
    expect(await source.token({ subject })).toEqual({ token: 'up-1', expiresAt: 1_300_000 })
    expect(Object.fromEntries(seen[0]?.form ?? [])).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: 'client-token',
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      resource: 'https://crm.example',
      audience: 'crm',
      scope: 'a b',
    })
    // Form-encoded before base64, so that the colon of the id is none (RFC 6749 §2.3.1).
    expect(seen[0]?.authorization).toBe(`Basic ${Buffer.from('gw%3A1:hush+hush').toString('base64')}`)
  })

  test('asks once for many at once, and again shortly before the end', async () => {
    const source = open()
    await Promise.all(Array.from({ length: 20 }, () => source.token({ subject })))
    now += 269_999
    await source.token({ subject })
    expect(seen).toHaveLength(1)
    now += 1
    await Promise.all([source.token({ subject }), source.token({ subject })])
    expect(seen).toHaveLength(2)
  })

  test('a token is not used beyond the end of the one it was got for', async () => {
    const source = open()
    const brief = { caller: { ...alice, expiresAt: now + 60_000 }, token: 'brief' }
    await source.token({ subject: brief })
    now += 30_000
    await source.token({ subject: brief })
    expect(seen).toHaveLength(2)
  })

  test('nobody gets the token of another: not of another tenant, caller, or token', async () => {
    const source = open()
    await source.token({ subject })
    await source.token({ subject: { ...subject, caller: { ...alice, tenantId: 'other' } } })
    await source.token({ subject: { ...subject, caller: { ...alice, id: 'bob' } } })
    await source.token({ subject: { ...subject, token: 'less' } })
    expect(seen).toHaveLength(4)
  })

  test('remembers no more subjects than said', async () => {
    const source = open({ maxSubjects: 2 })
    for (const token of ['a', 'b', 'a', 'c', 'a', 'b']) await source.token({ subject: { caller: alice, token } })
    expect(seen.map(({ form }) => form.get('subject_token'))).toEqual(['a', 'b', 'c', 'b'])
  })

  test('sends no API key and no session anywhere', async () => {
    for (const scheme of ['api-key', 'session', 'mtls'] as const) {
      const asked = open().token({ subject: { caller: { ...alice, scheme }, token: 'gw_secret' } })
      await expect(asked).rejects.toMatchObject({ code: 'AUTH_UPSTREAM_SUBJECT_MISSING' })
    }
    await expect(open().token()).rejects.toMatchObject({ code: 'AUTH_UPSTREAM_SUBJECT_MISSING' })
    expect(seen).toHaveLength(0)
  })

  test('a client without a secret names itself, and one with a key signs', async () => {
    await open({ client: { method: 'none', clientId: 'public' } }).token({ subject })
    expect(seen[0]).toMatchObject({ authorization: undefined })
    expect(seen[0]?.form.get('client_id')).toBe('public')

    const { privateKey, publicKey } = await generateKeyPair('ES256')
    await open({
      client: { method: 'private_key_jwt', clientId: 'gw', privateKey, algorithm: 'ES256', keyId: 'k1' },
    }).token({ subject })
    const assertion = seen[1]?.form.get('client_assertion') ?? ''
    expect(seen[1]?.form.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    expect(decodeProtectedHeader(assertion)).toEqual({ alg: 'ES256', kid: 'k1' })
    const checks = { issuer: 'gw', subject: 'gw', audience: tokenEndpoint(), currentDate: new Date(now) }
    expect((await jwtVerify(assertion, publicKey, checks)).payload).toMatchObject({
      exp: 1060,
      jti: expect.any(String),
    })
  })

  test.each<[string, number, unknown, string]>([
    ['an OAuth error', 400, { error: 'invalid_grant', error_description: 'client-token' }, 'AUTH_UPSTREAM_REFUSED'],
    ['an error that is a text', 401, 'hush hush', 'AUTH_UPSTREAM_REFUSED'],
    ['a redirect', 302, '', 'AUTH_UPSTREAM_REFUSED'],
    ['too many requests', 429, {}, 'AUTH_UPSTREAM_UNAVAILABLE'],
    ['its own failure', 500, {}, 'AUTH_UPSTREAM_UNAVAILABLE'],
    ['no token', 200, { token_type: 'Bearer' }, 'AUTH_UPSTREAM_REFUSED'],
    ['a token with a line break', 200, { access_token: 'a\r\nb', token_type: 'Bearer' }, 'AUTH_UPSTREAM_REFUSED'],
    ['a token that is no bearer', 200, { access_token: 'a', token_type: 'N_A' }, 'AUTH_UPSTREAM_REFUSED'],
    ['no JSON', 200, '<html>', 'AUTH_UPSTREAM_REFUSED'],
    ['too much', 200, 'x'.repeat(70_000), 'AUTH_UPSTREAM_UNAVAILABLE'],
  ])('%s: a coded error that repeats nothing; after a second a call asks again', async (_, status, body, code) => {
    answer = { status, body }
    const source = open()
    const failed: unknown = await source.token({ subject }).catch((error: unknown) => error)
    expect(codeOf(failed)).toBe(code)
    expect(String(failed)).not.toMatch(/client-token|hush/)
    answer = { status: 200, body: { access_token: 'good', token_type: 'Bearer' } }
    await expect(source.token({ subject })).rejects.toBe(failed)
    expect(seen).toHaveLength(1)
    now += 1000
    expect(await source.token({ subject })).toEqual({ token: 'good', expiresAt: now + 60_000 })
  })

  test('an endpoint that is not there is unavailable', async () => {
    const source = open({ fetch: () => Promise.reject(new Error('refused')) })
    await expect(source.token({ subject })).rejects.toMatchObject({ code: 'AUTH_UPSTREAM_UNAVAILABLE' })
  })
})

test('who gives up waiting does not end it for the others', async () => {
  const { promise, resolve } = Promise.withResolvers<UpstreamToken>()
  let asked = 0
  const source = createTokenSource({
    request: () => {
      asked += 1
      return promise
    },
  })
  const abort = new AbortController()
  const left = source.token({ signal: abort.signal })
  const stays = source.token({ signal: new AbortController().signal })
  abort.abort(new Error('gone'))
  await expect(left).rejects.toThrow('gone')
  resolve({ token: 't', expiresAt: Date.now() + 100_000 })
  expect(await stays).toMatchObject({ token: 't' })
  await expect(source.token({ signal: AbortSignal.abort(new Error('late')) })).rejects.toThrow('late')
  expect(asked).toBe(1)
})

test.each<[string, () => unknown]>([
  ['plain http', () => createTokenExchange({ tokenEndpoint: 'http://idp.example/token', client })],
  [
    'client credentials without any',
    () => createClientCredentials({ tokenEndpoint: 'https://idp.example', client: { method: 'none', clientId: 'x' } }),
  ],
])('refuses %s', (_, make) => {
  expect(make).toThrow(TypeError)
})
