/**
 * An entry before it has a place: checked, its facts written and its fields packed. What can go wrong with an entry goes wrong
 * here, where it hurts its own caller and not the batch. The hashing comes later (`write-draft.ts`), in whichever thread
 * writes the batch.
 */
import { canonicalizeExact, type JsonObject } from './canonical-json.ts'
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
  readonly type: string
  /** Canonical JSON; an empty text when there are none. */
  readonly facts: string
  readonly subject: string | undefined
  /** As `packFields` makes them. */
  readonly fields: Buffer | undefined
  /** As `commitmentsTo` makes them; undefined as long as nobody did. */
  readonly commit?: string | undefined
  readonly erasures: readonly Erasure[]
  readonly attachment: unknown
  /** What it takes in the queue, about. */
  readonly sizeBytes: number
}

export type DraftContext = {
  /** Of the origin in quotes. */
  readonly originBytes: number
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
/** What else is in an entry: names, `held`, the hash of the one before, a position of 16 digits and a time. */
const REST_BYTES = 197
/** Two quotes, a colon, a comma, and a commitment in quotes. */
const COMMIT_BYTES = 4 + 66
const MAX_FIELDS = 64
const MAX_REMEMBERED = 1000

/** @throws AuditError AUDIT_ENTRY_INVALID, AUDIT_ENTRY_TOO_LARGE */
export function createDraft(input: EntryInput, context: DraftContext, erasures: readonly Erasure[] = []): Draft {
  const { type, id = context.newId(), subject, attachment } = input
  if (!isType(type)) throw invalid(`"${type}" is no type: lower case, digits, ".", "_", "-", at most 64`)
  if (id === input.id && !ID.test(id)) throw invalid(`"${id}" is no id: at most 64 of A-Z a-z 0-9 . _ : -`)
  const list = fieldsOf(input, context.maxFieldsBytes)
  const facts = input.facts === undefined ? '' : canonicalizeExact(input.facts)
  let leafBytes = REST_BYTES + context.originBytes + id.length + type.length + facts.length
  for (const { name } of list) leafBytes += COMMIT_BYTES + name.length
  // At most three bytes for each UTF-16 code unit: most are not counted.
  const isLong = leafBytes * 3 > MAX_LEAF_BYTES
  if (isLong && leafBytes + Buffer.byteLength(facts) - facts.length > MAX_LEAF_BYTES) {
    throw new AuditError(
      'AUDIT_ENTRY_TOO_LARGE',
      `an entry has at most ${MAX_LEAF_BYTES} bytes; put long values into fields`,
    )
  }
  const fields = pack(list, context.random)
  return { id, type, facts, subject, fields, erasures, attachment, sizeBytes: leafBytes + (fields?.length ?? 0) }
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
  return isInOrder(list) ? list : list.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Sorting what is in order takes a thousand bytes. */
function isInOrder(list: readonly Field[]): boolean {
  for (let i = 1; i < list.length; i += 1) if ((list[i - 1] as Field).name > (list[i] as Field).name) return false
  return true
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

function pack(fields: readonly Field[], random: DraftContext['random']): Buffer | undefined {
  if (fields.length === 0) return undefined
  const packed = Buffer.allocUnsafe(packedSize(fields))
  let at = 0
  for (const { name, content, sizeBytes } of fields) {
    at = startField(packed, at, name, sizeBytes)
    random(packed, at - KEY_BEFORE_VALUE, HASH_BYTES)
    if (typeof content === 'string') packed.write(content, at)
    else packed.set(content, at)
    at += sizeBytes
  }
  return packed
}

function invalid(message: string): AuditError {
  return new AuditError('AUDIT_ENTRY_INVALID', message)
}
