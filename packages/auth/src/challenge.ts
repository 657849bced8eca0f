/** The `WWW-Authenticate` header of a refusal (RFC 6750 §3, RFC 9728 §5.1), from which an MCP client learns what to do. */
import { SignatureError } from './erc8128/failure.ts'
import { statusOf, type AuthError, type AuthErrorCode } from './errors.ts'
import { protectedResourceUrl } from './protected-resource.ts'

export type ChallengeOptions = {
  /** The resource whose metadata the client should read. None for a gateway that only knows API keys. */
  readonly resource?: string | undefined
  /** What a client without a token should ask for. Whoever lacks some gets those of the error. */
  readonly scopes?: readonly string[] | undefined
}

/** Longest explanation sent; headers are short. */
const MAX_DESCRIPTION_CHARS = 256

const BAD_REQUEST: readonly AuthErrorCode[] = ['AUTH_CREDENTIALS_MALFORMED', 'AUTH_AMBIGUOUS_CREDENTIALS']
/** Only where a token was sent: told of another refusal that it is invalid, a client would throw away a good one. */
const ABOUT_A_TOKEN = /^AUTH_(?:KEY|TOKEN|WALLET_TOKEN)_/

/** Undefined when another token would not help: the trouble is ours, or the way to a server behind us. */
export function challengeFor(error: AuthError, options: ChallengeOptions = {}): string | undefined {
  // ERC-8128 §6 has a scheme of its own, and its errors are not those of a token.
  if (error instanceof SignatureError) return error.wwwAuthenticate
  if (error.code === 'AUTH_SIGNATURE_REQUIRED') return 'ERC8128'
  const code = errorCode(error.code)
  if (code === undefined) return undefined
  const scopes = error.requiredScopes ?? options.scopes ?? []
  const parameters: Record<string, string | undefined> = {
    error: code === 'none' ? undefined : code,
    error_description: code === 'none' ? undefined : describe(error.message),
    scope: scopes.length === 0 ? undefined : scopes.join(' '),
    resource_metadata: options.resource === undefined ? undefined : protectedResourceUrl(options.resource),
  }
  const said = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${quote(value)}`],
  )
  return said.length === 0 ? 'Bearer' : `Bearer ${said.join(', ')}`
}

function errorCode(
  code: AuthErrorCode,
): 'none' | 'invalid_request' | 'invalid_token' | 'insufficient_scope' | undefined {
  if (code === 'AUTH_INSUFFICIENT_SCOPE') return 'insufficient_scope'
  if (statusOf(code) !== 401) return undefined
  if (BAD_REQUEST.includes(code)) return 'invalid_request'
  return ABOUT_A_TOKEN.test(code) ? 'invalid_token' : 'none'
}

/** RFC 6750 §3 allows %x20-21 / %x23-5B / %x5D-7E. Whatever else is in a message must not end the header. */
function describe(message: string): string {
  return message
    .slice(0, MAX_DESCRIPTION_CHARS)
    .replaceAll('"', "'")
    .replace(/[^\x20-\x7e]|\\/g, '?')
}

/** RFC 9110 §5.6.4. */
function quote(value: string): string {
  return `"${value.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, String.raw`\$&`)}"`
}
