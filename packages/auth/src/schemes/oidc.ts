/**
 * Access tokens of OpenID Connect and OAuth issuers: JWTs as in RFC 9068, checked as RFC 8725 and the MCP specification
 * ("Token Handling") say: signed by the issuer's key with an algorithm of the list, made for this gateway, in time.
 */
import { hash } from 'node:crypto'
import { errors, jwtVerify } from 'jose'
import type { Caller } from '../caller.ts'
import { freezeDeep, readClaim, readList, readText, requireText, type Claims } from '../claims.ts'
import { readBearer } from '../credentials.ts'
import { AuthError } from '../errors.ts'
import type { Fetch } from '../fetch-json.ts'
import { hasType, peekJwt, type UnverifiedJwt } from '../jwt.ts'
import { createIssuerKeys } from '../oidc-issuer.ts'
import type { Scheme } from '../scheme.ts'
import { createTokenCache } from '../token-cache.ts'
import { checkIssuers, type CheckedIssuer, type OidcIssuer } from './oidc-options.ts'

export type OidcOptions = {
  readonly issuers: readonly OidcIssuer[]
  /** What `aud` must name: this gateway's resource, `https://gw.example/mcp`, as its metadata tells clients. */
  readonly audience: string | readonly string[]
  /** @default the global one */
  readonly fetch?: Fetch
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
  /** For each document fetched. @default 5 s */
  readonly timeoutMs?: number
  /** After this time an issuer's keys are fetched again. @default 10 min */
  readonly maxAgeMs?: number
  /** Keys count for this long while their issuer does not answer. @default 1 h */
  readonly maxStaleMs?: number
  /** At most one fetch in this time because of unknown key ids; so long may a new key take to count. @default 30 s */
  readonly cooldownMs?: number
  /** After a failed fetch, how long none is tried. @default 2 s */
  readonly retryAfterMs?: number
  /** How long a verified token is not verified again; 0 for every time. @default 30 s */
  readonly rememberMs?: number
  /** @default 10 000 */
  readonly maxRememberedTokens?: number
}

/** The type of an access token (RFC 9068 §2.1), or of a JWT whose issuer is older than that; not of a logout token. */
const TYPES = [undefined, 'jwt', 'at+jwt']

/** @throws TypeError when the issuers could be taken for one another, are not https, or allow an unsafe algorithm */
export function createOidc(options: OidcOptions): Scheme {
  const { audience, clock = Date.now, rememberMs = 30_000, maxRememberedTokens = 10_000 } = options
  const issuers = new Map(checkIssuers(options.issuers, audience).map((one) => [one.issuer, openIssuer(one, options)]))
  const cache = createTokenCache({ clock, rememberMs, maxTokens: maxRememberedTokens })
  return {
    name: 'jwt',
    /** @throws AuthError AUTH_TOKEN_INVALID, AUTH_TOKEN_EXPIRED, AUTH_TOKEN_AUDIENCE, AUTH_ISSUER_UNAVAILABLE */
    authenticate({ headers }) {
      const token = readBearer(headers)
      if (token === undefined) return undefined
      const known = cache.get(token)
      if (known !== undefined) return known
      const jwt = peekJwt(token)
      if (jwt === undefined) return undefined
      const issuer = typeof jwt.claims['iss'] === 'string' ? issuers.get(jwt.claims['iss']) : undefined
      if (issuer === undefined) return undefined
      return issuer(token, jwt).then((caller) => {
        cache.set(token, caller)
        return caller
      })
    },
  }
}

