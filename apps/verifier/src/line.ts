/**
 * One line of a bundle: the head, an entry, a checkpoint, a consistency proof or the proof of a meta-log, each in the canonical form of RFC 8785, so
 * that what is checked is what everybody else reads in the line: no second spelling, no member twice, nothing unknown.
 */
import { canonicalize, type Disclosure, type JsonObject, type JsonValue } from '@mcp-gateway/audit-chain/verify'
import { VerifyError } from './finding.ts'

export type ConsistencyProof = {
  readonly from: number
  readonly to: number
  readonly hashes: readonly Uint8Array[]
  /** When it is another log's than the bundle's: the meta-log's. */
  readonly log?: string
}

/** That a meta-log has a checkpoint of this log. */
export type MetaLine = {
  readonly kind: 'meta'
  /** The exact bytes of the meta-log's entry; not looked at yet. */
  readonly leaf: Uint8Array
  /** Verifier key of the meta-log, as the bundle says: it proves nothing by itself. */
  readonly key: string
  /** C2SP tlog-proof. */
  readonly proof: string
}

export type EntryLine = {
  readonly kind: 'entry'
  /** The entry's exact bytes; not looked at yet. */
  readonly leaf: Uint8Array
  readonly fields: readonly Disclosure[]
  /** C2SP tlog-proof; without one the entry is the next one of a whole log. */
  readonly proof: string | undefined
}

export type Line =
  | { readonly kind: 'head'; readonly origin: string }
  | EntryLine
  | MetaLine
  | { readonly kind: 'checkpoint'; readonly note: string }
  | { readonly kind: 'consistency'; readonly proof: ConsistencyProof }

const MAX_FIELDS = 64
const MAX_HASHES = 64
const ENTRY = Buffer.from('{"entry":')
/** The members of an entry are sorted, and `v` is the last. */
const ENTRY_END = '"v":1}'

/** @throws VerifyError LINE_MALFORMED, VERSION_UNSUPPORTED */
export function readLine(line: Buffer): Line {
  if (line.subarray(0, ENTRY.length).equals(ENTRY)) return readEntryLine(line)
  const value = readCanonical(line.toString())
  const names = Object.keys(value).join()
  if (names === 'log,v') {
    if (value['v'] !== 1) throw new VerifyError('VERSION_UNSUPPORTED', 'this program reads bundles of version 1')
    if (typeof value['log'] === 'string') return { kind: 'head', origin: value['log'] }
  }
  if (names === 'checkpoint' && typeof value['checkpoint'] === 'string')
    return { kind: 'checkpoint', note: value['checkpoint'] }
  if (names === 'consistency') return { kind: 'consistency', proof: readConsistency(value['consistency']) }
  if (names === 'meta') return readMeta(value['meta'])
  throw malformed('it is no head, entry, checkpoint, consistency proof or proof of a meta-log')
}

/** The entry is cut out unread: parsing it once, where it is verified, is most of the work there is. */
function readEntryLine(line: Buffer): EntryLine {
  if (line.subarray(-ENTRY_END.length - 1).equals(Buffer.from(`${ENTRY_END}}`)))
    return { kind: 'entry', leaf: line.subarray(ENTRY.length, -1), fields: [], proof: undefined }
  // From the end: facts may contain anything, but fields and proof hold texts only, where the quotes are escaped.
  const at = Math.max(line.lastIndexOf(`${ENTRY_END},"fields":{`), line.lastIndexOf(`${ENTRY_END},"proof":"`))
  if (at === -1) throw malformed('an entry does not end with its member "v":1')
  const leafEnd = at + ENTRY_END.length
  const { fields, proof, ...more } = readCanonical(`{${line.toString('utf8', leafEnd + 1)}`)
  if (Object.keys(more).length > 0 || (proof !== undefined && typeof proof !== 'string'))
    throw malformed('beside an entry stand its fields and its proof, and nothing else')
  return {
    kind: 'entry',
    leaf: line.subarray(ENTRY.length, leafEnd),
    fields: fields === undefined ? [] : readFields(fields),
    proof,
  }
}

function readFields(value: JsonValue): Disclosure[] {
  if (!isObject(value)) throw malformed('fields are an object')
  const names = Object.keys(value)
  if (names.length === 0 || names.length > MAX_FIELDS) throw malformed(`an entry has 1 to ${MAX_FIELDS} fields`)
  return names.map((name) => {
    const field = value[name] ?? null
    if (!isObject(field)) throw malformed(`the field ${JSON.stringify(name)} is an object`)
    const { key, text, base64, ...more } = field
    const isOne = (text === undefined) !== (base64 === undefined) && Object.keys(more).length === 0
    const content = typeof text === 'string' ? Buffer.from(text) : decodeBase64(base64)
    const keyBytes = decodeBase64(key)
    if (!isOne || content === undefined || keyBytes === undefined)
      throw malformed(`the field ${JSON.stringify(name)} has "key" and either "text" or "base64"`)
    return { name, value: content, key: keyBytes }
  })
}

function readConsistency(value: JsonValue | undefined): ConsistencyProof {
  const { from, hashes, log, to, ...more } = isObject(value) ? value : {}
  const isWhole = isSize(from) && isSize(to) && Array.isArray(hashes) && hashes.length <= MAX_HASHES
  const isNamed = log === undefined || typeof log === 'string'
  if (!isWhole || !isNamed || Object.keys(more).length > 0)
    throw malformed(`a consistency proof has "from", "to", at most ${MAX_HASHES} "hashes", and perhaps "log"`)
  const decoded = (hashes as readonly JsonValue[]).map((hash) => {
    const bytes = decodeBase64(hash)
    if (bytes?.length !== 32) throw malformed('a hash is the base64 of 32 bytes')
    return bytes
  })
  return { from, to, hashes: decoded, ...(log !== undefined && { log }) }
}

/** The line is canonical, so writing the entry anew gives the bytes that stand there. */
function readMeta(value: JsonValue | undefined): MetaLine {
  const { entry, key, proof, ...more } = isObject(value) ? value : {}
  const isWhole = entry !== undefined && isObject(entry) && typeof key === 'string' && typeof proof === 'string'
  if (!isWhole || Object.keys(more).length > 0)
    throw malformed('the proof of a meta-log has "entry", "key" and "proof", and nothing else')
  return { kind: 'meta', leaf: Buffer.from(canonicalize(entry)), key, proof }
}

/** A consistency proof in a file of its own. @throws VerifyError LINE_MALFORMED */
export function readConsistencyFile(text: string): ConsistencyProof {
  const line = readLine(Buffer.from(text.replace(/\n$/, '')))
  if (line.kind !== 'consistency') throw malformed('it is no consistency proof')
  return line.proof
}

function readCanonical(text: string): JsonObject {
  let value: JsonValue
  let canonical
  try {
    value = JSON.parse(text) as JsonValue
    canonical = canonicalize(value)
  } catch (error) {
    throw malformed('it is not JSON, or nested too deeply', error)
  }
  if (canonical !== text || !isObject(value)) throw malformed('it is no object in the canonical form of RFC 8785')
  return value
}

function decodeBase64(value: JsonValue | undefined): Buffer | undefined {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : undefined
  return bytes?.toString('base64') === value ? bytes : undefined
}

function isSize(value: JsonValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function malformed(message: string, cause?: unknown): VerifyError {
  return new VerifyError('LINE_MALFORMED', message, { cause })
}
