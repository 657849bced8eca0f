/**
 * An entry before it has a place: checked, its fields committed to, and written but for the four members that only the
 * head of the log can fill in (`clk`, `prev`, `seq`, `ts`). What can go wrong with an entry goes wrong here, where it
 * hurts its own caller and not the batch.
 */
import { canonicalizeExact, type JsonObject } from './canonical-json.ts'
import { commitTo, type Disclosure } from './commitment.ts'
import { AuditError } from './errors.ts'
import { packFields } from './field-pack.ts'
import { HASH_BYTES, MAX_LEAF_BYTES } from './hash.ts'
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
  readonly random: (size: number) => Uint8Array
  readonly maxFieldsBytes: number
}

const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/
const TYPE = /^[a-z][a-z0-9_.-]{0,63}$/
/** Databases look it up, and PostgreSQL has no NUL in a text. */
const SUBJECT = /^\P{Cc}{1,256}$/u
const ID = /^[A-Za-z0-9._:-]{1,64}$/
/** `{"clk":"held"`, 64 digits and `","seq":`, 2^53, `,"ts":"`, a time. */
const REST_BYTES = 13 + 64 + 8 + 16 + 7 + 24
const MAX_FIELDS = 64

/** @throws AuditError AUDIT_ENTRY_INVALID, AUDIT_ENTRY_TOO_LARGE */
export function createDraft(input: EntryInput, context: DraftContext, erasures: readonly Erasure[] = []): Draft {
  const { type, id = context.newId(), subject, attachment } = input
  if (!TYPE.test(type)) throw invalid(`"${type}" is no type: lower case, digits, ".", "_", "-", at most 64`)
  if (!ID.test(id)) throw invalid(`"${id}" is no id: at most 64 of A-Z a-z 0-9 . _ : -`)
  const fields = disclosuresOf(input, context)
  // Members in the order of RFC 8785. Names, ids and types have no character that JSON would escape.
  const commit = fields.length === 0 ? '' : `"commit":${commitmentsOf(fields)},`
  const facts = input.facts === undefined ? '' : `"facts":${canonicalizeExact(input.facts)},`
  const beforePrev = `,${commit}${facts}"id":"${id}","log":${context.quotedOrigin},"prev":"`
  const afterTime = `","type":"${type}","v":1}`
  const leafBytes = Buffer.byteLength(beforePrev) + afterTime.length + REST_BYTES
  if (leafBytes > MAX_LEAF_BYTES) {
    throw new AuditError(
      'AUDIT_ENTRY_TOO_LARGE',
      `an entry has at most ${MAX_LEAF_BYTES} bytes; put long values into fields`,
    )
  }
  const packed = fields.length === 0 ? undefined : packFields(fields)
  const sizeBytes = leafBytes + (packed?.length ?? 0)
  return { id, beforePrev, afterTime, subject, fields: packed, erasures, attachment, sizeBytes }
}

function disclosuresOf({ fields = {}, subject }: EntryInput, { random, maxFieldsBytes }: DraftContext): Disclosure[] {
  const list: Disclosure[] = []
  let sizeBytes = 0
  const add = (name: string, content: string | Uint8Array): void => {
    if (!NAME.test(name)) throw invalid(`"${name}" is no field name`)
    if (typeof content === 'string' && !content.isWellFormed()) throw invalid(`field ${name} has a lone surrogate`)
    const value = typeof content === 'string' ? Buffer.from(content) : content
    sizeBytes += value.length
    list.push({ name, value, key: random(HASH_BYTES) })
  }
  for (const name in fields) {
    if (name === 'subject') throw invalid('the field "subject" is written from the subject')
    add(name, fields[name] as string | Uint8Array)
  }
  if (subject !== undefined) {
    if (!SUBJECT.test(subject)) throw invalid('a subject has 1 to 256 characters, and no control characters')
    add('subject', subject)
  }
  if (list.length > MAX_FIELDS) throw invalid(`more than ${MAX_FIELDS} fields`)
  if (sizeBytes > maxFieldsBytes) {
    throw new AuditError(
      'AUDIT_ENTRY_TOO_LARGE',
      `the fields have ${sizeBytes} bytes, maxFieldsBytes is ${maxFieldsBytes}`,
    )
  }
  return list.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function commitmentsOf(fields: readonly Disclosure[]): string {
  return `{${fields.map(({ name, key, value }) => `"${name}":"${commitTo(key, value)}"`).join(',')}}`
}

function invalid(message: string): AuditError {
  return new AuditError('AUDIT_ENTRY_INVALID', message)
}
