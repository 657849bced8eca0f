import {
  AuthError,
  challengeFor,
  createApiKeys,
  createAuthenticator,
  generateApiKey,
  protectedResourceMetadata,
  protectedResourcePath,
  protectedResourceUrl,
  requireScopes,
  statusOf,
  type AuthErrorCode,
  type ProtectedResource,
  type Scheme,
} from '@mcp-gateway/auth'
import { authentication, protectedResourceRoutes, type AuthEnv } from '@mcp-gateway/auth/hono'
import fc from 'fast-check'
import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'

const resource = 'https://gw.example/mcp'
const description: ProtectedResource = { resource, authorizationServers: ['https://idp.example'] }
const error = (code: AuthErrorCode, scopes?: string[]): AuthError =>
  new AuthError(code, 'no', { requiredScopes: scopes })

/** RFC 9110 §11.6.1, as strict as it is written: undefined when a header is not exactly that. */
function parse(header: string): Record<string, string> | undefined {
  const [, list = ''] = /^Bearer(?: (.+))?$/.exec(header) ?? []
  const found: Record<string, string> = {}
  let rest = list
  while (rest !== '') {
    const match = /^([a-z_]+)="((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*)"(?:, (?=.)|$)/.exec(rest)
    const [whole, name, value] = match ?? []
    if (whole === undefined || name === undefined || value === undefined || name in found) return undefined
    found[name] = value.replace(/\\(.)/g, '$1')
    rest = rest.slice(whole.length)
  }
  return found
}

describe('challengeFor', () => {
  test.each<[AuthErrorCode, string | undefined]>([
    ['AUTH_CREDENTIALS_MISSING', 'Bearer scope="a b", resource_metadata="X"'],
    [
      'AUTH_CREDENTIALS_MALFORMED',
      'Bearer error="invalid_request", error_description="no", scope="a b", resource_metadata="X"',
    ],
    ['AUTH_KEY_UNKNOWN', 'Bearer error="invalid_token", error_description="no", scope="a b", resource_metadata="X"'],
    ['AUTH_TOKEN_EXPIRED', 'Bearer error="invalid_token", error_description="no", scope="a b", resource_metadata="X"'],
    [
      'AUTH_INSUFFICIENT_SCOPE',
      'Bearer error="insufficient_scope", error_description="no", scope="a b", resource_metadata="X"',
    ],
    ['AUTH_ISSUER_UNAVAILABLE', undefined],
    ['AUTH_UPSTREAM_REFUSED', undefined],
    ['AUTH_UPSTREAM_SUBJECT_MISSING', undefined],
  ])('%s', (code, expected) => {
    const url = 'https://gw.example/.well-known/oauth-protected-resource/mcp'
    expect(challengeFor(error(code), { resource, scopes: ['a', 'b'] })).toBe(expected?.replace('X', url))
  })

  test('an insufficient scope names those of the operation', () => {
    const header = challengeFor(error('AUTH_INSUFFICIENT_SCOPE', ['c', 'd']), { resource, scopes: ['a'] })
    expect(parse(header ?? '')).toMatchObject({ scope: 'c d' })
  })

  test('without a resource and scopes there is the scheme', () => {
    expect(challengeFor(error('AUTH_CREDENTIALS_MISSING'))).toBe('Bearer')
  })

  test('any message, any scope ≡ a header that parses, and has no more parameters than said', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('"', '\\', '", error="x', 'a\r\nSet-Cookie: b'),
    )
    fc.assert(
      fc.property(text, fc.array(text, { maxLength: 3 }), (message, scopes) => {
        const refused = new AuthError('AUTH_INSUFFICIENT_SCOPE', message, { requiredScopes: scopes })
        const header = challengeFor(refused, { resource }) ?? ''
        expect(parse(header), header).toBeDefined()
        expect(() => new Headers({ 'www-authenticate': header })).not.toThrow()
        expect(parse(header)).toMatchObject({ error: 'insufficient_scope' })
      }),
    )
  })
})

