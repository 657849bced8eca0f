/**
 * An entry as it stands in the log: canonical JSON (RFC 8785) whose RFC 6962 leaf hash is what the next entry records as
 * `prev`. One hash makes the chain and the tree.
 */
import { isCanonical, type JsonObject, type JsonValue } from './canonical-json.ts'
import { AuditError } from './errors.ts'
import { MAX_LEAF_BYTES } from './hash.ts'

export type Entry = {
  readonly v: 1
  /** Origin of the log it belongs to. */
  readonly log: string
  /** Its position, from 0. */
  readonly seq: number
  /** Leaf hash of the entry before it, 64 hex digits; of entry 0, a hash of the origin. */
  readonly prev: string
  readonly id: string
  readonly type: string
  /** When it was committed, ISO 8601 in UTC with milliseconds; never before the previous entry's. */
  readonly ts: string
  /** `held`: the clock had gone back, and `ts` is the previous entry's. */
  readonly clk: 'ok' | 'held'
  /** Commitments to its erasable fields, 64 hex digits each. */
  readonly commit?: Readonly<Record<string, string>>
  /** What the caller said about it. */
  readonly facts?: JsonObject
}

/** Not whether they are hex digits: what is compared with them is, and this is the hot path of verifying. */
const isHash = (value: unknown): boolean => typeof value === 'string' && value.length === 64
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** @throws AuditError AUDIT_ENTRY_INVALID when the bytes are not the canonical form of an entry */
export function readEntry(leaf: Uint8Array): Entry {
  const entry = parse(leaf)
  const problem = problemOf(entry)
  if (problem !== undefined) throw new AuditError('AUDIT_ENTRY_INVALID', problem)
  return entry as unknown as Entry
}

function parse(leaf: Uint8Array): JsonObject {
  if (leaf.length > MAX_LEAF_BYTES)
    throw new AuditError('AUDIT_ENTRY_INVALID', `it has more than ${MAX_LEAF_BYTES} bytes`)
  const bytes = Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength)
  const text = bytes.toString()
  // Decoding puts U+FFFD where bytes are no UTF-8; entries may also contain it rightly.
  const isText = !text.includes('\ufffd') || Buffer.from(text).equals(bytes)
  let value: JsonValue
  try {
    value = JSON.parse(text) as JsonValue
  } catch (error) {
    throw new AuditError('AUDIT_ENTRY_INVALID', 'it is not JSON', { cause: error })
  }
  if (!isText || !isCanonical(text, value)) {
    throw new AuditError('AUDIT_ENTRY_INVALID', 'it is not in the canonical form of RFC 8785')
  }
  if (!isObject(value)) throw new AuditError('AUDIT_ENTRY_INVALID', 'it is not an object')
  return value
}

function problemOf(entry: JsonObject): string | undefined {
  const { v, log, seq, prev, id, type, ts, clk, commit, facts } = entry
  if (v !== 1) return 'its version `v` is not 1'
  if (typeof log !== 'string' || typeof id !== 'string' || typeof type !== 'string')
    return '`log`, `id` and `type` are texts'
  if (!Number.isSafeInteger(seq) || (seq as number) < 0) return '`seq` is a position'
  if (!isHash(prev)) return '`prev` is 64 hex digits'
  if (typeof ts !== 'string' || !TIME.test(ts)) return '`ts` is a time in UTC with milliseconds'
  if (clk !== 'ok' && clk !== 'held') return '`clk` is ok or held'
  if (facts !== undefined && !isObject(facts)) return '`facts` is an object'
  return commit === undefined || isCommitments(commit) ? undefined : '`commit` has 64 hex digits for each field'
}

function isCommitments(commit: JsonValue): boolean {
  if (!isObject(commit)) return false
  for (const name in commit) {
    if (!isHash(commit[name])) return false
  }
  return true
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
