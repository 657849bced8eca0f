/** Stored tree nodes against those that the entries give. */
import type { FindingList } from './finding.ts'
import { equalBytes } from './hash.ts'
import { TILE_WIDTH } from './prove.ts'
import type { AuditStore, TileNode } from './store.ts'

const TILE_HEIGHT = 8

export type NodeAudit = {
  /** Collects; called while entries are read. */
  readonly expect: (height: number, index: number, hash: Uint8Array) => void
  /** Looks up what was collected: a handful for each piece of the log. */
  compare(): Promise<void>
  /** Whether there are nodes of entries that are not there. */
  finish(size: number): Promise<void>
}

export function createNodeAudit(store: AuditStore, origin: string, findings: FindingList): NodeAudit {
  let expected: TileNode[] = []
  const found = (level: number, index: number, what: string): void => {
    const from = index * TILE_WIDTH ** level
    const message = `the stored hash of entries ${from} to ${from + TILE_WIDTH ** level - 1} ${what}`
    findings.add({ code: 'NODE_CHANGED', origin, seq: from, message })
  }
  return {
    expect(height, index, hash) {
      if (height % TILE_HEIGHT === 0) expected.push({ level: height / TILE_HEIGHT, index, hash })
    },
    async compare() {
      for (const { level, index, hash } of expected) {
        const [stored] = await store.nodes(origin, level, index, index + 1)
        if (stored === undefined) found(level, index, 'is missing')
        else if (!equalBytes(stored.hash, hash)) found(level, index, 'is another than they have')
      }
      expected = []
    },
    async finish(size) {
      for (let level = 1; level < TILE_HEIGHT; level += 1) {
        const end = Math.floor(size / TILE_WIDTH ** level)
        const [beyond] = await store.nodes(origin, level, end, Number.MAX_SAFE_INTEGER)
        // A log that is being written to may have got further meanwhile.
        const grown = Math.floor(((await store.head(origin))?.size ?? size) / TILE_WIDTH ** level)
        if (beyond !== undefined && beyond.index >= grown)
          found(level, beyond.index, 'stands for entries that are not there')
      }
    },
  }
}
