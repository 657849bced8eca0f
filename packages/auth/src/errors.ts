/** Every way a caller is turned away. Codes are stable; messages are not, and never contain a key. */
export type AuthErrorCode =
  | 'AUTH_CREDENTIALS_MISSING'
  | 'AUTH_CREDENTIALS_MALFORMED'
  | 'AUTH_AMBIGUOUS_CREDENTIALS'
  | 'AUTH_KEY_UNKNOWN'
  | 'AUTH_KEY_DISABLED'
  | 'AUTH_KEY_EXPIRED'

/** Thrown by this package. */
export class AuthError extends Error {
  override readonly name = 'AuthError'
  readonly code: AuthErrorCode
  constructor(code: AuthErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
