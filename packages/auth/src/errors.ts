/** Every way a caller is turned away. Codes are stable; messages are not, and never contain a key. */
export type AuthErrorCode =
  | 'AUTH_CREDENTIALS_MISSING'
  | 'AUTH_CREDENTIALS_MALFORMED'
  | 'AUTH_AMBIGUOUS_CREDENTIALS'
  | 'AUTH_KEY_UNKNOWN'
  | 'AUTH_KEY_DISABLED'
  | 'AUTH_KEY_EXPIRED'
  | 'AUTH_REPLAY_STORE_UNAVAILABLE'
  | 'AUTH_SIGNATURE_MALFORMED'
  | 'AUTH_SIGNATURE_REFUSED'
  | 'AUTH_SIGNATURE_UNVERIFIABLE'
  | 'AUTH_SIGNATURE_REQUIRED'
  | 'AUTH_WALLET_MESSAGE_MALFORMED'
  | 'AUTH_WALLET_LOGIN_REFUSED'
  | 'AUTH_WALLET_TOKEN_UNKNOWN'
  | 'AUTH_WALLET_TOKEN_REVOKED'
  | 'AUTH_WALLET_TOKEN_EXPIRED'
  | 'AUTH_WALLET_TOKENS_TOO_MANY'
  | 'AUTH_WALLET_TOKEN_STORE_UNAVAILABLE'
  | 'AUTH_CERTIFICATE_HEADER_REFUSED'
  | 'AUTH_CERTIFICATE_MALFORMED'
  | 'AUTH_CERTIFICATE_EXPIRED'
  | 'AUTH_CERTIFICATE_UNTRUSTED'
  | 'AUTH_CERTIFICATE_UNKNOWN'

/** Thrown by this package. */
export class AuthError extends Error {
  override readonly name = 'AuthError'
  readonly code: AuthErrorCode
  constructor(code: AuthErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
