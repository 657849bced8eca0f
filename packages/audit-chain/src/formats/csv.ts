/**
 * Entries as a table for people and spreadsheets (RFC 4180). It cannot be verified: the last column names the entry whose
 * proof is elsewhere. The adversary names tools and writes arguments that a spreadsheet would run as formulas
 * (https://owasp.org/www-community/attacks/CSV_Injection).
 */
import { leafHash } from '../hash.ts'
import type { FollowedEntry } from '../follower.ts'
import type { RecordFormat } from '../sink.ts'
import { fieldText } from './event.ts'

export type CsvOptions = {
  /** Which facts have a column. */
  readonly facts?: readonly string[]
  /** Which fields have one; empty where they are erased or withheld. */
  readonly fields?: readonly string[]
}

export type CsvFormat = { readonly header: string; readonly record: RecordFormat }

export function createCsvFormat({ facts = [], fields = [] }: CsvOptions = {}): CsvFormat {
  const columns = ['log', 'seq', 'id', 'type', 'ts', ...facts, ...fields, 'entry_hash']
  const record = (followed: FollowedEntry): string => {
    const { entry, seq, leaf } = followed
    return [
      entry.log,
      seq,
      entry.id,
      entry.type,
      entry.ts,
      ...facts.map((name) => entry.facts?.[name]),
      ...fields.map((name) => fieldText(followed, name)),
      leafHash(leaf).toString('hex'),
    ]
      .map(csvCell)
      .join(',')
  }
  return { header: columns.map(csvCell).join(','), record }
}

/**
 * One cell. What a spreadsheet would take for a formula gets an apostrophe before it, and so does what has one already, so
 * that whoever takes one leading apostrophe away has exactly what was there.
 */
export function csvCell(value: unknown): string {
  if (value === undefined || value === null) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const isText = typeof value !== 'number' && typeof value !== 'boolean'
  const harmless = isText && FORMULA.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}

/** Spreadsheets skip blanks and what is invisible, and take the full-width forms for the plain ones. */
const FORMULA = /^(?:'|[\t\r\n]|[\s\p{Cc}\p{Cf}]*[=+\-@%|\uff1d\uff0b\uff0d\uff20])/u
