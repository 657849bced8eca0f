/** As much of DER (X.690) as timestamps need: definite lengths, one-byte tags. What is read comes from strangers. */
import { AuditError } from '../errors.ts'

export type DerValue = { readonly tag: number; readonly content: Buffer }

export const DER = {
  boolean: 0x01,
  integer: 0x02,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
  generalizedTime: 0x18,
  explicit0: 0xa0,
} as const

export function encodeDer(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.of(tag), encodeLength(content.length), content])
}

/** A number that is not negative, from its big-endian bytes. */
export function encodeInteger(bytes: Uint8Array): Buffer {
  const start = Math.min(bytes.findIndex((byte) => byte !== 0) >>> 0, bytes.length - 1)
  const digits = bytes.subarray(start)
  return encodeDer(DER.integer, ((digits[0] as number) & 0x80) === 0 ? digits : Buffer.concat([Buffer.of(0), digits]))
}

/** The values that stand one after the other. @throws AuditError AUDIT_PROOF_MALFORMED */
export function readDer(bytes: Buffer): DerValue[] {
  const values: DerValue[] = []
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] as number
    const first = bytes[at + 1]
    if (first === undefined || (tag & 0x1f) === 0x1f) throw malformed()
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f
    const from = at + 2 + lengthBytes
    if (first === 0x80 || lengthBytes > 4 || from > bytes.length) throw malformed()
    const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes)
    if (from + length > bytes.length) throw malformed()
    values.push({ tag, content: bytes.subarray(from, from + length) })
    at = from + length
  }
  return values
}

/** The values inside of one that has this tag. @throws AuditError AUDIT_PROOF_MALFORMED */
export function within(value: DerValue | undefined, tag: number): DerValue[] {
  return readDer(contentOf(value, tag))
}

export function contentOf(value: DerValue | undefined, tag: number): Buffer {
  if (value?.tag !== tag) throw malformed()
  return value.content
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length)
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  const digits = bytes.subarray(bytes.findIndex((byte) => byte !== 0))
  return Buffer.concat([Buffer.of(0x80 | digits.length), digits])
}

function malformed(): AuditError {
  return new AuditError('AUDIT_PROOF_MALFORMED', 'not a timestamp response: the DER is broken')
}
