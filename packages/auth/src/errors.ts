/** Every way a caller is turned away. Codes are stable; messages are not, and never contain a key or a token. */
export type AuthErrorCode = keyof typeof STATUSES

/** What each means in HTTP, for those who have no table of their own. */
const STATUSES = {
  AUTH_CREDENTIALS_MISSING: 401,
  AUTH_CREDENTIALS_MALFORMED: 401,
  AUTH_AMBIGUOUS_CREDENTIALS: 401,
  AUTH_KEY_UNKNOWN: 401,
  AUTH_KEY_DISABLED: 401,
  AUTH_KEY_EXPIRED: 401,
  AUTH_TOKEN_INVALID: 401,
  AUTH_TOKEN_EXPIRED: 401,
  AUTH_TOKEN_AUDIENCE: 401,
  AUTH_TOKEN_REVOKED: 401,
  AUTH_INSUFFICIENT_SCOPE: 403,
  AUTH_ISSUER_UNAVAILABLE: 503,
  AUTH_REVOCATION_UNAVAILABLE: 503,
  AUTH_UPSTREAM_SUBJECT_MISSING: 403,
  AUTH_UPSTREAM_REFUSED: 502,
  AUTH_UPSTREAM_UNAVAILABLE: 503,
} as const

export type AuthErrorOptions = ErrorOptions & {
  /** With AUTH_INSUFFICIENT_SCOPE: all scopes that the operation takes, for the challenge. */
  readonly requiredScopes?: readonly string[] | undefined
}

/** Thrown by this package. */
export class AuthError extends Error {
  override readonly name = 'AuthError'
  readonly code: AuthErrorCode
  readonly requiredScopes: readonly string[] | undefined
  constructor(code: AuthErrorCode, message: string, options?: AuthErrorOptions) {
    super(message, options)
    this.code = code
    this.requiredScopes = options?.requiredScopes
  }
}

export function statusOf(code: AuthErrorCode): 401 | 403 | 502 | 503 {
  return STATUSES[code]
}
