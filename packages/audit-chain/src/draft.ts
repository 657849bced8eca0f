/**
 * An entry before it has a place: checked, its fields committed to, and written but for the four members that only the
 * head of the log can fill in (`clk`, `prev`, `seq`, `ts`). What can go wrong with an entry goes wrong here, where it
 * hurts its own caller and not the batch.
 */
import { canonicalizeExact, type JsonObject } from './canonical-json.ts'
import { commitWithin } from './commitment.ts'
import { AuditError } from './errors.ts'
import { KEY_BEFORE_VALUE, packedSize, startField } from './field-pack.ts'
import { HASH_BYTES, MAX_LEAF_BYTES } from './hash.ts'
import type { FillRandom } from './id.ts'
import type { Erasure } from './store.ts'

export type EntryInput = {
  /** What happened, such as `tool.call`: lower case, digits, `.`, `_`, `-`. */
  readonly type: string
  /** Unique in its log, at most 64 of `A-Z a-z 0-9 . _ : -`. @default a UUIDv7 */
  readonly id?: string
  /**
   * What stays readable for good: server, tool, status, sizes. Numbers are integers below 2^53. Nothing personal and
   * nothing secret, and no plain hash of such.
   */
  readonly facts?: JsonObject
  /** What can be erased later: arguments, responses, who it was. The chain has a commitment to each. */
  readonly fields?: Readonly<Record<string, string | Uint8Array>>
  /** Whose data the fields are, to find them for erasing. Kept as a field of this name, and so erased with them. */
  readonly subject?: string
  /** Handed to the store's `alongside` in the transaction that writes the entry. */
  readonly attachment?: unknown
}

export type Draft = {
  readonly id: string
  /** The text between the values of `clk` and `prev`, and the text after that of `ts`. */
  readonly beforePrev: string
  readonly afterTime: string
  readonly subject: string | undefined
  /** As `packFields` makes them. */
  readonly fields: Uint8Array | undefined
  readonly erasures: readonly Erasure[]
  readonly attachment: unknown
  /** What it takes in the queue, about. */
  readonly sizeBytes: number
}

export type DraftContext = {
  /** The origin in quotes, as JSON. */
  readonly quotedOrigin: string
  readonly newId: () => string
  readonly random: FillRandom
  readonly maxFieldsBytes: number
}

const isName = remembering(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/)
const isType = remembering(/^[a-z][a-z0-9_.-]{0,63}$/)
/** Databases look it up, and PostgreSQL has no NUL in a text. */
const SUBJECT = /^\P{Cc}{1,256}$/u
/** The most usual ones are told without looking for surrogates, in half the time. */
const PLAIN_SUBJECT = /^[ -~]{1,256}$/
const ID = /^[A-Za-z0-9._:-]{1,64}$/
/** `{"clk":"held"`, 64 digits and `","seq":`, 2^53, `,"ts":"`, a time. */
const REST_BYTES = 13 + 64 + 8 + 16 + 7 + 24
const MAX_FIELDS = 64
const MAX_REMEMBERED = 1000

