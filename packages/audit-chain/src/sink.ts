/**
 * Where a follower's entries go: a file, a URL, a bucket, a collector. Each record has `log`, `seq` and `id`, because what
 * is delivered at least once is delivered twice now and then, and the receiver drops what it has.
 */
import type { FollowedEntry } from './follower.ts'

export interface Sink extends AsyncDisposable {
  /**
   * Durable at the receiver when it resolves, as far as the sink's own page says so. When it rejects, the batch, or more
   * than it, comes again. One write at a time.
   * @throws AuditError AUDIT_SINK_FAILED
   */
  write(entries: readonly FollowedEntry[], signal: AbortSignal): Promise<void>
  /** Entries that the receiver refused for good and that are kept aside. Absent where there is no such thing. */
  deadLetters?(): Promise<number>
}

/** An entry as text, without an end of line. Pure. */
export type RecordFormat = (entry: FollowedEntry) => string
