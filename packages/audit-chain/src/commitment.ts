/**
 * Commitments: what may have to be erased later does not enter the chain, only HMAC-SHA256(key, value) with a random
 * 32-byte key of its own does. Whoever has value and key can show that this is what was logged. Once both are deleted,
 * the commitment tells nothing, not even to somebody who guesses the value (a bare hash would), and the chain still holds.
 *
 * One key per field rather than per entry, so that a field can be erased, or shown, without the others.
 */
import { createHmac, hash } from 'node:crypto'
import { AuditError } from './errors.ts'
import { equalBytes, HASH_BYTES } from './hash.ts'
import type { Finding } from './finding.ts'
import { readEntry } from './entry.ts'
import { createScratch } from './scratch.ts'

/** A field of an entry, with what is needed to check it against the entry. */
export type Disclosure = {
  readonly name: string
  readonly value: Uint8Array
  /** 32 bytes. */
  readonly key: Uint8Array
}

const BLOCK_BYTES = 64
const SCRATCH_BYTES = 65_536
// Keys are half a block long: the second half of both pads never changes.
const inner = createScratch(BLOCK_BYTES + SCRATCH_BYTES, 0x36)
const outer = Buffer.alloc(BLOCK_BYTES + HASH_BYTES, 0x5c)

/**
 * HMAC-SHA256 (RFC 2104) in lower-case hex. By hand for usual sizes, because `createHmac` costs 8.6 µs on node 24.21 and
 * two one-shot hashes 0.5 µs, several times for each call that is logged.
 */
export function commitTo(key: Uint8Array, value: Uint8Array): string {
  if (key.length !== HASH_BYTES) throw new RangeError(`a field key has ${HASH_BYTES} bytes`)
  return commitWithin(Buffer.concat([key, value]), 0, HASH_BYTES, HASH_BYTES + value.length)
}

/** The same for a key and a value [from, to) that are in one buffer: a view of each would cost more than their blocks. */
export function commitWithin(bytes: Buffer, keyAt: number, from: number, to: number): string {
  if (to - from > SCRATCH_BYTES) {
    return createHmac('sha256', bytes.subarray(keyAt, keyAt + HASH_BYTES))
      .update(bytes.subarray(from, to))
      .digest('hex')
  }
  for (let i = 0; i < HASH_BYTES; i += 1) {
    const byte = bytes[keyAt + i] as number
    inner.bytes[i] = 0x36 ^ byte
    outer[i] = 0x5c ^ byte
  }
  bytes.copy(inner.bytes, BLOCK_BYTES, from, to)
  outer.write(hash('sha256', inner.upTo(BLOCK_BYTES + to - from), 'binary'), BLOCK_BYTES, 'binary')
  return hash('sha256', outer, 'hex')
}

/** Do value and key open the commitment of that name in the entry? `leaf` has the entry's exact bytes. */
export function verifyDisclosure(leaf: Uint8Array, { name, value, key }: Disclosure): Finding[] {
  const fail = (message: string): Finding[] => [{ code: 'DISCLOSURE_UNPROVEN', message }]
  let entry
  try {
    entry = readEntry(leaf)
  } catch (error) {
    if (!(error instanceof AuditError)) throw error
    return fail(error.message)
  }
  const commitment = Object.hasOwn(entry.commit ?? {}, name) ? entry.commit?.[name] : undefined
  if (commitment === undefined) return fail(`entry ${entry.seq} has no commitment to a field "${name}"`)
  if (key.length !== HASH_BYTES) return fail(`a field key has ${HASH_BYTES} bytes`)
  return equalBytes(Buffer.from(commitTo(key, value)), Buffer.from(commitment))
    ? []
    : fail(`this is not the "${name}" that entry ${entry.seq} committed to`)
}
