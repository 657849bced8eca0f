/**
 * The erasable fields of one entry in one value, for stores: for each field a length and its name, its 32-byte key, a
 * length and its value. Reading is strict, since an administrator's hand is among the things it meets.
 */
import type { Disclosure } from './commitment.ts'
import { AuditError } from './errors.ts'
import { HASH_BYTES } from './hash.ts'

const VALUE_LENGTH_BYTES = 4

export function packFields(fields: readonly Disclosure[]): Buffer {
  let size = 0
  for (const { name, value } of fields) size += 1 + name.length + HASH_BYTES + VALUE_LENGTH_BYTES + value.length
  const packed = Buffer.allocUnsafe(size)
  let at = 0
  for (const { name, value, key } of fields) {
    at = packed.writeUInt8(name.length, at)
    at += packed.write(name, at, 'latin1')
    packed.set(key, at)
    at = packed.writeUInt32BE(value.length, at + HASH_BYTES)
    packed.set(value, at)
    at += value.length
  }
  return packed
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
