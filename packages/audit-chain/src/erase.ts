/**
 * Erasing: the values and their keys go, the commitments in the chain stay, and an `erasure` entry says what went, why, and
 * who wanted it, written in the same transaction. Every proof made before remains valid.
 */
import type { EntryInput } from './draft.ts'
import { AuditError } from './errors.ts'
import type { Range } from './ranges.ts'
import type { AuditStore, Erasure, Head, Receipt } from './store.ts'

export type EraseRequest = {
  /** Entries of [from, to), or all entries about somebody. */
  readonly what: { readonly from: number; readonly to: number } | { readonly subject: string }
  /** @default all fields, the subject included */
  readonly fields?: readonly string[]
  /** For the erasure entry, which stays: a basis such as `GDPR Art. 17`, and a role or key id, not a person. */
  readonly reason: string
  readonly by: string
}

export type EraseResult = {
  /** Entries whose fields are gone now; of a range, all in it. */
  readonly entries: number
  readonly receipts: readonly Receipt[]
}

/** [from, to) pairs in one erasure entry, and entries that one transaction erases; more make more erasure entries. */
const MAX_RANGES = 500
const MAX_ENTRIES = 10_000

export type EraserOptions = {
  readonly store: AuditStore
  readonly origin: string
  readonly head: () => Promise<Head>
  readonly write: (input: EntryInput, erasures: readonly Erasure[]) => Promise<Receipt>
}

export function createEraser({
  store,
  origin,
  head,
  write,
}: EraserOptions): (request: EraseRequest) => Promise<EraseResult> {
  return async ({ what, fields, reason, by }) => {
    if (fields?.length === 0) throw new AuditError('AUDIT_ENTRY_INVALID', 'no fields to erase are named')
    const { size } = await head()
    const receipts: Receipt[] = []
    let entries = 0
    for await (const ranges of 'subject' in what ? rangesOf(store, origin, what.subject, size) : within(what, size)) {
      const erasures = ranges.map(([from, to]) => ({ from, to, ...(fields && { names: fields }) }))
      const facts = { by, reason, entries: ranges, ...(fields && { fields }) }
      receipts.push(await write({ type: 'erasure', facts }, erasures))
      for (const [from, to] of ranges) entries += to - from
    }
    if (receipts.length > 0) await store.scrub()
    return { entries, receipts }
  }
}

async function* within({ from, to }: { from: number; to: number }, size: number): AsyncGenerator<readonly Range[]> {
  if (!(Number.isSafeInteger(from) && from >= 0 && from < to && to <= size)) {
    throw new AuditError('AUDIT_NOT_FOUND', `there are no entries [${from}, ${to}) in a log of ${size}`)
  }
  for (let next = from; next < to; next += MAX_ENTRIES) yield [[next, Math.min(next + MAX_ENTRIES, to)]]
}

/** Positions found in pages, neighbours joined. The next page begins behind the last position, so erasing does not disturb. */
async function* rangesOf(
  store: AuditStore,
  origin: string,
  subject: string,
  size: number,
): AsyncGenerator<readonly Range[]> {
  let ranges: [number, number][] = []
  let count = 0
  for (let from = 0; from < size;) {
    const found = await store.bySubject(origin, subject, from)
    for (const seq of found) {
      if (seq >= size) break
      const last = ranges.at(-1)
      if (last?.[1] === seq) last[1] = seq + 1
      else ranges.push([seq, seq + 1])
      count += 1
      if (ranges.length < MAX_RANGES && count < MAX_ENTRIES) continue
      yield ranges
      ranges = []
      count = 0
    }
    from = (found.at(-1) ?? size) + 1
  }
  if (ranges.length > 0) yield ranges
}
