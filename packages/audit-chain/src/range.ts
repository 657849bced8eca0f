/**
 * A compact range [0, size): the roots of the perfect subtrees that the leaves so far fall into, largest first. All it
 * takes to append and to know the root, at 32 bytes per set bit of the size.
 */
import { AuditError } from './errors.ts'
import { EMPTY_ROOT, HASH_BYTES, nodeHash } from './hash.ts'

export type CompactRange = {
  readonly size: () => number
  readonly nodes: () => readonly Uint8Array[]
  /** `onNode` hears of every perfect subtree that this leaf completes, the leaf itself (level 0) excepted. */
  append(leafHash: Uint8Array, onNode?: (level: number, index: number, hash: Uint8Array) => void): void
  root(): Uint8Array
}

/** @throws AuditError AUDIT_STORE_CORRUPT when so many nodes cannot belong to that size */
export function createRange(size = 0, initial: readonly Uint8Array[] = []): CompactRange {
  const nodes = [...initial]
  if (nodes.length !== countBits(size) || nodes.some((node) => node.length !== HASH_BYTES)) {
    throw new AuditError('AUDIT_STORE_CORRUPT', `a tree of ${size} leaves has ${countBits(size)} nodes of 32 bytes`)
  }
  return {
    size: () => size,
    nodes: () => nodes,
    append(leafHash, onNode) {
      let hash = leafHash
      let level = 0
      let index = size
      // A set bit of the size is a subtree that waits for its right sibling. Not bit operators: those end at 2^32.
      while (index % 2 === 1) {
        hash = nodeHash(nodes.pop() as Uint8Array, hash)
        level += 1
        index = (index - 1) / 2
        onNode?.(level, index, hash)
      }
      nodes.push(hash)
      size += 1
    },
    root: () =>
      nodes.reduceRight<Uint8Array | undefined>((right, left) => (right ? nodeHash(left, right) : left), undefined) ??
      EMPTY_ROOT,
  }
}

/** How many nodes a compact range of `size` leaves has. */
function countBits(size: number): number {
  let count = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}
