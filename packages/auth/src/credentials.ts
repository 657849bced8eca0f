/**
 * What a request claims, taken from its headers: `Authorization: Bearer <key>` (RFC 6750 §2.1) or `X-API-Key: <key>`.
 * Never from the query: URLs end up in logs, histories and Referer headers (RFC 6750 §5.3, OAuth 2.1 §5.1.1).
 */
import { AuthError } from './errors.ts'
import type { RequestHeaders } from './request.ts'

/** Claimed, not yet believed. */
export type Credentials = { readonly scheme: 'api-key'; readonly key: string } | { readonly scheme: 'none' }

/** Longest accepted key. What is longer is refused before it costs a hash. */
const MAX_KEY_CHARS = 512
/** Longest accepted JWT. Those of issuers that list a person's groups have several KiB; node takes 16 KiB of headers. */
const MAX_JWT_CHARS = 16_384
const NONE: Credentials = Object.freeze({ scheme: 'none' })
// RFC 9110 §11.2 token68. It has no comma, so two X-API-Key headers, which node joins with one, are not a key.
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

/**
 * The bearer token of a request. Not from `X-API-Key`: a token goes into `Authorization` and nowhere else (MCP
 * authorization, "Token Requirements").
 * @throws AuthError as `readCredentials`
 */
export function readBearer(headers: RequestHeaders): string | undefined {
  const credentials = readCredentials(headers)
  return credentials.scheme === 'none' || headers['authorization'] === undefined ? undefined : credentials.key
}

/**
 * Reads the credentials of a request.
 * @throws AuthError AUTH_CREDENTIALS_MALFORMED, AUTH_AMBIGUOUS_CREDENTIALS
 */
export function readCredentials(headers: RequestHeaders): Credentials {
  const authorization = headers['authorization']
  const apiKey = headers['x-api-key']
  if (authorization === undefined && apiKey === undefined) return NONE

  const bearer = authorization === undefined ? undefined : checkToken(afterBearer(authorization))
  const header = apiKey === undefined ? undefined : checkToken(apiKey)
  // A proxy may have checked one and we the other: a request that says two things is answered to neither.
  if (bearer !== undefined && header !== undefined && bearer !== header) {
    throw new AuthError('AUTH_AMBIGUOUS_CREDENTIALS', 'Authorization and X-API-Key name different keys; send one')
  }
  return { scheme: 'api-key', key: bearer ?? header ?? '' }
}

function afterBearer(value: string | readonly string[]): string | readonly string[] {
  // Scheme names are case-insensitive (RFC 9110 §11.1).
  if (typeof value !== 'string' || !/^bearer +/i.test(value)) throw malformed('Authorization must be "Bearer <key>"')
  return value.slice('bearer'.length).trimStart()
}

function checkToken(value: string | readonly string[]): string {
  if (typeof value !== 'string') throw malformed('the key is given more than once')
  const limit = looksLikeJwt(value) ? MAX_JWT_CHARS : MAX_KEY_CHARS
  if (value.length > limit) throw malformed(`the key is longer than ${limit} characters`)
  if (!TOKEN.test(value)) throw malformed('the key is empty or has characters that no key has')
  return value
}

/** Three parts, two dots: the compact serialization (RFC 7515 §7.1). */
function looksLikeJwt(value: string): boolean {
  const first = value.indexOf('.')
  const second = value.indexOf('.', first + 1)
  return first > 0 && second > first && !value.includes('.', second + 1)
}

function malformed(message: string): AuthError {
  return new AuthError('AUTH_CREDENTIALS_MALFORMED', message)
}
