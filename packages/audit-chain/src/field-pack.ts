/**
 * The erasable fields of one entry in one value, for stores: for each field a length and its name, its 32-byte key, a
 * length and its value. Reading is strict, since an administrator's hand is among the things it meets.
 */
import type { Disclosure } from './commitment.ts'
import { AuditError } from './errors.ts'
import { HASH_BYTES } from './hash.ts'

const VALUE_LENGTH_BYTES = 4

function packFields(fields: readonly Disclosure[]): Buffer {
  const sized = fields.map((field) => ({ ...field, sizeBytes: field.value.length }))
  const packed = Buffer.allocUnsafe(packedSize(sized))
  let at = 0
  for (const { name, value, key } of fields) {
    at = startField(packed, at, name, value.length)
    packed.set(key, at - KEY_BEFORE_VALUE)
    packed.set(value, at)
    at += value.length
  }
  return packed
}

export function packedSize(fields: readonly { readonly name: string; readonly sizeBytes: number }[]): number {
  let size = 0
  for (const { name, sizeBytes } of fields) size += 1 + name.length + HASH_BYTES + VALUE_LENGTH_BYTES + sizeBytes
  return size
}

/** How far before a field's value its key is. */
export const KEY_BEFORE_VALUE: number = HASH_BYTES + VALUE_LENGTH_BYTES

/** Writes what stands before a field's value, but for its key. @returns where the value goes */
export function startField(packed: Buffer, at: number, name: string, sizeBytes: number): number {
  packed[at] = name.length
  const keyAt = at + 1 + name.length
  // Names are ASCII; for a dozen letters a loop is faster than a call into C++.
  for (let i = 0; i < name.length; i += 1) packed[at + 1 + i] = name.charCodeAt(i)
  return packed.writeUInt32BE(sizeBytes, keyAt + HASH_BYTES)
}

/** Where in `packed` each field's key and value are. For what we packed ourselves: `unpackFields` checks. */
export function forEachField(
  packed: Buffer,
  visit: (name: string, keyAt: number, from: number, to: number) => void,
): void {
  for (let at = 0; at < packed.length;) {
    const keyAt = at + 1 + (packed[at] as number)
    const from = keyAt + KEY_BEFORE_VALUE
    const to = from + packed.readUInt32BE(keyAt + HASH_BYTES)
    visit(packed.toString('latin1', at + 1, keyAt), keyAt, from, to)
    at = to
  }
}

/** @throws AuditError AUDIT_STORE_CORRUPT */
export function unpackFields(bytes: Uint8Array): Disclosure[] {
  const packed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const fields: Disclosure[] = []
  let at = 0
  const take = (length: number): Buffer => {
    if (at + length > packed.length) throw new AuditError('AUDIT_STORE_CORRUPT', 'stored fields end too early')
    at += length
    return packed.subarray(at - length, at)
  }
  while (at < packed.length) {
    const name = take(take(1).readUInt8()).toString('latin1')
    const key = take(HASH_BYTES)
    const value = take(take(VALUE_LENGTH_BYTES).readUInt32BE())
    fields.push({ name, key, value })
  }
  return fields
}

/** What is left without the named fields; `undefined` when that is nothing. */
export function dropFields(packed: Uint8Array, names: readonly string[]): Buffer | undefined {
  const rest = unpackFields(packed).filter(({ name }) => !names.includes(name))
  return rest.length === 0 ? undefined : packFields(rest)
}