describe('protected resource metadata', () => {
  test('says what RFC 9728 has a name for, and nothing that was not said', () => {
    expect(protectedResourceMetadata(description)).toEqual({
      resource,
      authorization_servers: ['https://idp.example'],
      bearer_methods_supported: ['header'],
    })
    expect(protectedResourceMetadata({ ...description, scopes: ['mcp:read'], name: 'GW' })).toMatchObject({
      scopes_supported: ['mcp:read'],
      resource_name: 'GW',
    })
  })

  test.each([
    ['https://gw.example', 'https://gw.example/.well-known/oauth-protected-resource'],
    [resource, 'https://gw.example/.well-known/oauth-protected-resource/mcp'],
    [
      'http://gw.example:8080/mcp/server/crm',
      'http://gw.example:8080/.well-known/oauth-protected-resource/mcp/server/crm',
    ],
  ])('of %s is at %s', (of, at) => {
    expect(protectedResourceUrl(of)).toBe(at)
    expect(protectedResourcePath(of)).toBe(new URL(at).pathname)
  })

  test.each<[string, Partial<ProtectedResource>, RegExp]>([
    ['a fragment', { resource: `${resource}#x` }, /more than/],
    ['an empty fragment', { resource: `${resource}#` }, /more than/],
    ['a query', { resource: `${resource}?x=1` }, /more than/],
    ['a trailing slash', { resource: `${resource}/` }, /slash/],
    ['another scheme', { resource: 'ftp://gw.example/mcp' }, /not a URL/],
    ['no authorization server', { authorizationServers: [] }, /no authorization server/],
    ['offline_access', { scopes: ['offline_access'] }, /offline_access/],
    ['a scope with a space', { scopes: ['a b'] }, /not a scope/],
  ])('refuses %s', (_, changes, message) => {
    expect(() => protectedResourceMetadata({ ...description, ...changes })).toThrow(message)
  })
})

describe('requireScopes', () => {
  test('holds back who has a token without the scope, and says which are needed', () => {
    expect(() => requireScopes({ scopes: ['a'] }, ['a', 'b'])).toThrow(
      expect.objectContaining({ code: 'AUTH_INSUFFICIENT_SCOPE', requiredScopes: ['a', 'b'] }),
    )
    expect(() => requireScopes({ scopes: [] }, ['a'])).toThrow(AuthError)
    expect(() => requireScopes({ scopes: ['b', 'a'] }, ['a', 'b'])).not.toThrow()
  })

  test('does not hold back credentials that know no scopes', () => {
    expect(() => requireScopes({}, ['a'])).not.toThrow()
  })

  test('a scope contains others, also in circles', () => {
    const implies = { admin: ['write'], write: ['read'], read: ['admin'] }
    expect(() => requireScopes({ scopes: ['write'] }, ['read', 'admin'], { implies })).not.toThrow()
    expect(() => requireScopes({ scopes: ['toString'] }, ['read'], { implies })).toThrow(AuthError)
  })
})

