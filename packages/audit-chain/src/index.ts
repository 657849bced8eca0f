export { openLog, type AuditLog, type LoggedEntry, type LogOptions, type Receipt } from './log.ts'
export { AuditError, type AuditErrorCode } from './errors.ts'
