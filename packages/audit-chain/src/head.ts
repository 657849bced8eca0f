/** The head of a log that has no entries yet. */
import { genesisHash } from './hash.ts'
import type { Head } from './store.ts'

export function emptyHead(origin: string): Head {
  return { size: 0, lastHash: genesisHash(origin), lastAt: 0, nodes: new Uint8Array(0) }
}
