/**
 * Making proofs (RFC 6962 §2.1.1 and §2.1.2) from tiles: whole rows of 256 hashes, one row per 8 levels, as tlog-tiles
 * lays them out. Where the tiles come from (a store, a folder, HTTP) is the reader's business; a proof needs at most a
 * few of them, whatever the size of the log.
 */
import { AuditError } from './errors.ts'
import { EMPTY_ROOT, nodeHash } from './hash.ts'

/** Hashes in a full tile, and tree levels that it covers (2^8). */
export const TILE_WIDTH = 256
const TILE_HEIGHT = 8

/**
 * The first `width` hashes of tile `index` at tile level `level`: MTH(D[(index·256+i)·256^level : (index·256+i+1)·256^level])
 * for i from 0. Asked only for what exists in the tree that a proof is for.
 */
export type ReadTile = (level: number, index: number, width: number) => Promise<readonly Uint8Array[]>

/** The root of the first `size` leaves. */
export async function rootAt(readTile: ReadTile, size: number): Promise<Uint8Array> {
  checkSize(size)
  return await createSubtrees(readTile, size).hash(0, size)
}

/** From the sibling of leaf `index` up to the child of the root. @throws AuditError AUDIT_NOT_FOUND when index ≥ size */
export async function proveInclusion(readTile: ReadTile, index: number, size: number): Promise<Uint8Array[]> {
  checkSize(size)
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new AuditError('AUDIT_NOT_FOUND', `there is no leaf ${index} in a tree of ${size}`)
  }
  const subtrees = createSubtrees(readTile, size)
  const proof: Uint8Array[] = []
  let [from, to] = [0, size]
  while (to - from > 1) {
    const middle = from + splitOf(to - from)
    if (index < middle) {
      proof.unshift(await subtrees.hash(middle, to))
      to = middle
    } else {
      proof.unshift(await subtrees.hash(from, middle))
      from = middle
    }
  }
  return proof
}

/** That the first `oldSize` of `size` leaves are the old tree. Empty when the sizes are equal or the old one is 0. */
export async function proveConsistency(readTile: ReadTile, oldSize: number, size: number): Promise<Uint8Array[]> {
  checkSize(size)
  if (!Number.isSafeInteger(oldSize) || oldSize < 0 || oldSize > size) {
    throw new AuditError('AUDIT_NOT_FOUND', `a tree of ${size} has no prefix of ${oldSize}`)
  }
  if (oldSize === 0 || oldSize === size) return []
  const subtrees = createSubtrees(readTile, size)
  const proof: Uint8Array[] = []
  let [from, to] = [0, size]
  // SUBPROOF of RFC 6962 §2.1.2; the old tree's own root is left out when it is a whole subtree of the new one.
  while (oldSize !== to) {
    const middle = from + splitOf(to - from)
    if (oldSize <= middle) {
      proof.unshift(await subtrees.hash(middle, to))
      to = middle
    } else {
      proof.unshift(await subtrees.hash(from, middle))
      from = middle
    }
  }
  if (from > 0) proof.unshift(await subtrees.hash(from, to))
  return proof
}

/** Hashes of [from, to) where `from` is a multiple of the largest power of two below the width; tiles are read once. */
function createSubtrees(readTile: ReadTile, size: number): { hash(from: number, to: number): Promise<Uint8Array> } {
  const tiles = new Map<string, Promise<readonly Uint8Array[]>>()

  const tile = async (level: number, index: number): Promise<readonly Uint8Array[]> => {
    const key = `${level}/${index}`
    const width = Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH)
    const known = tiles.get(key) ?? readTile(level, index, width)
    tiles.set(key, known)
    const hashes = await known
    if (hashes.length !== width) {
      throw new AuditError('AUDIT_STORE_CORRUPT', `tile ${key} has ${hashes.length} of ${width} hashes`)
    }
    return hashes
  }

  /** A perfect subtree of 2^height leaves. */
  const perfect = async (height: number, index: number): Promise<Uint8Array> => {
    const level = Math.floor(height / TILE_HEIGHT)
    const width = 2 ** (height % TILE_HEIGHT)
    const from = index * width
    const hashes = await tile(level, Math.floor(from / TILE_WIDTH))
    let row = hashes.slice(from % TILE_WIDTH, (from % TILE_WIDTH) + width)
    while (row.length > 1) row = pairUp(row)
    return row[0] as Uint8Array
  }

  const hash = async (from: number, to: number): Promise<Uint8Array> => {
    if (from === to) return EMPTY_ROOT
    const width = to - from
    if (width === 1) return await perfect(0, from)
    const split = splitOf(width)
    if (split * 2 === width) return await perfect(Math.log2(width), from / width)
    return nodeHash(await hash(from, from + split), await hash(from + split, to))
  }
  return { hash }
}

function pairUp(row: readonly Uint8Array[]): Uint8Array[] {
  return Array.from({ length: row.length / 2 }, (_, i) =>
    nodeHash(row[2 * i] as Uint8Array, row[2 * i + 1] as Uint8Array),
  )
}

/** The largest power of two below `width`, the k of RFC 6962 §2.1. */
function splitOf(width: number): number {
  let split = 1
  while (split * 2 < width) split *= 2
  return split
}

function checkSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`${size} is not the size of a tree`)
}
