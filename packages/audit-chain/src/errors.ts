/** Every way this package refuses or fails. Codes are stable, messages are for people. */
export type AuditErrorCode =
  // What was asked for cannot be logged.
  | 'AUDIT_ENTRY_INVALID'
  | 'AUDIT_ENTRY_TOO_LARGE'
  | 'AUDIT_ID_TAKEN'
  // The log cannot take it now. Nothing was written.
  | 'AUDIT_BACKLOG_FULL'
  | 'AUDIT_CLOSED'
  | 'AUDIT_STORE_BUSY'
  | 'AUDIT_STORE_FULL'
  | 'AUDIT_STORE_UNAVAILABLE'
  | 'AUDIT_STORE_FAILED'
  // The connection was lost while committing: the batch is in the log as a whole, or not at all.
  | 'AUDIT_OUTCOME_UNKNOWN'
  // The store would lose acknowledged entries, or holds what no writer of ours wrote.
  | 'AUDIT_STORE_UNSAFE'
  | 'AUDIT_STORE_CORRUPT'
  // A signed checkpoint says otherwise: an older copy, or another history.
  | 'AUDIT_ROLLED_BACK'
  | 'AUDIT_FORKED'
  | 'AUDIT_NOT_FOUND'
  | 'AUDIT_ERASE_INCOMPLETE'
  // Text from outside that is not what it should be.
  | 'AUDIT_KEY_MALFORMED'
  | 'AUDIT_NOTE_MALFORMED'
  | 'AUDIT_CHECKPOINT_MALFORMED'
  | 'AUDIT_PROOF_MALFORMED'
  | 'AUDIT_POLICY_MALFORMED'
  // A third party did not confirm a checkpoint.
  | 'AUDIT_ANCHOR_FAILED'
  | 'AUDIT_WITNESS_REFUSED'
  // A receiver of entries did not take them. They come again.
  | 'AUDIT_SINK_FAILED'

/** Thrown by this package. */
export class AuditError extends Error {
  override readonly name = 'AuditError'
  readonly code: AuditErrorCode
  constructor(code: AuditErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
