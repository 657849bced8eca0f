/** Reading along: new entries as they come, and how far each export has come, from the log's file alone. */
import { setTimeout as sleep } from 'node:timers/promises'
import { matches, type LedgerFilter } from './ledger-query.ts'
import { describeRow, readPages, type LedgerReader, type LedgerRow } from './ledger-rows.ts'

export type FollowOptions = LedgerFilter & {
  /** Position of the first entry. */
  readonly start: number
  readonly pollMs: number
  readonly withBodies: boolean
  readonly signal: AbortSignal
}

/** Oldest first, until it is aborted. */
export async function* followLedger(reader: LedgerReader, options: FollowOptions): AsyncGenerator<LedgerRow> {
  const { start, pollMs, withBodies, signal, ...filter } = options
  for (let next = start; !signal.aborted;) {
    const { size } = await reader.log.head()
    for await (const rows of readPages(reader, next, size)) {
      for (const row of rows) {
        if (signal.aborted) return
        if (matches(row, filter)) yield await describeRow(reader.log, row, withBodies)
      }
    }
    next = Math.max(next, size)
    await sleep(pollMs, undefined, { signal }).catch(() => undefined) // Woken by the end.
  }
}

export type ExportCursor = { readonly name: string; readonly cursor: number; readonly lag: number }

/** What the cursors of exports are kept under. */
export const EXPORT_CURSOR = 'export:'

/** Of every export that ever took something; one that was removed stays where it was. */
export async function exportCursors({ log, store }: LedgerReader): Promise<ExportCursor[]> {
  const { size } = await log.head()
  return (await store.cursors(log.origin))
    .filter(({ follower }) => follower.startsWith(EXPORT_CURSOR))
    .map(({ follower, seq }) => ({
      name: follower.slice(EXPORT_CURSOR.length),
      cursor: seq,
      lag: Math.max(0, size - seq),
    }))
}
