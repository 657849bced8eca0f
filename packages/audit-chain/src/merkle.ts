/**
 * Checking proofs, as in RFC 9162 §2.1.3.2 (inclusion) and §2.1.4.2 (consistency); the tree is that of RFC 6962 §2.1.
 *
 * The adversary is whoever hands over the proof: the log's own operator. Lengths and sizes are checked before use, a tree
 * of size 0 proves nothing, and what is left over in a proof makes it worthless.
 */
import { equalBytes, HASH_BYTES, nodeHash } from './hash.ts'
import type { Finding } from './finding.ts'

export type InclusionClaim = {
  /** Position of the leaf, from 0. */
  readonly index: number
  /** Leaves in the tree. */
  readonly size: number
  /** SHA-256(0x00 || leaf). */
  readonly leafHash: Uint8Array
  readonly rootHash: Uint8Array
  /** From the leaf's sibling up. */
  readonly proof: readonly Uint8Array[]
}

export type ConsistencyClaim = {
  readonly oldSize: number
  readonly oldRootHash: Uint8Array
  readonly size: number
  readonly rootHash: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/** Is this leaf at this position of the tree with this root? An empty list: yes. */
export function verifyInclusion({ index, size, leafHash, rootHash, proof }: InclusionClaim): Finding[] {
  const fail = (message: string): Finding[] => [{ code: 'INCLUSION_UNPROVEN', seq: index, message }]
  if (!isSize(index) || !isSize(size) || index >= size) return fail(`there is no leaf ${index} in a tree of ${size}`)
  if (![leafHash, rootHash, ...proof].every(isHash)) return fail('a hash has 32 bytes')
  let hash = leafHash
  let fn = index
  let sn = size - 1
  for (const sibling of proof) {
    if (sn === 0) return fail('the proof is too long')
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(sibling, hash)
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)]
    } else {
      hash = nodeHash(hash, sibling)
    }
    ;[fn, sn] = [half(fn), half(sn)]
  }
  if (sn !== 0) return fail('the proof is too short')
  return equalBytes(hash, rootHash) ? [] : fail(`the proof leads to another root than that of the tree of ${size}`)
}

/** Is the old tree a prefix of the new one? An empty list: yes. */
export function verifyConsistency({ oldSize, oldRootHash, size, rootHash, proof }: ConsistencyClaim): Finding[] {
  const fail = (message: string): Finding[] => [{ code: 'CONSISTENCY_UNPROVEN', message }]
  if (!isSize(oldSize) || !isSize(size) || oldSize === 0 || oldSize > size) {
    return fail(`no proof leads from a tree of ${oldSize} to one of ${size}`)
  }
  if (oldSize === size) {
    if (proof.length > 0) return fail('the proof is too long')
    return equalBytes(oldRootHash, rootHash) ? [] : fail(`two roots for one tree of ${size}`)
  }
  if (![oldRootHash, rootHash, ...proof].every(isHash)) return fail('a hash has 32 bytes')
  const path = isPowerOfTwo(oldSize) ? [oldRootHash, ...proof] : proof
  const [first, ...rest] = path
  if (first === undefined) return fail('the proof is too short')
  let fn = oldSize - 1
  let sn = size - 1
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)]
  let old = first
  let now = first
  for (const sibling of rest) {
    if (sn === 0) return fail('the proof is too long')
    if (fn % 2 === 1 || fn === sn) {
      old = nodeHash(sibling, old)
      now = nodeHash(sibling, now)
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)]
    } else {
      now = nodeHash(now, sibling)
    }
    ;[fn, sn] = [half(fn), half(sn)]
  }
  if (sn !== 0) return fail('the proof is too short')
  if (!equalBytes(old, oldRootHash)) return fail(`the proof does not start from the tree of ${oldSize}`)
  return equalBytes(now, rootHash) ? [] : fail(`the proof does not lead to the tree of ${size}`)
}

function isHash(bytes: Uint8Array): boolean {
  return bytes.length === HASH_BYTES
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function half(value: number): number {
  return Math.floor(value / 2)
}

function isPowerOfTwo(value: number): boolean {
  let rest = value
  while (rest % 2 === 0) rest /= 2
  return rest === 1
}
