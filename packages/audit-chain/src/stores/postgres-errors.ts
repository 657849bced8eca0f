/** What SQLSTATEs (PostgreSQL, appendix A) and the client's own codes mean for an append. */
import { AuditError, type AuditErrorCode } from '../errors.ts'

const CODES: readonly (readonly [RegExp, AuditErrorCode])[] = [
  [/^(?:CONNECTION_|CONNECT_|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|ENOENT)/, 'AUDIT_STORE_UNAVAILABLE'],
  [/^(?:08|57P0|28|3D)/, 'AUDIT_STORE_UNAVAILABLE'], // connection, shutdown, authorization, no such database
  [/^(?:53100|53200)$/, 'AUDIT_STORE_FULL'], // disk full, out of memory
  [/^53300$/, 'AUDIT_STORE_BUSY'], // too many connections
  [/^(?:55P03|57014|40001|40P01)$/, 'AUDIT_STORE_BUSY'], // lock or statement timeout, serialization, deadlock
  [/^(?:XX001|XX002)$/, 'AUDIT_STORE_CORRUPT'],
]
const CONNECTION = /^(?:CONNECTION_|ECONN|EPIPE|ETIMEDOUT|08|57P0)/

/** Errors that are not the database's pass unchanged. */
export function fromPostgres(error: unknown, isCommitting = false): unknown {
  if (error instanceof AuditError || !(error instanceof Error)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  if (code === undefined) return error
  if (code === '23505' && 'constraint_name' in error && error.constraint_name === 'audit_entry_id') {
    return new AuditError('AUDIT_ID_TAKEN', 'an entry with this id is in the log already', { cause: error })
  }
  if (isCommitting && CONNECTION.test(code)) {
    return new AuditError('AUDIT_OUTCOME_UNKNOWN', `the connection was lost while committing: ${error.message}`, {
      cause: error,
    })
  }
  const known = CODES.find(([pattern]) => pattern.test(code))
  const isSqlState = /^[0-9A-Z]{5}$/.test(code)
  if (known === undefined && !isSqlState) return error
  return new AuditError(known?.[1] ?? 'AUDIT_STORE_FAILED', `the database cannot be used: ${error.message}`, {
    cause: error,
  })
}
