/**
 * Our own session tokens: what somebody gets who has signed in another way, HS256 and valid for a day. Issuer and reader
 * are the same party, so a secret is enough; nobody else can check them, and nobody else should.
 */
import { createHmac, randomUUID } from 'node:crypto'
import { errors, jwtVerify, SignJWT, type JWTPayload } from 'jose'
import type { Caller } from '../caller.ts'
import { readBearer } from '../credentials.ts'
import { AuthError } from '../errors.ts'
import { hasType, peekJwt } from '../jwt.ts'
import type { Scheme } from '../scheme.ts'

export type SessionTokensOptions = {
  /** At least 32 random bytes each (RFC 7518 §3.2). The first signs, all verify: put a new one before the old one. */
  readonly secrets: readonly (string | Uint8Array)[]
  /** The gateway's own name, which no OIDC issuer of the same authenticator has. */
  readonly issuer: string
  readonly audience: string
  /** @default 24 h */
  readonly ttlMs?: number
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
  /** A new token's `jti`. @default a random UUID */
  readonly newId?: () => string
  /** Asked on every request, by the token's `jti`. When it throws, the request is refused with 503. */
  readonly isRevoked?: ((id: string) => boolean | Promise<boolean>) | undefined
}

/** For whom a token is: a `Caller` fits. */
export type SessionSubject = Pick<Caller, 'id' | 'name' | 'tenantId' | 'roles' | 'attributes' | 'scopes'> & {
  /** A session ends no later than the credentials it was got with. */
  readonly expiresAt?: number | undefined
}

export type SessionToken = {
  readonly token: string
  /** The `jti`: what to remember in order to revoke it. */
  readonly id: string
  readonly expiresAt: number
}

export type SessionTokens = {
  readonly issue: (subject: SessionSubject) => Promise<SessionToken>
  readonly scheme: Scheme
}

type Secret = { readonly id: string; readonly bytes: Uint8Array }

const DAY_MS = 86_400_000
const MIN_SECRET_BYTES = 32
/** Explicit typing (RFC 8725 §3.11): nothing else that may once be signed with the secret is taken for a session. */
const TYPE = 'mcp-gateway-session+jwt'
/** Base64, not encrypted: a session token shows its holder what this gateway says of them. */
const SUBJECT = 'mcp_gateway'

/** @throws TypeError when a secret is too short */
export function createSessionTokens(options: SessionTokensOptions): SessionTokens {
  const { issuer, audience, ttlMs = DAY_MS, clock = Date.now, newId = randomUUID } = options
  const secrets = options.secrets.map(toSecret)
  const [signer] = secrets
  if (signer === undefined) throw new TypeError('there is no secret to sign session tokens with')
  if (!(ttlMs >= 1000)) throw new TypeError('the ttlMs of session tokens is less than a second')

  const issue = async (subject: SessionSubject): Promise<SessionToken> => {
    const now = clock()
    const id = newId()
    // Whole seconds are all that `exp` is sure to carry (RFC 7519 §2); down, so that nobody has more than was said.
    const expiresAt = Math.floor(Math.min(now + ttlMs, subject.expiresAt ?? Infinity) / 1000) * 1000
    const { name, tenantId, roles, attributes, scopes } = subject
    const claims = { [SUBJECT]: { name, tenantId, roles, attributes, ...(scopes && { scopes }) } }
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: TYPE, kid: signer.id })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(subject.id)
      .setJti(id)
      .setIssuedAt(Math.floor(now / 1000))
      .setExpirationTime(expiresAt / 1000)
      .sign(signer.bytes)
    return { token, id, expiresAt }
  }

  const verify = async (token: string, secret: Secret): Promise<Caller> => {
    const checks = { issuer, audience, algorithms: ['HS256'], requiredClaims: ['exp', 'sub', 'jti', SUBJECT] }
    const { payload } = await jwtVerify(token, secret.bytes, { ...checks, currentDate: new Date(clock()) })
    const caller = toCaller(payload)
    if (await askRevoked(options.isRevoked, caller.keyId)) {
      throw new AuthError('AUTH_TOKEN_REVOKED', 'this session has been ended')
    }
    return caller
  }

  return {
    issue,
    scheme: {
      name: 'session',
      /** @throws AuthError AUTH_TOKEN_INVALID, AUTH_TOKEN_EXPIRED, AUTH_TOKEN_AUDIENCE, AUTH_TOKEN_REVOKED */
      authenticate({ headers }) {
        const token = readBearer(headers)
        const jwt = token === undefined ? undefined : peekJwt(token)
        if (token === undefined || jwt === undefined || jwt.claims['iss'] !== issuer) return undefined
        const { alg, kid } = jwt.header
        if (!jwt.isSigned || alg !== 'HS256' || 'crit' in jwt.header || !hasType(jwt.header, [TYPE])) throw invalid()
        const secret = secrets.find(({ id }) => id === kid)
        if (secret === undefined) throw invalid()
        return verify(token, secret).catch((error: unknown) => {
          throw explain(error)
        })
      },
    },
  }
}

function toSecret(secret: string | Uint8Array): Secret {
  const bytes = typeof secret === 'string' ? new TextEncoder().encode(secret) : secret
  if (bytes.length < MIN_SECRET_BYTES) {
    throw new TypeError(`a secret for session tokens has ${bytes.length} bytes, of at least ${MIN_SECRET_BYTES}`)
  }
  // Names the secret without saying anything of it: an HMAC of a text that is never signed.
  const id = createHmac('sha256', bytes).update('mcp-gateway session token key id').digest('base64url').slice(0, 12)
  return { id, bytes }
}

/** Only what `issue` has written passes the signature, so its form need not be checked again. */
function toCaller({ sub, jti, exp, [SUBJECT]: subject }: JWTPayload): Caller {
  const { name, tenantId, roles, attributes, scopes } = subject as Omit<SessionSubject, 'id' | 'expiresAt'>
  return Object.freeze({
    id: sub as string,
    name,
    keyId: jti as string,
    tenantId,
    roles: Object.freeze(roles),
    attributes: Object.freeze(attributes),
    ...(scopes && { scopes: Object.freeze(scopes) }),
    expiresAt: (exp as number) * 1000,
    scheme: 'session',
  })
}

async function askRevoked(isRevoked: SessionTokensOptions['isRevoked'], id: string): Promise<boolean> {
  if (isRevoked === undefined) return false
  try {
    return await isRevoked(id)
  } catch (cause) {
    throw new AuthError('AUTH_REVOCATION_UNAVAILABLE', 'whether the session was ended cannot be told now', { cause })
  }
}

function explain(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return new AuthError('AUTH_TOKEN_EXPIRED', 'the session has expired')
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'aud') {
    return new AuthError('AUTH_TOKEN_AUDIENCE', 'the session is one of another gateway')
  }
  return error instanceof errors.JOSEError ? invalid() : error
}

function invalid(): AuthError {
  return new AuthError('AUTH_TOKEN_INVALID', 'this is not a session token of this gateway')
}
