/**
 * An issuer's public keys: found by OpenID Connect Discovery 1.0 §4 or RFC 8414 §3, kept, and fetched again when they
 * are old or when a token names a key that we have not seen.
 *
 * Anybody can send tokens with made-up key ids. Without the cool-down each would cost the issuer a request, sent by us.
 */
import { createLocalJWKSet, errors, type CryptoKey, type JSONWebKeySet, type JWSHeaderParameters } from 'jose'
import { AuthError } from './errors.ts'
import { checkHttpsUrl, fetchJson, type Fetch } from './fetch-json.ts'
import { readIssuerMetadata } from './issuer-metadata.ts'

export type IssuerKeysOptions = {
  readonly issuer: string
  /** Instead of discovery. */
  readonly jwksUri?: string | undefined
  readonly allowLoopback: boolean
  readonly fetch: Fetch
  readonly clock: () => number
  readonly timeoutMs: number
  /** After this time keys are fetched again. */
  readonly maxAgeMs: number
  /** While the issuer does not answer, keys that are no older than this go on counting. */
  readonly maxStaleMs: number
  /** At most one fetch in this time because of an unknown key id. */
  readonly cooldownMs: number
  /** After a failed fetch this long nobody waits for another one. */
  readonly retryAfterMs: number
}

/**
 * The key that a token's header names.
 * @throws AuthError AUTH_TOKEN_INVALID when the issuer has no such key, AUTH_ISSUER_UNAVAILABLE when we cannot know
 */
export type IssuerKeys = (header: JWSHeaderParameters) => Promise<CryptoKey>

type KeySet = { readonly find: ReturnType<typeof createLocalJWKSet>; readonly fetchedAt: number }

/** A set of 64 RSA keys with certificates is a tenth of this. */
const MAX_DOCUMENT_BYTES = 1_048_576

export function createIssuerKeys(options: IssuerKeysOptions): IssuerKeys {
  const { clock, issuer, maxAgeMs, maxStaleMs, cooldownMs, retryAfterMs } = options
  let keys: KeySet | undefined
  let pending: Promise<KeySet> | undefined
  let failedAt = -Infinity
  let failure: AuthError | undefined

  const refresh = async (): Promise<KeySet> => {
    if (failure !== undefined && clock() - failedAt < retryAfterMs) throw failure
    // Whoever comes while a fetch runs waits for that one.
    pending ??= load(options)
      .then((found) => {
        failure = undefined
        return (keys = { find: found, fetchedAt: clock() })
      })
      .catch((cause: unknown) => {
        failedAt = clock()
        failure = unavailable(issuer, cause)
        throw failure
      })
      .finally(() => (pending = undefined))
    return pending
  }

  const current = async (): Promise<KeySet> => {
    const known = keys
    const ageMs = known === undefined ? Infinity : clock() - known.fetchedAt
    if (known !== undefined && ageMs < maxAgeMs) return known
    const hasFailed = failure !== undefined
    const fresh = refresh()
    if (known === undefined || ageMs >= maxStaleMs) return fresh
    const kept = fresh.catch(() => known)
    // An issuer that hangs is waited for once, and not by one request after the other, while its old keys count.
    return hasFailed ? known : kept
  }

  return async (header) => {
    const known = await current()
    const key = await find(known, header)
    if (key !== undefined) return key
    if (clock() - known.fetchedAt < cooldownMs) throw unknownKey()
    // When this fetch fails, the token may be a good one of a new key: that is "unavailable", not "invalid".
    const fresh = await find(await refresh(), header)
    if (fresh === undefined) throw unknownKey()
    return fresh
  }
}

async function find({ find }: KeySet, header: JWSHeaderParameters): Promise<CryptoKey | undefined> {
  try {
    return await find(header)
  } catch (cause) {
    if (cause instanceof errors.JWKSNoMatchingKey) return undefined
    // OpenID Connect Core §10.1: an issuer with several keys has to name the one it used.
    const message =
      cause instanceof errors.JWKSMultipleMatchingKeys
        ? 'the token names no key, and its issuer has several'
        : 'the key that the token names cannot be used'
    throw new AuthError('AUTH_TOKEN_INVALID', message, { cause })
  }
}

function unknownKey(): AuthError {
  return new AuthError('AUTH_TOKEN_INVALID', 'the token is signed with a key that its issuer does not have')
}

async function load(options: IssuerKeysOptions): Promise<KeySet['find']> {
  const jwksUri = options.jwksUri ?? (await readIssuerMetadata(options.issuer, 'jwks_uri', (url) => get(url, options)))
  const { href } = checkHttpsUrl(jwksUri, 'the jwks_uri', options.allowLoopback)
  const { status, body } = await get(href, options)
  if (status !== 200) throw new Error(`the JWKS was answered with status ${status}`)
  return createLocalJWKSet(body as JSONWebKeySet)
}

function get(url: string, { fetch, timeoutMs }: IssuerKeysOptions): ReturnType<typeof fetchJson> {
  return fetchJson({ url, fetch, timeoutMs, maxBytes: MAX_DOCUMENT_BYTES })
}

function unavailable(issuer: string, cause: unknown): AuthError {
  return new AuthError('AUTH_ISSUER_UNAVAILABLE', `the keys of ${issuer} cannot be had at the moment`, { cause })
}