describe('the middleware', () => {
  const { key, hash } = generateApiKey()
  const keys = createApiKeys({ keys: [{ id: 'k', key: hash, name: 'K', consumerId: 'alice', roles: [] }] })
  const open = (...schemes: Scheme[]): Hono<AuthEnv> => {
    const app = new Hono<AuthEnv>()
    app.use(protectedResourceRoutes({ resources: [description] }))
    app.use(
      '/mcp',
      authentication({ authenticator: createAuthenticator({ schemes }), origin: 'https://gw.example', resource }),
    )
    app.post('/mcp', async (context) => context.json({ id: context.get('caller').id, body: await context.req.text() }))
    return app
  }
  const failing = (code: AuthErrorCode): Scheme => ({
    name: 'none',
    authenticate: () => {
      throw error(code)
    },
  })

  test('gives the handler its Caller', async () => {
    const response = await open(keys).request('/mcp', { method: 'POST', headers: { 'x-api-key': key }, body: 'hi' })
    expect(await response.json()).toEqual({ id: 'alice', body: 'hi' })
  })

  test('a scheme sees the URL that was configured, and the body, which the handler reads as well', async () => {
    const seen: unknown[] = []
    const scheme: Scheme = {
      name: 'erc8128',
      async authenticate(request) {
        const first = await request.body?.()
        seen.push(request.method, request.url, Buffer.from(first ?? []).toString(), (await request.body?.()) === first)
        return keys.authenticate({ ...request, headers: { 'x-api-key': key } })
      },
    }
    const response = await open(scheme).request('http://evil.example/mcp?a=1', { method: 'POST', body: 'hi' })
    expect(await response.json()).toEqual({ id: 'alice', body: 'hi' })
    expect(seen).toEqual(['POST', 'https://gw.example/mcp?a=1', 'hi', true])
  })

  test('a body beyond the limit is not read to its end', async () => {
    const scheme: Scheme = {
      name: 'erc8128',
      authenticate: async ({ body }) => {
        await body?.()
        return undefined
      },
    }
    const body = 'x'.repeat(4_194_305)
    expect((await open(scheme).request('/mcp', { method: 'POST', body })).status).toBe(401)
  })

  test.each<[AuthErrorCode, number, boolean]>([
    ['AUTH_TOKEN_REVOKED', 401, true],
    ['AUTH_INSUFFICIENT_SCOPE', 403, true],
    ['AUTH_UPSTREAM_REFUSED', 502, false],
    ['AUTH_REVOCATION_UNAVAILABLE', 503, false],
  ])('%s is answered with %i', async (code, status, hasChallenge) => {
    const response = await open(failing(code)).request('/mcp', { method: 'POST' })
    expect(response.status).toBe(status)
    expect(statusOf(code)).toBe(status)
    expect(response.headers.has('www-authenticate')).toBe(hasChallenge)
    expect(await response.json()).toEqual({ error: { code, message: 'no' } })
  })

  test('a refusal from behind it has the challenge of the resource, whatever onError made of it', async () => {
    const app = new Hono<AuthEnv>()
    app.onError(() => new Response('oops', { status: 500, headers: { 'www-authenticate': 'Basic' } }))
    const authenticator = createAuthenticator({ schemes: [keys] })
    app.use(authentication({ authenticator, origin: 'https://gw.example', resource }))
    app.get('/scope', () => {
      throw error('AUTH_INSUFFICIENT_SCOPE', ['a'])
    })
    app.get('/bug', () => {
      throw new Error('bug')
    })
    const headers = { 'x-api-key': key }
    const refused = await app.request('/scope', { headers })
    expect(refused.status).toBe(403)
    expect(parse(refused.headers.get('www-authenticate') ?? '')).toMatchObject({ scope: 'a' })
    expect(await (await app.request('/bug', { headers })).text()).toBe('oops')
  })

  test('metadata is for everybody, at the path of the resource and at the root', async () => {
    for (const path of ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource']) {
      const response = await open().request(path)
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(await response.json()).toEqual(protectedResourceMetadata(description))
      const preflight = await open().request(path, { method: 'OPTIONS' })
      expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([204, '*'])
      expect((await open().request(path, { method: 'POST' })).status).toBe(404)
    }
    expect((await open().request('/.well-known/oauth-protected-resource/other')).status).toBe(404)
  })

  test('metadata of resources that come and go', async () => {
    const app = new Hono()
    const find = (path: string): ProtectedResource | undefined =>
      path === '/mcp/server/crm' ? { ...description, resource: `https://gw.example${path}` } : undefined
    app.use(protectedResourceRoutes({ resources: find }))
    const found = await app.request('/.well-known/oauth-protected-resource/mcp/server/crm')
    expect(await found.json()).toMatchObject({ resource: 'https://gw.example/mcp/server/crm' })
    expect((await app.request('/.well-known/oauth-protected-resource/mcp/server/db')).status).toBe(404)
  })

  test('two resources at one path, or a wrong one, are found when the routes are made', () => {
    expect(() => protectedResourceRoutes({ resources: [description, description] })).toThrow(/two resources/)
    expect(() => protectedResourceRoutes({ resources: [{ ...description, authorizationServers: [] }] })).toThrow(
      TypeError,
    )
  })
})
