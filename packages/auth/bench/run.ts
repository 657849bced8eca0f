/** `pnpm --filter @mcp-gateway/auth bench`: each figure is the best of several rounds, on whatever machine this is. */
import { cpus } from 'node:os'
import {
  createApiKeys,
  createOidc,
  createSessionTokens,
  generateApiKey,
  type AuthRequest,
  type Scheme,
} from '@mcp-gateway/auth'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose'

type VerifyAlgorithm = Parameters<typeof crypto.subtle.verify>[0]

const ROUNDS = 7
const issuer = 'https://idp.example'
const audience = 'https://gw.example/mcp'
const claims = { iss: issuer, sub: 'alice', aud: audience, exp: 4_000_000_000, scope: 'mcp:read mcp:write', jti: 'id' }
/** Signatures are checked on libuv's threads: with one request at a time they would wait for one another. */
const AT_ONCE = 16

/** Calls a second of each, in turns, so that a busy moment of the machine is one of all. */
async function rates(count: number, ...asks: readonly (() => unknown)[]): Promise<number[]> {
  const best = asks.map(() => 0)
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, ask] of asks.entries()) {
      best[index] = Math.max(best[index] ?? 0, await measure(count, ask))
    }
  }
  return best
}

async function measure(count: number, ask: () => unknown): Promise<number> {
  let left = count
  const start = performance.now()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await ask()
    }),
  )
  return (count / (performance.now() - start)) * 1000
}

/** Without a promise, as the authenticator asks when none is needed. */
function rateNow(count: number, ask: () => unknown): number {
  let best = 0
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    for (let index = 0; index < count; index++) ask()
    best = Math.max(best, (count / (performance.now() - start)) * 1000)
  }
  return best
}

function print(name: string, perSecond: number, note = ''): void {
  console.log(`${name.padEnd(46)} ${Math.round(perSecond).toLocaleString('en').padStart(12)} /s  ${note}`)
}

function bearer(token: string): AuthRequest {
  return { method: 'POST', url: audience, headers: { authorization: `Bearer ${token}` } }
}

async function tokens(alg: string, parameters: VerifyAlgorithm): Promise<void> {
  const { privateKey, publicKey } = await generateKeyPair(alg)
  const token = await new SignJWT(claims).setProtectedHeader({ alg, kid: 'k', typ: 'at+jwt' }).sign(privateKey)
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg }] }
  const open = (rememberMs: number): Scheme =>
    createOidc({
      issuers: [{ issuer, jwksUri: `${issuer}/jwks` }],
      audience,
      rememberMs,
      fetch: () => Promise.resolve(Response.json(jwks)),
    })
  const scheme = open(0)
  const request = bearer(token)
  const check = signatureCheck(token, publicKey, parameters)
  const [bare = 0, verified = 0] = await rates(10_000, check, () => scheme.authenticate(request))
  print(`${alg}: the bare signature check`, bare)
  print(`${alg}: a token verified`, verified, `${(verified / bare).toFixed(2)} of it`)
  const remembering = open(3_600_000)
  await remembering.authenticate(request)
  print(
    `${alg}: a token verified a moment ago`,
    rateNow(300_000, () => remembering.authenticate(request)),
  )
}

function signatureCheck(token: string, key: CryptoKey, parameters: VerifyAlgorithm): () => Promise<void> {
  const data = Buffer.from(token.slice(0, token.lastIndexOf('.')))
  const signature = Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url')
  return async () => {
    if (!(await crypto.subtle.verify(parameters, key, signature, data))) throw new Error('the signature is wrong')
  }
}

async function sessions(): Promise<void> {
  const { issue, scheme } = createSessionTokens({ secrets: ['s'.repeat(32)], issuer: 'https://gw.example', audience })
  const subject = { id: 'alice', name: 'Alice', tenantId: 'default', roles: ['reader'], attributes: {} }
  const request = bearer((await issue(subject)).token)
  const [issued = 0, verified = 0] = await rates(
    10_000,
    () => issue(subject),
    () => scheme.authenticate(request),
  )
  print('HS256: a session token issued', issued)
  print('HS256: a session token verified', verified)
}

function apiKeys(): void {
  const made = Array.from({ length: 1000 }, () => generateApiKey())
  const scheme = createApiKeys({
    keys: made.map(({ hash }, index) => ({
      id: `k${index}`,
      key: hash,
      name: 'k',
      consumerId: `c${index}`,
      roles: [],
    })),
  })
  const request = bearer(made[500]?.key ?? '')
  print(
    'an API key of 1000',
    rateNow(300_000, () => scheme.authenticate(request)),
  )
}

console.log(`Node ${process.versions.node}, ${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores`)
apiKeys()
await tokens('RS256', { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' })
await tokens('ES256', { name: 'ECDSA', hash: 'SHA-256' })
await tokens('EdDSA', { name: 'Ed25519' })
await sessions()
