/** Everything here that grows, and how far. */
export type AuditLimits = {
  /** Entries in one transaction. @default 256 */
  readonly maxBatchEntries: number
  /** Bytes of entries and fields in one transaction, about. @default 4 MiB */
  readonly maxBatchBytes: number
  /**
   * Longest wait for a batch to get as large as the one before, milliseconds. An entry that comes alone never waits.
   * @default 2
   */
  readonly maxDelayMs: number
  /** Entries that wait to be committed; the next one is refused with AUDIT_BACKLOG_FULL. @default 4096 */
  readonly maxOutstanding: number
  /** Bytes that wait to be committed, about. @default 64 MiB */
  readonly maxOutstandingBytes: number
  /** Bytes of all field values of one entry. @default 1 MiB */
  readonly maxFieldsBytes: number
}

/** Batches of 256 and a backlog of 4096 are what Tessera ships with. */
export const DEFAULT_LIMITS: AuditLimits = {
  maxBatchEntries: 256,
  maxBatchBytes: 4 * 1024 * 1024,
  maxDelayMs: 2,
  maxOutstanding: 4096,
  maxOutstandingBytes: 64 * 1024 * 1024,
  maxFieldsBytes: 1024 * 1024,
}

/** @throws RangeError for a limit that is not a positive integer (`maxDelayMs` may be 0) */
export function withDefaults(limits: Partial<AuditLimits> = {}): AuditLimits {
  const all = { ...DEFAULT_LIMITS, ...limits }
  for (const [name, value] of Object.entries(all)) {
    if (!Number.isSafeInteger(value) || value < (name === 'maxDelayMs' ? 0 : 1))
      throw new RangeError(`${name}: ${value}`)
  }
  return all
}
