/**
 * The three hashes of a log, all SHA-256: RFC 6962 §2.1 (empty, leaf, node), where the first byte keeps leaves and
 * nodes apart, and the value that stands before the first entry.
 *
 * `hash(…, 'binary')` and back is twice as fast as `hash(…, 'buffer')` for short inputs (node 24.21: 240 ns against
 * 640 ns for a node), because no external array buffer is made.
 */
import { hash } from 'node:crypto'
import { createScratch } from './scratch.ts'

/** Every hash here has this many bytes. */
export const HASH_BYTES = 32

/** tlog-tiles prefixes entries with a uint16, so none is longer. */
export const MAX_LEAF_BYTES = 65_535

const leafInput = createScratch(1 + MAX_LEAF_BYTES, 0)
const nodeInput = Buffer.alloc(1 + 2 * HASH_BYTES, 1)

/** MTH({}) of RFC 6962 §2.1: the root of a tree without leaves. */
export const EMPTY_ROOT: Uint8Array = sha256('')

/** SHA-256(0x00 || leaf). */
export function leafHash(leaf: Uint8Array): Buffer {
  if (leaf.length > MAX_LEAF_BYTES) return sha256(Buffer.concat([Buffer.of(0), leaf]))
  leafInput.bytes.set(leaf, 1)
  return sha256(leafInput.upTo(leaf.length + 1))
}

/** The bytes of a leaf's text, and their `leafHash` in hex: written once, behind the byte that the hash begins with. */
export function writeLeaf(text: string): { readonly leaf: Buffer; readonly hex: string } {
  // At most three bytes for each UTF-16 code unit; a draft has checked that it is no longer.
  const sizeBytes = leafInput.bytes.write(text, 1)
  if (text.length * 3 > MAX_LEAF_BYTES && Buffer.byteLength(text) !== sizeBytes) {
    const leaf = Buffer.from(text)
    return { leaf, hex: leafHash(leaf).toString('hex') }
  }
  const leaf = Buffer.allocUnsafe(sizeBytes)
  leafInput.bytes.copy(leaf, 0, 1, 1 + sizeBytes)
  return { leaf, hex: hash('sha256', leafInput.upTo(1 + sizeBytes), 'hex') }
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeInput.set(left, 1)
  nodeInput.set(right, 1 + HASH_BYTES)
  return sha256(nodeInput)
}

/** The `prev` of entry 0. It names the log, so that the first entries of two logs cannot be exchanged. */
export function genesisHash(origin: string): Buffer {
  return sha256(`mcp-audit/v1\n${origin}\n`)
}

export function sha256(data: string | Uint8Array): Buffer {
  return Buffer.from(hash('sha256', data, 'binary'), 'binary')
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}
