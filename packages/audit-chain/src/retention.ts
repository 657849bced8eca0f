/**
 * Ageing out: fields of entries older than a time are erased, as `erase` does it, a stretch at a time. The cursor is durable
 * and moves after the values are gone from the files, so a run that was killed goes on where it was.
 */
import type { AuditLog } from './log.ts'
import { MAX_READ, type AuditStore } from './store.ts'

export type RetentionOptions = {
  readonly store: AuditStore
  readonly log: AuditLog
  /** How long fields are kept. */
  readonly retainMs: number
  /** In the erasure entries: who has decided it. */
  readonly by: string
  /** @default Date.now */
  readonly clock?: () => number
}

export type Retention = {
  /** Erases what is too old by now. Returns how many entries it went through. @throws AuditError AUDIT_ERASE_INCOMPLETE */
  run(signal: AbortSignal): Promise<number>
}

const CURSOR = 'retention'
/** Entries of one erasure entry, and so of one transaction. */
const MAX_ENTRIES = 10_000
const DAY_MS = 86_400_000

export function createRetention({ store, log, retainMs, by, clock = Date.now }: RetentionOptions): Retention {
  if (!(Number.isSafeInteger(retainMs) && retainMs > 0)) throw new RangeError(`retainMs: ${retainMs}`)
  const reason = `retention: older than ${Number((retainMs / DAY_MS).toFixed(3))} days`

  /** The stretch of [from, to) that still has fields. An erasure entry about nothing would beget another when it is as old. */
  const stretchOf = async (from: number, to: number): Promise<{ from: number; to: number } | undefined> => {
    let first: number | undefined
    let last = from
    for (let at = from; at < to; at += MAX_READ) {
      const rows = await store.fields(log.origin, at, Math.min(at + MAX_READ, to))
      first ??= rows[0]?.seq
      last = rows.at(-1)?.seq ?? last
    }
    return first === undefined ? undefined : { from: first, to: last + 1 }
  }

  return {
    async run(signal) {
      const start = await store.cursor(log.origin, CURSOR)
      const end = await log.findTime(clock() - retainMs)
      for (let from = start; from < end; from += MAX_ENTRIES) {
        signal.throwIfAborted()
        const to = Math.min(from + MAX_ENTRIES, end)
        const what = await stretchOf(from, to)
        // The run before may have erased rows and not got them out of the files.
        if (what === undefined) await store.scrub()
        else await log.erase({ what, reason, by })
        await store.setCursor(log.origin, CURSOR, to)
      }
      return Math.max(0, end - start)
    },
  }
}
