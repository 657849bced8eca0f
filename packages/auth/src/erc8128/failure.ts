/** Why a signed request is refused: the stable codes of ERC-8128 §6 (August 2026), used for both texts. */
import { AuthError, type AuthErrorCode } from '../errors.ts'

export type Erc8128Reason =
  | 'signature_missing'
  | 'signature_input_invalid'
  | 'signature_too_large'
  | 'no_acceptable_signature'
  | 'invalid_keyid'
  | 'unsupported_chain'
  | 'unsupported_account'
  | 'invalid_time'
  | 'request_not_yet_valid'
  | 'request_expired'
  | 'request_validity_too_long'
  | 'invalid_nonce'
  | 'insufficient_coverage'
  | 'content_digest_required'
  | 'bad_content_digest'
  | 'nonce_required'
  | 'nonce_reused'
  | 'unsupported_algorithm'
  | 'bad_signature'
  | 'signature_verification_unavailable'
  | 'principal_not_allowed'

export type SignatureErrorOptions = ErrorOptions & {
  /** More parameters of the challenge, each with a comma in front. */
  readonly challenge?: string
  readonly acceptSignature?: string | undefined
}

/** An `AuthError` that also says what ERC-8128 wants to be said. */
export class SignatureError extends AuthError {
  readonly reason: Erc8128Reason
  /** The value of `WWW-Authenticate` for a 401 (ERC-8128 §6); undefined for 400 and 503. */
  readonly wwwAuthenticate: string | undefined
  /** The value of `Accept-Signature`: what has to be covered, where too little was. */
  readonly acceptSignature: string | undefined
  constructor(reason: Erc8128Reason, options: SignatureErrorOptions = {}) {
    const code = codeOf(reason)
    super(code, `the signed request is refused: ${reason}`, options)
    this.reason = reason
    const { challenge = '' } = options
    this.acceptSignature = options.acceptSignature
    this.wwwAuthenticate = code === 'AUTH_SIGNATURE_REFUSED' ? `ERC8128 error="${reason}"${challenge}` : undefined
  }
}

function codeOf(reason: Erc8128Reason): AuthErrorCode {
  switch (reason) {
    case 'signature_input_invalid':
    case 'signature_too_large':
      return 'AUTH_SIGNATURE_MALFORMED'
    case 'signature_verification_unavailable':
      return 'AUTH_SIGNATURE_UNVERIFIABLE'
    default:
      return 'AUTH_SIGNATURE_REFUSED'
  }
}
