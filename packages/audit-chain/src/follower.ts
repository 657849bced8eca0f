/**
 * Reading along: exports, indexes, counters. The cursor is kept in the store and moves only after a batch was handled, so
 * each entry is handled at least once, in order, over restarts; `(log, seq)` tells a repetition.
 */
import { readEntry } from './entry.ts'
import type { Disclosure } from './commitment.ts'
import { unpackFields } from './field-pack.ts'
import type { LoggedEntry } from './log.ts'
import { waitFor } from './pause.ts'
import { MAX_READ, type AuditStore } from './store.ts'

export type FollowedEntry = LoggedEntry & {
  /** Its fields as far as they are not erased by now, each with the key that proves it. */
  readonly fields: readonly Disclosure[]
}

export type FollowerOptions = {
  readonly store: AuditStore
  readonly origin: string
  /** What the cursor is kept under. */
  readonly name: string
  /** Entries in one batch, at most MAX_READ. @default 256 */
  readonly maxBatch?: number
  /** Durable when it resolves. When it throws, the batch comes again. */
  readonly handle: (entries: readonly FollowedEntry[], signal: AbortSignal) => Promise<void>
  /** Where several processes follow under one name: who handles now. Undefined when another does, and nothing is handled. */
  readonly lead?: () => Promise<AsyncDisposable | undefined>
}

export type Follower = {
  /** Handles what there is. Returns how many entries that was. */
  catchUp(signal: AbortSignal): Promise<number>
  /** Catches up, waits, and again, until it is aborted. After an error it waits twice as long each time, `maxWaitMs` at most. */
  run(options: {
    readonly pollMs: number
    /** @default 60 seconds */
    readonly maxWaitMs?: number
    readonly signal: AbortSignal
    readonly onError: (error: unknown) => void
  }): Promise<void>
}

export function createFollower({ store, origin, name, maxBatch = 256, handle, lead }: FollowerOptions): Follower {
  if (!Number.isSafeInteger(maxBatch) || maxBatch < 1 || maxBatch > MAX_READ)
    throw new RangeError(`maxBatch: ${maxBatch}`)

  const catchUpNow = async (signal: AbortSignal): Promise<number> => {
    const start = await store.cursor(origin, name)
    for (let next = start; ;) {
      signal.throwIfAborted()
      const rows = await store.entries(origin, next, next + maxBatch)
      if (rows.length === 0) return next - start
      const to = (rows.at(-1)?.seq ?? next) + 1
      const fields = new Map((await store.fields(origin, next, to)).map((row) => [row.seq, unpackFields(row.fields)]))
      const entries = rows.map(({ seq, leaf }) => ({
        seq,
        leaf,
        entry: readEntry(leaf),
        fields: fields.get(seq) ?? [],
      }))
      await handle(entries, signal)
      next = to
      await store.setCursor(origin, name, next)
    }
  }

  let running: Promise<number> = Promise.resolve(0)
  const catchUp = async (signal: AbortSignal): Promise<number> => {
    // One after the other: two would handle the same entries.
    const before = running
    running = (async () => {
      await before.catch(() => 0) // Its own caller has heard of it.
      if (lead === undefined) return await catchUpNow(signal)
      const lease = await lead()
      if (lease === undefined) return 0
      await using _lease = lease
      return await catchUpNow(signal)
    })()
    return await running
  }

  return {
    catchUp,
    async run({ pollMs, maxWaitMs = 60_000, signal, onError }) {
      let waitMs = pollMs
      while (!signal.aborted) {
        try {
          await catchUp(signal)
          waitMs = pollMs
        } catch (error) {
          if (signal.aborted) return
          onError(error)
          waitMs = Math.min(waitMs * 2, maxWaitMs)
        }
        await waitFor(waitMs, signal)
      }
    },
  }
}
