/** What a JWT says about itself, before anybody has checked its signature: enough to see whose it is, and no more. */

/** Claimed, not yet believed. */
export type UnverifiedJwt = {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
  /** Whether there is something to check. */
  readonly isSigned: boolean
}

/**
 * The parts of a compact JWS (RFC 7515 §7.1), or undefined for what is none. Never throws.
 *
 * Only the one spelling is taken that an encoder produces: base64url decoders ignore the unused bits of the last
 * character, so that one signed token would have several texts, and who keeps a list of texts (a cache, a revocation
 * list) could be got around.
 */
export function peekJwt(token: string): UnverifiedJwt | undefined {
  const [first, second, third, ...rest] = token.split('.', 4)
  if (first === undefined || second === undefined || third === undefined || rest.length > 0) return undefined
  const header = parseObject(first)
  const claims = parseObject(second)
  return header === undefined || claims === undefined
    ? undefined
    : { header, claims, isSigned: decode(third) !== undefined }
}

/** Without the `typ` values that say "made for something else": explicit typing, RFC 8725 §3.11. */
export function hasType(header: UnverifiedJwt['header'], types: readonly (string | undefined)[]): boolean {
  const { typ } = header
  if (typ === undefined) return types.includes(undefined)
  // RFC 7515 §4.1.9: media types, case-insensitive, "application/" may be left out.
  return typeof typ === 'string' && types.includes(typ.toLowerCase().replace(/^application\//, ''))
}

function parseObject(part: string): Readonly<Record<string, unknown>> | undefined {
  const bytes = decode(part)
  if (bytes === undefined) return undefined
  try {
    const value: unknown = JSON.parse(UTF8.decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function decode(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url')
  return bytes.length > 0 && bytes.toString('base64url') === part ? bytes : undefined
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })
