/** Which issuers are believed, and what each may say. */
import { DEFAULT_TENANT } from '../caller.ts'
import type { ClaimNames } from '../claims.ts'
import { checkHttpsUrl } from '../fetch-json.ts'

export type OidcIssuer = {
  /** Exactly as in the tokens' `iss`. */
  readonly issuer: string
  /** @default the gateway's resource. Another one is for issuers that know no RFC 8707. */
  readonly audience?: string | readonly string[] | undefined
  /** @default RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519 */
  readonly algorithms?: readonly string[] | undefined
  /** How far the issuer's clock may be from ours. @default 30 s */
  readonly clockSkewMs?: number | undefined
  readonly claims?: ClaimNames | undefined
  /**
   * What a caller's id begins with. @default `<issuer>|`
   *
   * An id is this and the claim, so that nobody becomes a consumer of that name who belongs to another issuer or has an
   * API key. None may be the beginning of another one: then no two (issuer, claim) make the same id.
   */
  readonly idPrefix?: string | undefined
  /** Whose all its callers are, unless `claims.tenantId` names a claim. @default 'default' */
  readonly tenantId?: string | undefined
  /**
   * The tenants it may speak for. With several issuers and `claims.tenantId` it has to be said: otherwise each customer's
   * issuer could make callers of every other customer.
   */
  readonly tenants?: readonly string[] | 'any' | undefined
  /** Instead of discovery. */
  readonly jwksUri?: string | undefined
  /** Plain http to this machine: for development and tests. @default false */
  readonly allowLoopback?: boolean | undefined
}

export type CheckedIssuer = {
  readonly issuer: string
  readonly audience: readonly string[]
  readonly algorithms: readonly string[]
  readonly clockSkewMs: number
  readonly names: ClaimNames
  readonly idPrefix: string
  readonly tenantId: string
  readonly tenants: readonly string[] | undefined
  readonly jwksUri: string | undefined
  readonly allowLoopback: boolean
}

/**
 * Public keys only. With a secret-key algorithm in the list, whoever reads the issuer's public key could sign with it
 * (RFC 8725 §2.1).
 */
const ALGORITHMS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ')
const CLOCK_SKEW_MS = 30_000
const MAX_CLOCK_SKEW_MS = 300_000

/** @throws TypeError */
export function checkIssuers(issuers: readonly OidcIssuer[], audience: string | readonly string[]): CheckedIssuer[] {
  const checked = issuers.map((one) => checkIssuer(one, audience, issuers.length > 1))
  for (const [index, one] of checked.entries()) {
    for (const other of checked.slice(index + 1)) checkApart(one, other)
  }
  return checked
}

function checkIssuer(one: OidcIssuer, resource: string | readonly string[], hasOthers: boolean): CheckedIssuer {
  const { issuer, algorithms = ALGORITHMS, clockSkewMs = CLOCK_SKEW_MS, claims = {}, allowLoopback = false } = one
  const url = checkHttpsUrl(issuer, `the issuer "${issuer}"`, allowLoopback)
  if (url.search !== '' || url.hash !== '') throw new TypeError(`the issuer "${issuer}" has a query or a fragment`)
  if (one.jwksUri !== undefined) checkHttpsUrl(one.jwksUri, `the jwksUri of "${issuer}"`, allowLoopback)
  const unsafe = algorithms.find((algorithm) => !ALGORITHMS.includes(algorithm))
  if (unsafe !== undefined || algorithms.length === 0) {
    throw new TypeError(`the issuer "${issuer}" may use ${ALGORITHMS.join(', ')}, not ${unsafe ?? 'nothing'}`)
  }
  if (!(clockSkewMs >= 0 && clockSkewMs <= MAX_CLOCK_SKEW_MS)) {
    throw new TypeError(`the clockSkewMs of "${issuer}" is not within 0 and ${MAX_CLOCK_SKEW_MS}`)
  }
  const audience = [one.audience ?? resource].flat()
  if (audience.length === 0 || audience.includes('')) throw new TypeError(`the issuer "${issuer}" has no audience`)
  if (hasOthers && claims.tenantId !== undefined && one.tenants === undefined) {
    throw new TypeError(`the issuer "${issuer}" takes the tenant from a claim: say which "tenants" it may speak for`)
  }
  return {
    issuer,
    audience,
    algorithms,
    clockSkewMs,
    names: claims,
    idPrefix: one.idPrefix ?? `${issuer}|`,
    tenantId: one.tenantId ?? DEFAULT_TENANT,
    tenants: one.tenants === 'any' ? undefined : one.tenants,
    jwksUri: one.jwksUri,
    allowLoopback,
  }
}

function checkApart(one: CheckedIssuer, other: CheckedIssuer): void {
  if (one.issuer === other.issuer) throw new TypeError(`the issuer "${one.issuer}" is there twice`)
  if (one.idPrefix.startsWith(other.idPrefix) || other.idPrefix.startsWith(one.idPrefix)) {
    throw new TypeError(
      `"${one.issuer}" and "${other.issuer}" could give one id to two people: choose other idPrefixes`,
    )
  }
}