/** @throws AuditError AUDIT_ENTRY_INVALID, AUDIT_ENTRY_TOO_LARGE */
export function createDraft(input: EntryInput, context: DraftContext, erasures: readonly Erasure[] = []): Draft {
  const { type, id = context.newId(), subject, attachment } = input
  if (!isType(type)) throw invalid(`"${type}" is no type: lower case, digits, ".", "_", "-", at most 64`)
  if (id === input.id && !ID.test(id)) throw invalid(`"${id}" is no id: at most 64 of A-Z a-z 0-9 . _ : -`)
  // Members in the order of RFC 8785. Names, ids and types have no character that JSON would escape.
  const { packed, commit } = commitFields(fieldsOf(input, context.maxFieldsBytes), context.random)
  const facts = input.facts === undefined ? '' : `"facts":${canonicalizeExact(input.facts)},`
  const beforePrev = `,${commit}${facts}"id":"${id}","log":${context.quotedOrigin},"prev":"`
  const afterTime = `","type":"${type}","v":1}`
  const leafChars = beforePrev.length + afterTime.length + REST_BYTES
  // At most three bytes for each UTF-16 code unit: most are counted only once, when they are written.
  if (
    leafChars * 3 > MAX_LEAF_BYTES &&
    leafChars + Buffer.byteLength(beforePrev) - beforePrev.length > MAX_LEAF_BYTES
  ) {
    throw new AuditError(
      'AUDIT_ENTRY_TOO_LARGE',
      `an entry has at most ${MAX_LEAF_BYTES} bytes; put long values into fields`,
    )
  }
  const sizeBytes = leafChars + (packed?.length ?? 0)
  return { id, beforePrev, afterTime, subject, fields: packed, erasures, attachment, sizeBytes }
}

type Field = { readonly name: string; readonly content: string | Uint8Array; readonly sizeBytes: number }

/** Checked, and in the order of their names. */
function fieldsOf({ fields = {}, subject }: EntryInput, maxFieldsBytes: number): Field[] {
  const list: Field[] = []
  let total = 0
  for (const name in fields) {
    if (name === 'subject') throw invalid('the field "subject" is written from the subject')
    if (!isName(name)) throw invalid(`"${name}" is no field name`)
    const field = fieldOf(name, fields[name] as string | Uint8Array)
    total += field.sizeBytes
    list.push(field)
  }
  if (subject !== undefined) {
    if (!PLAIN_SUBJECT.test(subject) && !SUBJECT.test(subject))
      throw invalid('a subject has 1 to 256 characters, and no control characters')
    const field = fieldOf('subject', subject)
    total += field.sizeBytes
    list.push(field)
  }
  if (list.length > MAX_FIELDS) throw invalid(`more than ${MAX_FIELDS} fields`)
  if (total > maxFieldsBytes) {
    throw new AuditError('AUDIT_ENTRY_TOO_LARGE', `the fields have ${total} bytes, maxFieldsBytes is ${maxFieldsBytes}`)
  }
  return list.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Types and names are the same few again and again, and looking one up takes a third of the time of testing it. */
function remembering(pattern: RegExp): (text: string) => boolean {
  const known = new Set<string>()
  return (text) => {
    if (known.has(text)) return true
    if (!pattern.test(text)) return false
    if (known.size < MAX_REMEMBERED) known.add(text)
    return true
  }
}

function fieldOf(name: string, content: string | Uint8Array): Field {
  if (typeof content !== 'string') return { name, content, sizeBytes: content.length }
  if (!content.isWellFormed()) throw invalid(`field ${name} has a lone surrogate`)
  return { name, content, sizeBytes: Buffer.byteLength(content) }
}

/** Each field goes into the packed form at once, and its commitment is made from there: no copy of its own. */
function commitFields(
  fields: readonly Field[],
  random: DraftContext['random'],
): { readonly packed: Buffer | undefined; readonly commit: string } {
  if (fields.length === 0) return { packed: undefined, commit: '' }
  const packed = Buffer.allocUnsafe(packedSize(fields))
  let commit = ''
  let at = 0
  for (const { name, content, sizeBytes } of fields) {
    at = startField(packed, at, name, sizeBytes)
    const keyAt = at - KEY_BEFORE_VALUE
    random(packed, keyAt, HASH_BYTES)
    if (typeof content === 'string') packed.write(content, at)
    else packed.set(content, at)
    commit += `${commit === '' ? '' : ','}"${name}":"${commitWithin(packed, keyAt, at, at + sizeBytes)}"`
    at += sizeBytes
  }
  return { packed, commit: `"commit":{${commit}},` }
}

function invalid(message: string): AuditError {
  return new AuditError('AUDIT_ENTRY_INVALID', message)
}
