/** From a token's claims to what a `Caller` says of somebody, by the configuration of the token's issuer. */
import { AuthError } from './errors.ts'

/**
 * Names of claims. A dot goes one object deeper (`realm_access.roles`), unless a claim has the whole name, as those of
 * RFC 7519 §4.2 that are URLs (`https://acme.example/roles`).
 */
export type ClaimNames = {
  /** @default 'sub'. Anything that a person can choose, such as an e-mail address, lets them choose whose they are. */
  readonly id?: string | undefined
  /** @default the id */
  readonly name?: string | undefined
  /** A list, or a text with spaces. @default nobody has roles */
  readonly roles?: string | undefined
  /** A token without this claim is refused then: it must not end up in the default tenant. */
  readonly tenantId?: string | undefined
  /** @default 'scope' */
  readonly scopes?: string | undefined
  /** Attribute to claim: `{ customerId: 'customer_id' }`. */
  readonly attributes?: Readonly<Record<string, string>> | undefined
}

export type Claims = Readonly<Record<string, unknown>>

/** Longest text of an identity, and longest list: these are kept, logged, and looked up on every call. */
const MAX_TEXT_CHARS = 512
const MAX_LIST_ITEMS = 512

export function readClaim(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  let value: unknown = claims
  for (const key of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Claims)[key]
  }
  return value
}

/** @throws AuthError AUTH_TOKEN_INVALID */
export function requireText(claims: Claims, name: string): string {
  const value = readText(claims, name)
  if (value === undefined) throw new AuthError('AUTH_TOKEN_INVALID', `the token has no usable claim "${name}"`)
  return value
}

/** A text that can be shown: control characters in a name would rewrite the log of whoever reads it in a terminal. */
export function readText(claims: Claims, name: string): string | undefined {
  const value = readClaim(claims, name)
  const isFit = typeof value === 'string' && value !== '' && value.length <= MAX_TEXT_CHARS && !/\p{Cc}/u.test(value)
  return isFit ? value : undefined
}

/**
 * RFC 8693 §4.2: scopes are one text with spaces; several issuers send a list. What is neither counts as empty.
 * @throws AuthError AUTH_TOKEN_INVALID when there are too many
 */
export function readList(claims: Claims, name: string): readonly string[] {
  const value = readClaim(claims, name)
  const list = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? (value as unknown[]) : []
  if (list.length > MAX_LIST_ITEMS) {
    throw new AuthError('AUTH_TOKEN_INVALID', `the claim "${name}" has more than ${MAX_LIST_ITEMS} items`)
  }
  return list.filter((item): item is string => typeof item === 'string' && item !== '')
}

/** All of a value that came from JSON: a remembered `Caller` is everybody's, and nobody may write into it. */
export function freezeDeep(value: unknown): unknown {
  if (typeof value === 'object' && value !== null)
    for (const part of Object.values(Object.freeze(value))) freezeDeep(part)
  return value
}