function openIssuer(
  issuer: CheckedIssuer,
  options: OidcOptions,
): (token: string, jwt: UnverifiedJwt) => Promise<Caller> {
  const { fetch = globalThis.fetch, clock = Date.now } = options
  const keys = createIssuerKeys({
    ...issuer,
    fetch,
    clock,
    timeoutMs: options.timeoutMs ?? 5000,
    maxAgeMs: options.maxAgeMs ?? 600_000,
    maxStaleMs: options.maxStaleMs ?? 3_600_000,
    cooldownMs: options.cooldownMs ?? 30_000,
    retryAfterMs: options.retryAfterMs ?? 2000,
  })
  const checks = {
    issuer: issuer.issuer,
    audience: [...issuer.audience],
    algorithms: [...issuer.algorithms],
    clockTolerance: issuer.clockSkewMs / 1000,
    requiredClaims: ['exp'],
  }
  return async (token, jwt) => {
    checkHeader(jwt, issuer)
    try {
      const { payload } = await jwtVerify(token, keys, { ...checks, currentDate: new Date(clock()) })
      return toCaller(payload, token, issuer)
    } catch (error) {
      throw explain(error)
    }
  }
}

/** What can be said before a key is looked for, so that such tokens cost no fetch. */
function checkHeader({ header, isSigned }: UnverifiedJwt, issuer: CheckedIssuer): void {
  const { alg } = header
  if (typeof alg !== 'string' || !issuer.algorithms.includes(alg)) throw invalid('the token uses no accepted algorithm')
  if (!isSigned) throw invalid('the token has no signature')
  // RFC 7515 §4.1.11: who does not understand an extension must refuse it. We understand none.
  if ('crit' in header) throw invalid('the token has critical extensions')
  if (!hasType(header, TYPES)) throw invalid('the token is not an access token')
}

function toCaller(claims: Claims, token: string, issuer: CheckedIssuer): Caller {
  const { names } = issuer
  // RFC 7800: with `cnf` the token is for the holder of a key, and whoever sends only the token may have stolen it.
  if (claims['cnf'] !== undefined) throw invalid('the token is bound to a key, and no proof of it is understood here')
  const id = requireText(claims, names.id ?? 'sub')
  const expiresAt = (claims['exp'] as number) * 1000 + issuer.clockSkewMs
  if (!Number.isFinite(expiresAt)) throw invalid('the token has no usable expiry')
  const tenantId = names.tenantId === undefined ? issuer.tenantId : requireText(claims, names.tenantId)
  if (issuer.tenants !== undefined && !issuer.tenants.includes(tenantId)) {
    throw invalid('the issuer of the token does not speak for its tenant')
  }
  const clientId = readText(claims, 'client_id') ?? readText(claims, 'azp')
  const attributes: Record<string, unknown> = { issuer: issuer.issuer, ...(clientId !== undefined && { clientId }) }
  for (const [name, claim] of Object.entries(names.attributes ?? {})) {
    const value = readClaim(claims, claim)
    if (value !== undefined) attributes[name] = freezeDeep(value)
  }
  return Object.freeze({
    id: issuer.idPrefix + id,
    name: (names.name === undefined ? undefined : readText(claims, names.name)) ?? id,
    keyId: readText(claims, 'jti') ?? `sha256:${hash('sha256', token, 'base64url')}`,
    tenantId,
    roles: Object.freeze(names.roles === undefined ? [] : [...readList(claims, names.roles)]),
    attributes: Object.freeze(attributes),
    // No scope claim is no scope, and not "not held back by any".
    scopes: Object.freeze([...readList(claims, names.scopes ?? 'scope')]),
    expiresAt,
    scheme: 'jwt',
  })
}

/** jose checks the signature before the claims: when a token has expired is told only to who has a signed one. */
function explain(cause: unknown): AuthError {
  if (cause instanceof AuthError) return cause
  if (cause instanceof errors.JWTExpired) return new AuthError('AUTH_TOKEN_EXPIRED', 'the token has expired')
  if (!(cause instanceof errors.JWTClaimValidationFailed)) {
    // Also when the issuer's key is none that may be used, such as RSA with 1024 bits.
    return new AuthError('AUTH_TOKEN_INVALID', 'the signature of the token is not good', { cause })
  }
  return cause.claim === 'aud'
    ? new AuthError('AUTH_TOKEN_AUDIENCE', 'the token is for somebody else: its audience is not this gateway')
    : invalid(cause.claim === 'nbf' ? 'the token is not valid yet' : `the claim "${cause.claim}" is not as it must be`)
}

function invalid(message: string): AuthError {
  return new AuthError('AUTH_TOKEN_INVALID', message)
}
