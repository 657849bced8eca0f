/**
 * Stored fields against the commitments in the entries, and what is missing against what erasure entries say is gone.
 *
 * Erasures come later in the log than what they erase, so gaps are remembered until the end: as ranges, of which a
 * retention run leaves one for millions of entries, and up to a limit.
 */
import { commitTo, type Disclosure } from './commitment.ts'
import { readEntry, type Entry } from './entry.ts'
import { createErased, erasedBy, type ErasedRange } from './erasure.ts'
import { AuditError } from './errors.ts'
import { unpackFields } from './field-pack.ts'
import type { FindingCode, FindingList } from './finding.ts'
import { uncovered } from './ranges.ts'
import { MAX_READ, type AuditStore, type StoredFields } from './store.ts'

/** Ranges with missing fields, and erased ones, that are remembered; what is over is said in a finding. */
const MAX_RANGES = 1_000_000

export type FieldAudit = {
  /** Fields of [from, to), by position. */
  read(from: number, to: number): Promise<Map<number, StoredFields>>
  check(entry: Entry, stored: StoredFields | undefined): void
  /** Fields that no readable entry was there for. */
  unexpected(rows: Iterable<StoredFields>): void
  /** `size`: how far entries were checked. */
  finish(size: number): Promise<void>
}

type Gap = { readonly from: number; to: number; readonly name: string }

export function createFieldAudit(store: AuditStore, origin: string, findings: FindingList): FieldAudit {
  const gaps: Gap[] = []
  /** The gap of each name that the next position may prolong. */
  const open = new Map<string, Gap>()
  const erased: ErasedRange[] = []
  let dropped = 0

  const found = (code: FindingCode, seq: number, message: string): void => findings.add({ code, origin, seq, message })

  const remember = (seq: number, name: string): void => {
    const last = open.get(name)
    if (last?.to === seq) {
      last.to = seq + 1
    } else if (gaps.length < MAX_RANGES) {
      const gap = { from: seq, to: seq + 1, name }
      gaps.push(gap)
      open.set(name, gap)
    } else {
      dropped += 1
    }
  }

  const note = (ranges: readonly ErasedRange[]): void => {
    if (erased.length + ranges.length <= MAX_RANGES) erased.push(...ranges)
    else dropped += ranges.length
  }

  const unpack = ({ seq, fields }: StoredFields): Disclosure[] => {
    try {
      return unpackFields(fields)
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
      found('FIELD_CHANGED', seq, `the stored fields of entry ${seq} cannot be read: ${error.message}`)
      return []
    }
  }

  const checkStored = ({ seq, commit = {} }: Entry, stored: StoredFields): void => {
    const fields = unpack(stored)
    for (const { name, key, value } of fields) {
      if (!Object.hasOwn(commit, name))
        found('FIELD_CHANGED', seq, `entry ${seq} has no field "${name}", and one is stored`)
      else if (commitTo(key, value) !== commit[name]) {
        found('FIELD_CHANGED', seq, `the stored "${name}" of entry ${seq} is not what the entry committed to`)
      }
    }
    const subject = fields.find(({ name }) => name === 'subject')
    if ((subject && Buffer.from(subject.value).toString()) !== stored.subject) {
      found('INDEX_CHANGED', seq, `entry ${seq} is found under another subject than it has`)
    }
    for (const name in commit) if (!fields.some((field) => field.name === name)) remember(seq, name)
  }

  const reportMissing = (): void => {
    const erasedOf = createErased(erased)
    for (const { from, to, name } of gaps) {
      for (const [first, end] of uncovered([from, to], erasedOf(name))) {
        const where = end === first + 1 ? `entry ${first}` : `entries ${first} to ${end - 1}`
        found('FIELD_MISSING', first, `"${name}" of ${where} is gone, and no erasure entry says so`)
      }
    }
  }

  const reportKept = async ({ range: [from, to], names }: ErasedRange): Promise<void> => {
    for (let next = from; next < to;) {
      const rows = await store.fields(origin, next, to)
      for (const row of rows) {
        const kept = unpack(row).filter(({ name }) => names?.includes(name) ?? true)
        if (kept.length === 0) continue
        const list = kept.map(({ name }) => name).join(', ')
        found('FIELD_NOT_ERASED', row.seq, `entry ${row.seq} still has ${list}, which an erasure entry says is gone`)
      }
      next = rows.length < MAX_READ ? to : (rows.at(-1)?.seq ?? to) + 1
    }
  }

  return {
    async read(from, to) {
      return new Map((await store.fields(origin, from, to)).map((row) => [row.seq, row]))
    },
    check(entry, stored) {
      if (stored !== undefined) checkStored(entry, stored)
      else for (const name in entry.commit) remember(entry.seq, name)
      if (entry.type === 'erasure') note(erasedBy(entry))
    },
    unexpected(rows) {
      for (const { seq } of rows) found('FIELD_CHANGED', seq, `fields are stored for entry ${seq}, which has none`)
    },
    async finish(size) {
      const grown = (await store.head(origin))?.size ?? size
      const [beyond] = await store.fields(origin, grown, Number.MAX_SAFE_INTEGER)
      if (beyond !== undefined && beyond.seq >= ((await store.head(origin))?.size ?? 0)) {
        found('FIELD_CHANGED', beyond.seq, `fields are stored for entry ${beyond.seq}, which is not there`)
      }
      for (const range of erased) await reportKept(range)
      // Fields may have been erased while the entries were read.
      for (let next = size; next < grown && gaps.length > 0; next += MAX_READ) {
        for (const { leaf } of await store.entries(origin, next, Math.min(next + MAX_READ, grown))) note(erasedIn(leaf))
      }
      reportMissing()
      if (dropped === 0) return
      findings.add({ code: 'TOO_MANY_FINDINGS', origin, message: `${dropped} gaps and erasures were not looked at` })
    },
  }
}

/** Of an entry that is not being examined itself. */
function erasedIn(leaf: Uint8Array): ErasedRange[] {
  try {
    return erasedBy(readEntry(leaf))
  } catch (error) {
    if (!(error instanceof AuditError)) throw error
    return []
  }
}
