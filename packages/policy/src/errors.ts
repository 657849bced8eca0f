/** Every failure of this package. Codes are stable; messages are for people, may change, and repeat no argument of a call. */
export type PolicyErrorCode =
  | 'POLICY_DOCUMENT_INVALID'
  | 'POLICY_DENIED'
  | 'POLICY_UNKNOWN_TOOL'
  | 'POLICY_RATE_LIMITED'
  | 'POLICY_CONCURRENCY_LIMITED'
  | 'POLICY_QUOTA_REACHED'
  | 'POLICY_LIMIT_STORE_UNAVAILABLE'
  | 'POLICY_ADDRESS_DENIED'
  | 'POLICY_ADDRESS_UNREADABLE'
  | 'POLICY_VALUE_TOO_DEEP'
  | 'POLICY_VALUE_TOO_LARGE'
  | 'POLICY_TOOL_BLOCKED'

/** One thing that is wrong in a document, as an editor wants it. Lines and columns count from 1. */
export type PolicyFinding = {
  readonly line: number
  readonly column: number
  /** `policies[0].rules[2].tool`; empty for the document as a whole. */
  readonly path: string
  readonly message: string
}

export type PolicyErrorOptions = ErrorOptions & {
  /** Everything that is wrong in a document, in its order. */
  readonly findings?: readonly PolicyFinding[]
  /** The rule or limit that decided. */
  readonly rule?: string
  /** Whole milliseconds after which the same call may succeed. */
  readonly retryAfterMs?: number
}

/** Thrown by this package. Test `code`, not the class or the message. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError'
  readonly code: PolicyErrorCode
  readonly findings: readonly PolicyFinding[]
  readonly rule: string | undefined
  readonly retryAfterMs: number | undefined
  constructor(code: PolicyErrorCode, message: string, options: PolicyErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.findings = options.findings ?? []
    this.rule = options.rule
    this.retryAfterMs = options.retryAfterMs
  }
}
