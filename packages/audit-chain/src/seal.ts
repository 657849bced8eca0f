/** Giving drafts their place: position, previous hash, time, leaf hash, tree. Pure, and run while the head is locked. */
import { HASH_BYTES, writeLeaf } from './hash.ts'
import { createRange } from './range.ts'
import type { Head, Sealed, SealedEntry, TileNode } from './store.ts'
import type { WrittenDraft } from './write-draft.ts'

const TILE_HEIGHT = 8

/**
 * Time never goes back in a log: when the clock does, entries get the time of the one before them and say so. `now` is
 * read once for the batch, under the lock, so that processes sharing a log do not disagree by their queues.
 */
export function seal(head: Head, drafts: readonly WrittenDraft[], now: number): Sealed {
  const range = createRange(head.size, splitNodes(head.nodes))
  const entries: SealedEntry[] = []
  const nodes: TileNode[] = []
  const isHeld = now < head.lastAt
  const at = isHeld ? head.lastAt : now
  const ts = new Date(at).toISOString()
  // Only the first of a batch can find the clock behind it: the others share its reading.
  const clk = isHeld ? '{"clk":"held"' : '{"clk":"ok"'
  let { lastHash } = head
  let prev = Buffer.from(lastHash).toString('hex')
  for (const { id, beforePrev, afterTime, subject, fields, attachment } of drafts) {
    const seq = range.size()
    const { leaf, hex } = writeLeaf(`${clk}${beforePrev}${prev}","seq":${seq},"ts":"${ts}${afterTime}`)
    const hash = Buffer.from(hex, 'hex')
    range.append(hash, (height, index, node) => {
      if (height % TILE_HEIGHT === 0) nodes.push({ level: height / TILE_HEIGHT, index, hash: node })
    })
    entries.push({ seq, id, leaf, leafHash: hash, at, subject, fields, attachment })
    lastHash = hash
    prev = hex
  }
  const erasures = drafts.flatMap((draft) => draft.erasures)
  const newHead: Head = { size: range.size(), lastHash, lastAt: at, nodes: Buffer.concat(range.nodes()) }
  return { entries, nodes, erasures, head: newHead }
}

function splitNodes(nodes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(nodes.length / HASH_BYTES) }, (_, i) =>
    nodes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  )
}
