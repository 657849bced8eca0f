/**
 * Random headers and tokens for everything in front of a signature check: nothing may crash, hang, or let anybody in.
 * AUTH_FUZZ_CASES is the number of all inputs together; 1,000,000 take some minutes.
 */
import {
  AuthError,
  createApiKeys,
  createAuthenticator,
  createOidc,
  createSessionTokens,
  generateApiKey,
  type RequestHeaders,
} from '@mcp-gateway/auth'
import fc from 'fast-check'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { beforeAll, expect, test } from 'vitest'

const CASES = Number(process.env['AUTH_FUZZ_CASES'] ?? 20_000)
const share = (part: number): { numRuns: number } => ({ numRuns: Math.ceil(CASES * part) })
const TIME_LIMIT_MS = 60_000 + CASES
const issuer = 'https://idp.example'
const audience = 'https://gw.example/mcp'
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

let ask: (headers: RequestHeaders) => Promise<string | undefined>
let good: readonly string[] = []
beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const claims = { iss: issuer, sub: 'alice', aud: audience, exp: 4_000_000_000, scope: 'a b' }
  const { key, hash } = generateApiKey()
  const sessions = createSessionTokens({ secrets: ['s'.repeat(32)], issuer: 'https://gw.example', audience })
  const subject = { id: 'bob', name: 'Bob', tenantId: 'default', roles: [], attributes: {} }
  good = [
    await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k' }).sign(privateKey),
    (await sessions.issue(subject)).token,
    key,
  ]
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k' }] }
  const { authenticate } = createAuthenticator({
    schemes: [
      createApiKeys({ keys: [{ id: 'k', key: hash, name: 'K', consumerId: 'carol', roles: [] }] }),
      createOidc({
        issuers: [{ issuer, jwksUri: 'https://idp.example/jwks' }],
        audience,
        fetch: () => Promise.resolve(Response.json(jwks)),
      }),
      sessions.scheme,
    ],
  })
  ask = async (headers) => {
    try {
      await authenticate({ method: 'POST', url: audience, headers })
      return undefined
    } catch (error) {
      if (error instanceof AuthError) return error.code
      throw error
    }
  }
  for (const token of good) expect(await ask({ authorization: `Bearer ${token}` })).toBeUndefined()
})

test(
  'any headers ≡ a refusal with a code',
  async () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^[A-Za-z0-9._~+/-]{0,80}={0,2}$/),
      fc
        .tuple(fc.constantFrom('Bearer ', 'bearer  ', 'Basic ', 'Bearer gw_', 'DPoP '), fc.string())
        .map((it) => it.join('')),
    )
    const header = fc.option(fc.oneof({ weight: 9, arbitrary: text }, fc.array(text, { maxLength: 3 })), {
      nil: undefined,
    })
    await fc.assert(
      fc.asyncProperty(header, header, async (authorization, key) => {
        expect(await ask({ authorization, 'x-api-key': key })).toMatch(/^AUTH_/)
      }),
      share(0.3),
    )
  },
  TIME_LIMIT_MS,
)

test(
  'any text of the shape of a JWT ≡ a refusal with a code',
  async () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(
        issuer,
        'https://gw.example',
        audience,
        'ES256',
        'HS256',
        'none',
        'k',
        4e9,
        -1,
        1e308,
        null,
        [],
        {},
      ),
    )
    const object = (...names: string[]): fc.Arbitrary<object> =>
      fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] })
    const part = fc.oneof(
      { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z0-9_-]{0,60}$/) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((it) => Buffer.from(it).toString('base64url')) },
      { weight: 1, arbitrary: fc.jsonValue().map(encode) },
    )
    const header = object('alg', 'typ', 'kid', 'crit', 'jwk', 'b64', 'x5c', '__proto__').map(encode)
    const claims = object('iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'scope', 'cnf', 'mcp_gateway').map((it) =>
      encode({ iss: issuer, ...it }),
    )
    const token = fc.tuple(fc.oneof(part, header), fc.oneof(part, claims), part, fc.constantFrom('', '.', '=', '.a'))
    await fc.assert(
      fc.asyncProperty(token, async ([first, second, third, end]) => {
        expect(await ask({ authorization: `Bearer ${first}.${second}.${third}${end}` })).toMatch(/^AUTH_/)
      }),
      share(0.4),
    )
  },
  TIME_LIMIT_MS,
)

test(
  'a good token with anything changed, cut, doubled or mixed with another ≡ a refusal with a code',
  async () => {
    const edit = fc.record({
      which: fc.nat(2),
      at: fc.nat(1000),
      remove: fc.nat(3),
      insert: fc.oneof(fc.stringMatching(/^[A-Za-z0-9._=-]{0,6}$/), fc.string({ maxLength: 3 })),
      other: fc.nat(2),
      parts: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
      header: fc.option(fc.dictionary(fc.constantFrom('alg', 'kid', 'typ', 'crit', 'zip'), fc.jsonValue()), {
        nil: undefined,
      }),
    })
    await fc.assert(
      fc.asyncProperty(edit, async ({ which, at, remove, insert, other, parts, header }) => {
        const source = good[which] ?? ''
        const second = (good[other] ?? '').split('.')
        const mixed = source.split('.').map((it, index) => (parts[index] === true ? (second[index] ?? it) : it))
        if (header !== undefined && mixed.length === 3) mixed[0] = encode(header)
        const text = mixed.join('.')
        const start = at % (text.length + 1)
        const changed = text.slice(0, start) + insert + text.slice(start + remove)
        fc.pre(!good.includes(changed.trim()))
        expect(await ask({ authorization: `Bearer ${changed}` })).toMatch(/^AUTH_/)
      }),
      share(0.3),
    )
  },
  TIME_LIMIT_MS,
)
