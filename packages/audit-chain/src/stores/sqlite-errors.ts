/** What SQLite's result codes (https://sqlite.org/rescode.html) mean for an append. */
import { AuditError, type AuditErrorCode } from '../errors.ts'

const CODES: Readonly<Record<number, AuditErrorCode>> = {
  5: 'AUDIT_STORE_BUSY', // SQLITE_BUSY
  6: 'AUDIT_STORE_BUSY', // SQLITE_LOCKED
  8: 'AUDIT_STORE_UNAVAILABLE', // SQLITE_READONLY, also when the file was moved or removed (READONLY_DBMOVED)
  10: 'AUDIT_STORE_UNAVAILABLE', // SQLITE_IOERR
  11: 'AUDIT_STORE_CORRUPT', // SQLITE_CORRUPT
  13: 'AUDIT_STORE_FULL', // SQLITE_FULL
  14: 'AUDIT_STORE_UNAVAILABLE', // SQLITE_CANTOPEN
  26: 'AUDIT_STORE_CORRUPT', // SQLITE_NOTADB
}
const CONSTRAINT_UNIQUE = 2067
const IOERR_FULL_DISK = new Set([778, 1034, 1290, 1546]) // WRITE, FSYNC, DIR_FSYNC, TRUNCATE

export function isBusy(error: unknown): boolean {
  return primaryCodeOf(error) === 5 || primaryCodeOf(error) === 6
}

export function isReadOnly(error: unknown): boolean {
  return primaryCodeOf(error) === 8
}

/** Errors that are not SQLite's pass unchanged. */
export function fromSqlite(error: unknown, isCommitting = false): unknown {
  const extended = codeOf(error)
  if (error instanceof AuditError || extended === undefined || !(error instanceof Error)) return error
  if (extended === CONSTRAINT_UNIQUE && error.message.includes('audit_entry.id')) {
    return new AuditError('AUDIT_ID_TAKEN', 'an entry with this id is in the log already', { cause: error })
  }
  // A failed write while committing may or may not have reached the disk.
  if (isCommitting && IOERR_FULL_DISK.has(extended)) {
    return new AuditError('AUDIT_OUTCOME_UNKNOWN', `the disk failed while committing: ${error.message}`, {
      cause: error,
    })
  }
  const code = CODES[extended & 0xff] ?? 'AUDIT_STORE_FAILED'
  return new AuditError(code, `the database cannot be used: ${error.message}`, { cause: error })
}

function primaryCodeOf(error: unknown): number | undefined {
  const code = codeOf(error)
  return code === undefined ? undefined : code & 0xff
}

/** `node:sqlite` puts the extended result code into `errcode`. */
function codeOf(error: unknown): number | undefined {
  const code: unknown = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  // A closed handle has no result code: ERR_INVALID_STATE.
  if (code === undefined && error instanceof Error && 'code' in error && error.code === 'ERR_INVALID_STATE') return 14
  return typeof code === 'number' ? code : undefined
}
