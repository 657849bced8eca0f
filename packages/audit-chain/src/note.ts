/**
 * Signed notes (C2SP signed-note): a text, an empty line, and signature lines `— <name> base64(key id || signature)`.
 *
 * The adversary wrote the note. Its text means nothing until a key that the reader brought along has verified.
 */
import { verify } from 'node:crypto'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { AuditError } from './errors.ts'
import type { Finding } from './finding.ts'
import { isKeyName, type VerifierKey } from './verifier-key.ts'

/** A note with more signatures, or more bytes, is not read. */
const MAX_NOTE_SIGNATURES = 64
export const MAX_NOTE_BYTES = 65_536

export type NoteSignature = {
  readonly name: string
  /** 8 hex digits. */
  readonly keyId: string
  /** What follows the key id: for a log 64 bytes, for a witness a timestamp and 64 bytes. */
  readonly bytes: Uint8Array
}

export type Note = {
  /** With its last newline: exactly what is signed. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

export type VerifiedSignature = {
  readonly key: VerifierKey
  /** When a witness said it, epoch milliseconds; a log's own signature has no time. */
  readonly at?: number
}

/** @throws AuditError AUDIT_NOTE_MALFORMED */
export function parseNote(note: string): Note {
  if (Buffer.byteLength(note) > MAX_NOTE_BYTES) throw malformed(`more than ${MAX_NOTE_BYTES} bytes`)
  // oxlint-disable-next-line no-control-regex -- signed-note forbids them
  if (!note.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(note)) throw malformed('it has control characters')
  const separator = note.lastIndexOf('\n\n')
  if (separator === -1 || !note.endsWith('\n')) throw malformed('no empty line stands before the signatures')
  const lines = note
    .slice(separator + 2)
    .split('\n')
    .slice(0, -1)
  if (lines.length === 0) throw malformed('it is not signed')
  if (lines.length > MAX_NOTE_SIGNATURES) throw malformed(`more than ${MAX_NOTE_SIGNATURES} signatures`)
  return { text: note.slice(0, separator + 1), signatures: lines.map(parseSignature) }
}

/** @throws AuditError AUDIT_NOTE_MALFORMED */
export function parseSignature(line: string): NoteSignature {
  const [, name, encoded] = /^\u2014 (\S+) (\S+)$/.exec(line) ?? []
  const bytes = encoded === undefined ? undefined : decodeBase64(encoded)
  if (name === undefined || !isKeyName(name) || bytes === undefined || bytes.length < 5) {
    throw malformed('a signature line is "— <name> <base64>"')
  }
  return { name, keyId: bytes.toString('hex', 0, 4), bytes: bytes.subarray(4) }
}

export function formatSignature({ name, keyId, bytes }: NoteSignature): string {
  return `\u2014 ${name} ${encodeBase64(Buffer.concat([Buffer.from(keyId, 'hex'), bytes]))}\n`
}

/** Signatures by other keys are ignored, as the specification demands; one that fails under its own key is a finding. */
export function verifySignatures(
  { text, signatures }: Note,
  keys: readonly VerifierKey[],
): { verified: VerifiedSignature[]; findings: Finding[] } {
  const verified: VerifiedSignature[] = []
  const findings: Finding[] = []
  for (const signature of signatures) {
    const key = keys.find(({ name, id }) => name === signature.name && id === signature.keyId)
    if (key === undefined) continue
    const result = key.role === 'log' ? verifyLog(text, signature, key) : verifyWitness(text, signature, key)
    if (result !== undefined) verified.push(result)
    else
      findings.push({
        code: 'SIGNATURE_INVALID',
        message: `the signature of ${key.name} (${key.id}) is not by its key`,
      })
  }
  return { verified, findings }
}

function verifyLog(text: string, { bytes }: NoteSignature, key: VerifierKey): VerifiedSignature | undefined {
  return verify(null, Buffer.from(text), key.publicKey, bytes) ? { key } : undefined
}

const TIMESTAMP_BYTES = 8

/** C2SP tlog-cosignature v1: the time is signed with the text, and stands before the signature as a big-endian u64. */
function verifyWitness(text: string, { bytes }: NoteSignature, key: VerifierKey): VerifiedSignature | undefined {
  if (bytes.length <= TIMESTAMP_BYTES) return undefined
  const seconds = Buffer.from(bytes).readBigUInt64BE(0)
  if (seconds > BigInt(Number.MAX_SAFE_INTEGER) / 1000n) return undefined
  const message = Buffer.from(cosignedText(text, seconds))
  const isValid = verify(null, message, key.publicKey, bytes.subarray(TIMESTAMP_BYTES))
  return isValid ? { key, at: Number(seconds) * 1000 } : undefined
}

/** What a witness signs at a time in epoch seconds. */
export function cosignedText(text: string, seconds: bigint): string {
  return `cosignature/v1\ntime ${seconds}\n${text}`
}

function malformed(message: string): AuditError {
  return new AuditError('AUDIT_NOTE_MALFORMED', `not a signed note: ${message}`)
}
