/** Every way a caller is turned away. Codes are stable; messages are not, and never contain a key or a token. */
export type AuthErrorCode =
  | 'AUTH_CREDENTIALS_MISSING'
  | 'AUTH_CREDENTIALS_MALFORMED'
  | 'AUTH_AMBIGUOUS_CREDENTIALS'
  | 'AUTH_TOKEN_INVALID'
  | 'AUTH_TOKEN_EXPIRED'
  | 'AUTH_TOKEN_AUDIENCE'
  | 'AUTH_TOKEN_REVOKED'
  | 'AUTH_INSUFFICIENT_SCOPE'
  | 'AUTH_ISSUER_UNAVAILABLE'
  | 'AUTH_REVOCATION_UNAVAILABLE'
  | 'AUTH_UPSTREAM_SUBJECT_MISSING'
  | 'AUTH_UPSTREAM_REFUSED'
  | 'AUTH_UPSTREAM_UNAVAILABLE'
  | 'AUTH_KEY_UNKNOWN'
  | 'AUTH_KEY_DISABLED'
  | 'AUTH_KEY_EXPIRED'

/** Thrown by this package. */
export class AuthError extends Error {
  override readonly name = 'AuthError'
  readonly code: AuthErrorCode
  /** With AUTH_INSUFFICIENT_SCOPE: all scopes that the operation takes. */
  readonly requiredScopes: readonly string[] | undefined
  constructor(code: AuthErrorCode, message: string, options?: AuthErrorOptions) {
    super(message, options)
    this.code = code
    this.requiredScopes = options?.requiredScopes
  }
}

export type AuthErrorOptions = ErrorOptions & { readonly requiredScopes?: readonly string[] | undefined }

type AuthStatus = 400 | 401 | 403 | 409 | 429 | 502 | 503

/** What a code means in HTTP, for those who have no table of their own. */
export function statusOf(code: AuthErrorCode): AuthStatus {
  return STATUSES[code]
}

const STATUSES: Readonly<Record<AuthErrorCode, AuthStatus>> = {
  AUTH_CREDENTIALS_MISSING: 401,
  AUTH_CREDENTIALS_MALFORMED: 401,
  AUTH_AMBIGUOUS_CREDENTIALS: 401,
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
  AUTH_KEY_UNKNOWN: 401,
  AUTH_KEY_DISABLED: 401,
  AUTH_KEY_EXPIRED: 401,
}
