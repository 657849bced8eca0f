import { createHmac, createSign, generateKeyPairSync } from 'node:crypto'
import { createOidc, type AuthRequest, type Caller, type OidcOptions, type Scheme } from '@mcp-gateway/auth'
import fc from 'fast-check'
import { exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT, type CryptoKey, type JWK } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startGateway, type Gateway } from './support/gateway.ts'
import { startIssuer, TOKEN_TTL_MS, type Issuer } from './support/issuer.ts'

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const part = (token: string, index: number): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[index] ?? '', 'base64url').toString()) as Record<string, unknown>

describe('with a real provider, over HTTP', () => {
  let idp: Issuer
  let gateway: Gateway
  let now = 0

  const open = (changes: Partial<OidcOptions> = {}): Promise<Gateway> =>
    startGateway({
      authorizationServer: idp.issuer,
      schemes: (resource) => [
        createOidc({
          issuers: [
            {
              issuer: idp.issuer,
              allowLoopback: true,
              claims: { roles: 'realm_access.roles', tenantId: 'tenant', attributes: { customerId: 'customer_id' } },
            },
          ],
          audience: resource,
          clock: () => Date.now() + now,
          ...changes,
        }),
      ],
    })
  const ask = async (token: string | undefined, { resource } = gateway) => {
    const response = await fetch(resource, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })
    const challenge = response.headers.get('www-authenticate')
    return { status: response.status, challenge, body: (await response.json()) as Record<string, unknown> }
  }
  const metadata = (): string => `resource_metadata="${gateway.origin}/.well-known/oauth-protected-resource/mcp"`

  beforeAll(async () => {
    idp = await startIssuer()
    gateway = await open()
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
    await idp[Symbol.asyncDispose]()
  })
  const expectRefused = async (token: string, code: string, to = gateway): Promise<void> => {
    const { status, challenge, body } = await ask(token, to)
    expect({ status, body }).toMatchObject({ status: 401, body: { error: { code } } })
    expect(challenge).toMatch(/^Bearer error="invalid_token", error_description="[^"]+", scope="mcp:read", /)
    expect(challenge).toContain(`resource_metadata="${to.origin}/.well-known/oauth-protected-resource/mcp"`)
    expect(JSON.stringify(body) + challenge).not.toContain(token.slice(-40))
  }

  test('makes a Caller of a token of the provider', async () => {
    const { status, body } = await ask(await idp.token(gateway.resource))
    expect(status).toBe(200)
    expect(body).toMatchObject({
      id: `${idp.issuer}|machine`,
      tenantId: 'acme',
      roles: ['reader', 'writer'],
      scopes: ['mcp:read'],
      attributes: { customerId: 'c-1', clientId: 'machine', issuer: idp.issuer },
      scheme: 'jwt',
    })
    expect(Math.abs((body['expiresAt'] as number) - Date.now() - TOKEN_TTL_MS)).toBeLessThan(60_000)
  })

  test('without a token: 401, where to get one, and no error', async () => {
    const { status, challenge, body } = await ask(undefined)
    expect({ status, body }).toMatchObject({ status: 401, body: { error: { code: 'AUTH_CREDENTIALS_MISSING' } } })
    expect(challenge).toBe(`Bearer scope="mcp:read", ${metadata()}`)
  })

  test('a token for another resource is refused', async () => {
    await expectRefused(await idp.token('https://other.example/mcp'), 'AUTH_TOKEN_AUDIENCE')
  })

  test('a token without the scope: 403 and which one', async () => {
    const { status, challenge, body } = await ask(await idp.token(gateway.resource, 'mcp:write'))
    expect({ status, body }).toMatchObject({ status: 403, body: { error: { code: 'AUTH_INSUFFICIENT_SCOPE' } } })
    expect(challenge).toMatch(/^Bearer error="insufficient_scope", error_description="[^"]+", scope="mcp:read", /)
    expect(challenge).toContain(metadata())
  })

  test('an expired token is refused, also one that was good a moment ago', async () => {
    const token = await idp.token(gateway.resource)
    expect(await ask(token)).toMatchObject({ status: 200 })
    now = TOKEN_TTL_MS + 31_000
    await expectRefused(token, 'AUTH_TOKEN_EXPIRED')
    now = 0
  })

  test('a token that is not valid yet is refused', async () => {
    const token = await idp.token(gateway.resource)
    const { privateKey, jwk } = await newKey('ES256')
    await using other = await open({
      fetch: () => Promise.resolve(Response.json({ issuer: idp.issuer, jwks_uri: `${idp.issuer}/x`, keys: [jwk] })),
    })
    const claims = { ...part(token, 1), aud: other.resource, nbf: Math.floor(Date.now() / 1000) + 60 }
    await expectRefused(await sign(claims, privateKey, 'ES256'), 'AUTH_TOKEN_INVALID', other)
    expect(await ask(await sign({ ...claims, nbf: 1 }, privateKey, 'ES256'), other)).toMatchObject({ status: 200 })
  })

  test('alg none is refused, with and without a signature', async () => {
    const token = await idp.token(gateway.resource)
    const [, claims = '', signature = ''] = token.split('.')
    for (const alg of ['none', 'None', 'NONE', '']) {
      const header = encode({ ...part(token, 0), alg })
      await expectRefused(`${header}.${claims}.`, 'AUTH_TOKEN_INVALID')
      await expectRefused(`${header}.${claims}.${signature}`, 'AUTH_TOKEN_INVALID')
    }
  })

  test('a token signed by HMAC with the public key is refused', async () => {
    const token = await idp.token(gateway.resource)
    const header = part(token, 0)
    const jwk = (await idp.publicKeys()).find(({ kid }) => kid === header['kid'])
    const pem = await exportSPKI((await importJWK(jwk as JWK, 'RS256', { extractable: true })) as CryptoKey)
    for (const secret of [pem, pem.trim(), JSON.stringify(jwk), String(jwk?.n)]) {
      const signed = `${encode({ ...header, alg: 'HS256' })}.${token.split('.')[1]}`
      const forged = `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
      await expectRefused(forged, 'AUTH_TOKEN_INVALID')
    }
  })

  test('a token with the algorithm of another of its keys, with crit, or signed with a key it brings, is refused', async () => {
    const token = await idp.token(gateway.resource)
    const [, claims = '', signature = ''] = token.split('.')
    const { privateKey, jwk } = await newKey('RS256')
    for (const changes of [
      { alg: 'ES256' },
      { alg: 'PS256' },
      { crit: ['exp'], exp: 1 },
      { crit: ['b64'], b64: false },
      { crit: [] },
      { typ: 'logout+jwt' },
    ]) {
      await expectRefused(`${encode({ ...part(token, 0), ...changes })}.${claims}.${signature}`, 'AUTH_TOKEN_INVALID')
    }
    const header = { ...part(token, 0), alg: 'RS256', jwk, jku: 'https://evil.example/jwks', x5c: ['x'] }
    await expectRefused(
      await new SignJWT(part(token, 1)).setProtectedHeader(header).sign(privateKey),
      'AUTH_TOKEN_INVALID',
    )
  })

  test('a token of an issuer that nobody configured is an unknown key, and costs no fetch', async () => {
    const { privateKey } = await newKey('RS256')
    const before = idp.jwksFetches()
    const claims = { iss: `${idp.issuer}/`, sub: 'eve', aud: gateway.resource, exp: 4_000_000_000 }
    await expectRefused(await sign(claims, privateKey, 'RS256'), 'AUTH_KEY_UNKNOWN')
    expect(idp.jwksFetches()).toBe(before)
  })

  test('a token as long as headers get is refused, and one longer does not get here', async () => {
    await expectRefused(`${await idp.token(gateway.resource)}${'a'.repeat(14_000)}`, 'AUTH_TOKEN_INVALID')
    const { status } = await fetch(gateway.resource, { headers: { authorization: `Bearer a.b.${'c'.repeat(17_000)}` } })
    expect(status).toBe(431)
  })

  test('one changed character of a token ≡ refused', async () => {
    const token = await idp.token(gateway.resource)
    const at = fc.oneof(fc.nat(token.length - 1), fc.constant(token.length - 1))
    await fc.assert(
      fc.asyncProperty(at, fc.constantFrom(...ALPHABET.split('')), async (index, character) => {
        fc.pre(token[index] !== character)
        const { status } = await ask(token.slice(0, index) + character + token.slice(index + 1))
        expect(status).toBe(401)
      }),
      { numRuns: 300 },
    )
  })

  test('new keys count when a token names them, and old ones stop', async () => {
    let aheadMs = 0
    await using one = await open({ cooldownMs: 1000, rememberMs: 0, clock: () => Date.now() + aheadMs })
    const old = await idp.token(one.resource)
    expect(await ask(old, one)).toMatchObject({ status: 200 })
    await idp.rotate()
    const token = await idp.token(one.resource)
    aheadMs = 2000
    expect(await ask(token, one)).toMatchObject({ status: 200 })
    await expectRefused(old, 'AUTH_TOKEN_INVALID', one)
  })

  test('a flood of unknown key ids costs the issuer one fetch in each cool-down', async () => {
    let aheadMs = 0
    await using one = await open({ clock: () => Date.now() + aheadMs })
    const good = await idp.token(one.resource)
    expect(await ask(good, one)).toMatchObject({ status: 200 })
    const [, claims = '', signature = ''] = good.split('.')
    const flood = async (): Promise<void> => {
      const answers = await Promise.all(
        Array.from({ length: 300 }, (_, index) =>
          ask(`${encode({ ...part(good, 0), kid: `made-up-${index}-${aheadMs}` })}.${claims}.${signature}`, one),
        ),
      )
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
    }
    const before = idp.jwksFetches()
    await flood()
    expect(idp.jwksFetches() - before).toBe(0)
    for (let round = 1; round <= 3; round++) {
      aheadMs += 30_001
      await flood()
      expect(idp.jwksFetches() - before).toBe(round)
    }
  })

  test('an issuer that does not answer: 503 and no challenge, and good again without a restart', async () => {
    let aheadMs = 0
    await using one = await open({ rememberMs: 0, clock: () => Date.now() + aheadMs })
    const token = await idp.token(one.resource)
    idp.setDown(true)
    expect(await ask(token, one)).toMatchObject({
      status: 503,
      challenge: null,
      body: { error: { code: 'AUTH_ISSUER_UNAVAILABLE' } },
    })
    idp.setDown(false)
    aheadMs += 2001
    expect(await ask(token, one)).toMatchObject({ status: 200 })
    // Known keys go on counting while it is away; a key that it may have is not called a wrong one.
    idp.setDown(true)
    aheadMs += 600_001 - 400_000
    expect(await ask(token, one)).toMatchObject({ status: 200 })
    const [, claims = '', signature = ''] = token.split('.')
    const unknown = `${encode({ ...part(token, 0), kid: 'new' })}.${claims}.${signature}`
    expect(await ask(unknown, one)).toMatchObject({ status: 503, body: { error: { code: 'AUTH_ISSUER_UNAVAILABLE' } } })
    idp.setDown(false)
  })
})

describe('without a network', () => {
  const issuer = 'https://idp.example/realms/a'
  const audience = 'https://gw.example/mcp'
  const now = Date.parse('2026-11-21T12:00:00Z')
  const claims = { iss: issuer, sub: 'alice', aud: audience, exp: now / 1000 + 60 }
  let key: Awaited<ReturnType<typeof newKey>>
  beforeAll(async () => {
    key = await newKey('ES256')
  })

  const asked: string[] = []
  const idp =
    (changes: Record<string, unknown> = {}) =>
    (url: string) => {
      asked.push(url)
      if (url.endsWith('/keys')) return Promise.resolve(Response.json({ keys: [key.jwk], ...changes }))
      if (!url.endsWith('/realms/a/.well-known/openid-configuration')) {
        return Promise.resolve(new Response('no', { status: 404 }))
      }
      return Promise.resolve(Response.json({ issuer, jwks_uri: 'https://idp.example/keys', ...changes }))
    }
  const open = (changes: Partial<OidcOptions> = {}, one: Partial<OidcOptions['issuers'][0]> = {}): Scheme =>
    createOidc({ issuers: [{ issuer, ...one }], audience, clock: () => now, fetch: idp(), ...changes })
  const ask = async (scheme: Scheme, payload: Record<string, unknown>): Promise<unknown> => {
    const token = await sign(payload, key.privateKey, 'ES256')
    try {
      return await scheme.authenticate(bearer(token))
    } catch (error) {
      return (error as { code?: string }).code ?? error
    }
  }

  test('looks where RFC 8414 and OpenID Connect Discovery say, and keeps what it found', async () => {
    asked.length = 0
    const scheme = open()
    await Promise.all([ask(scheme, claims), ask(scheme, claims), ask(scheme, { ...claims, sub: 'bob' })])
    await ask(scheme, { ...claims, sub: 'carol' })
    expect(asked).toEqual([
      'https://idp.example/.well-known/oauth-authorization-server/realms/a',
      'https://idp.example/.well-known/openid-configuration/realms/a',
      'https://idp.example/realms/a/.well-known/openid-configuration',
      'https://idp.example/keys',
    ])
  })

  test.each<[string, Record<string, unknown>]>([
    ['metadata of another issuer', { issuer: 'https://idp.example/realms/b' }],
    ['metadata of the issuer with a slash', { issuer: `${issuer}/` }],
    ['no jwks_uri', { jwks_uri: undefined }],
    ['keys over plain http', { jwks_uri: 'http://idp.example/keys' }],
    ['keys on this machine over plain http', { jwks_uri: 'http://127.0.0.1/keys' }],
    ['keys that are none', { keys: 'none' }],
    ['a huge document', { filler: 'x'.repeat(1_100_000) }],
  ])('%s: the issuer is unavailable', async (_, changes) => {
    expect(await ask(open({ fetch: idp(changes) }), claims)).toBe('AUTH_ISSUER_UNAVAILABLE')
  })

  test('redirects are not followed', async () => {
    const inits: RequestInit[] = []
    const fetch = (url: string, init: RequestInit): Promise<Response> => {
      inits.push(init)
      return Promise.resolve(new Response(null, { status: 302, headers: { location: `${url}/elsewhere` } }))
    }
    expect(await ask(open({ fetch }), claims)).toBe('AUTH_ISSUER_UNAVAILABLE')
    expect(new Set(inits.map(({ redirect }) => redirect))).toEqual(new Set(['manual']))
  })

  test('an issuer that hangs is waited for no longer than said, and not by everybody anew', async () => {
    let fetches = 0
    const fetch = (_: string, { signal }: RequestInit): Promise<Response> => {
      fetches += 1
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error))
      })
    }
    const scheme = open({ fetch, timeoutMs: 50 })
    const started = performance.now()
    expect(await Promise.all([ask(scheme, claims), ask(scheme, claims)])).toEqual(
      Array(2).fill('AUTH_ISSUER_UNAVAILABLE'),
    )
    expect(performance.now() - started).toBeLessThan(2000)
    const before = fetches
    expect(await ask(scheme, claims)).toBe('AUTH_ISSUER_UNAVAILABLE')
    expect(fetches).toBe(before)
  })

  test('old keys count for as long as said while their issuer is away, and nobody waits for it again and again', async () => {
    let at = now
    let isDown = false
    let hangs = 0
    const fetch = (url: string, { signal }: RequestInit): Promise<Response> => {
      if (!isDown) return idp()(url)
      hangs += 1
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error))
      })
    }
    const scheme = open({ fetch, clock: () => at, rememberMs: 0, timeoutMs: 50 })
    const late = { ...claims, exp: now / 1000 + 100_000 }
    expect(await ask(scheme, late)).toMatchObject({ name: 'alice' })
    isDown = true
    at = now + 600_000
    expect(await ask(scheme, late)).toMatchObject({ name: 'alice' })
    const before = hangs
    at += 2000
    const started = performance.now()
    for (let call = 0; call < 20; call++) expect(await ask(scheme, late)).toMatchObject({ name: 'alice' })
    expect(performance.now() - started).toBeLessThan(500)
    expect(hangs - before).toBeLessThanOrEqual(3)
    at = now + 3_600_000
    expect(await ask(scheme, late)).toBe('AUTH_ISSUER_UNAVAILABLE')
    isDown = false
    at += 2000
    expect(await ask(scheme, late)).toMatchObject({ name: 'alice' })
  })

  test('a key too weak to be used makes no token good', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const start = `${encode({ alg: 'RS256' })}.${encode(claims)}`
    const token = `${start}.${createSign('sha256').update(start).sign(privateKey).toString('base64url')}`
    const scheme = open({ fetch: idp({ keys: [publicKey.export({ format: 'jwk' })] }) })
    await expect(scheme.authenticate(bearer(token))).rejects.toMatchObject({ code: 'AUTH_TOKEN_INVALID' })
  })

  test('nobody can write into a Caller that others are given', async () => {
    const scheme = open({}, { claims: { attributes: { team: 'team' } } })
    const caller = (await ask(scheme, { ...claims, team: { roles: ['a'] } })) as Caller
    expect(caller.attributes['team']).toEqual({ roles: ['a'] })
    expect(() => (caller.attributes['team'] as { roles: string[] }).roles.push('admin')).toThrow(TypeError)
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['no sub', { sub: undefined }, 'AUTH_TOKEN_INVALID'],
    ['an empty sub', { sub: '' }, 'AUTH_TOKEN_INVALID'],
    ['a sub with a line break', { sub: 'a\nb' }, 'AUTH_TOKEN_INVALID'],
    ['a sub that is a number', { sub: 7 }, 'AUTH_TOKEN_INVALID'],
    ['a sub without end', { sub: 'a'.repeat(513) }, 'AUTH_TOKEN_INVALID'],
    ['no exp', { exp: undefined }, 'AUTH_TOKEN_INVALID'],
    ['an exp that is a text', { exp: '4000000000' }, 'AUTH_TOKEN_INVALID'],
    ['an exp beyond all numbers', { exp: 1e306 }, 'AUTH_TOKEN_INVALID'],
    ['no aud', { aud: undefined }, 'AUTH_TOKEN_AUDIENCE'],
    ['the resource with a slash', { aud: `${audience}/` }, 'AUTH_TOKEN_AUDIENCE'],
    ['a key it is bound to', { cnf: { jkt: 'x' } }, 'AUTH_TOKEN_INVALID'],
    ['too many scopes', { scope: 'a '.repeat(600) }, 'AUTH_TOKEN_INVALID'],
    ['expired by more than the skew', { exp: now / 1000 - 30 }, 'AUTH_TOKEN_EXPIRED'],
    ['not valid within the skew', { nbf: now / 1000 + 31 }, 'AUTH_TOKEN_INVALID'],
  ])('%s is refused', async (_, changes, code) => {
    expect(await ask(open(), { ...claims, ...changes })).toBe(code)
  })

  test('clocks may differ by the skew, and the Caller says until when it counts', async () => {
    const exp = now / 1000 - 29
    expect(await ask(open(), { ...claims, exp, nbf: now / 1000 + 30 })).toMatchObject({
      expiresAt: exp * 1000 + 30_000,
    })
  })

  test('a token without scopes has none, and not all', async () => {
    expect(await ask(open(), claims)).toMatchObject({ scopes: [], roles: [], tenantId: 'default', name: 'alice' })
    const scopes = { scp: ['a', 'b', 7] }
    expect(await ask(open({}, { claims: { scopes: 'scp' } }), { ...claims, ...scopes })).toMatchObject({
      scopes: ['a', 'b'],
    })
  })

  test('a claim whose name has dots is found before the path', async () => {
    const roles = 'https://acme.example/roles'
    const names = { roles, name: 'profile.name' }
    const payload = { ...claims, [roles]: 'admin reader', profile: { name: 'Alice' } }
    expect(await ask(open({}, { claims: names }), payload)).toMatchObject({ roles: ['admin', 'reader'], name: 'Alice' })
    expect(await ask(open({}, { claims: { roles: '__proto__.x' } }), claims)).toMatchObject({ roles: [] })
  })

  test('a tenant comes from where it was said to come, or the token is refused', async () => {
    const named = { claims: { tenantId: 'tid' } }
    expect(await ask(open({}, named), claims)).toBe('AUTH_TOKEN_INVALID')
    expect(await ask(open({}, { ...named, tenants: ['acme'] }), { ...claims, tid: 'other' })).toBe('AUTH_TOKEN_INVALID')
    expect(await ask(open({}, { ...named, tenants: ['acme'] }), { ...claims, tid: 'acme' })).toMatchObject({
      tenantId: 'acme',
    })
  })

  test('a token without a kid is taken only while there is one key it can be of', async () => {
    expect(await ask(open(), claims)).toMatchObject({ id: `${issuer}|alice` })
    const second = (await newKey('ES256')).jwk
    expect(await ask(open({ fetch: idp({ keys: [key.jwk, second] }) }), claims)).toBe('AUTH_TOKEN_INVALID')
  })

  test('X-API-Key is no place for a token', async () => {
    const token = await sign(claims, key.privateKey, 'ES256')
    expect(open().authenticate({ ...bearer(''), headers: { 'x-api-key': token } })).toBeUndefined()
  })

  test('a token verified a moment ago is answered at once, until it is forgotten', async () => {
    let at = now
    const scheme = open({ clock: () => at, maxRememberedTokens: 2, rememberMs: 1000 })
    const request = bearer(await sign(claims, key.privateKey, 'ES256'))
    const first = await scheme.authenticate(request)
    expect(scheme.authenticate(request)).toBe(first)
    at += 1000
    expect(scheme.authenticate(request)).toBeInstanceOf(Promise)
    await scheme.authenticate(request)
    expect(scheme.authenticate(request)).not.toBeInstanceOf(Promise)
    await ask(scheme, { ...claims, sub: 'b' })
    await ask(scheme, { ...claims, sub: 'c' })
    expect(scheme.authenticate(request)).toBeInstanceOf(Promise)
  })

  test('(issuer, sub) ≠ (issuer′, sub′) ⇒ the ids differ, or the configuration is refused', () => {
    const prefix = fc.stringMatching(/^[ab|]{0,3}$/)
    fc.assert(
      fc.property(prefix, prefix, fc.string(), fc.string(), (one, other, sub, sub2) => {
        const issuers = [
          { issuer: 'https://one.example', idPrefix: one },
          { issuer: 'https://two.example', idPrefix: other },
        ]
        try {
          createOidc({ issuers, audience })
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError)
          return
        }
        expect(one + sub).not.toBe(other + sub2)
      }),
    )
  })

  test.each<[string, Partial<OidcOptions['issuers'][0]>[], RegExp]>([
    ['plain http', [{ issuer: 'http://idp.example' }], /must be https/],
    ['http to this machine that was not allowed', [{ issuer: 'http://127.0.0.1:1' }], /must be https/],
    [
      'http to a name that only looks local',
      [{ issuer: 'http://127.0.0.1.evil.example', allowLoopback: true }],
      /https/,
    ],
    ['a secret-key algorithm', [{ algorithms: ['RS256', 'HS256'] }], /not HS256/],
    ['alg none', [{ algorithms: ['none'] }], /not none/],
    ['no algorithm', [{ algorithms: [] }], /not nothing/],
    ['a long skew', [{ clockSkewMs: 3_600_000 }], /clockSkewMs/],
    ['an empty audience', [{ audience: '' }], /no audience/],
    ['an issuer twice', [{}, { idPrefix: 'x' }], /there twice/],
    [
      'two with one prefix',
      [{ idPrefix: 'a' }, { issuer: 'https://b.example', idPrefix: 'ab' }],
      /one id to two people/,
    ],
    ['tenants that nobody limits', [{ claims: { tenantId: 't' } }, { issuer: 'https://b.example' }], /"tenants"/],
    ['credentials in a URL', [{ issuer: 'https://a:b@idp.example' }], /credentials/],
  ])('refuses %s', (_, changes, message) => {
    const issuers = changes.map((one) => ({ issuer, ...one }))
    expect(() => createOidc({ issuers, audience })).toThrow(TypeError)
    expect(() => createOidc({ issuers, audience })).toThrow(message)
  })
})

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'

function bearer(token: string): AuthRequest {
  return { method: 'POST', url: 'https://gw.example/mcp', headers: { authorization: `Bearer ${token}` } }
}

async function newKey(alg: string): Promise<{ privateKey: CryptoKey; jwk: JWK }> {
  const { privateKey, publicKey } = await generateKeyPair(alg)
  return { privateKey, jwk: await exportJWK(publicKey) }
}

function sign(claims: Record<string, unknown>, key: CryptoKey, alg: string): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg }).sign(key)
}
