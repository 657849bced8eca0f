import { nodeHash, type ReadTile } from '@mcp-gateway/audit-chain/verify'

/** The tiles of a tree that is in memory. */
export function tilesOf(leafHashes: readonly Uint8Array[]): ReadTile {
  const levels: (readonly Uint8Array[])[] = [leafHashes]
  for (let row = leafHashes; row.length >= 256;) {
    const above: Uint8Array[] = []
    for (let i = 0; i + 256 <= row.length; i += 256) above.push(fold(row.slice(i, i + 256)))
    levels.push(above)
    row = above
  }
  return async (level, index, width) => (levels[level] ?? []).slice(index * 256, index * 256 + width)
}

function fold(row: readonly Uint8Array[]): Uint8Array {
  if (row.length === 1) return row[0] as Uint8Array
  const half = row.length / 2
  return nodeHash(fold(row.slice(0, half)), fold(row.slice(half)))
}
