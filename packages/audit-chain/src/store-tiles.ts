/**
 * Tiles out of a store. The hashes of entries are not stored beside them but made from their bytes when asked for (256 take
 * a fifth of a millisecond), so there is nothing that could disagree with them; the levels above are.
 */
import { AuditError } from './errors.ts'
import { leafHash } from './hash.ts'
import { TILE_WIDTH, type ReadTile } from './prove.ts'
import type { AuditStore } from './store.ts'

/** @throws AuditError AUDIT_STORE_CORRUPT when rows are missing */
export function readTileFrom(store: AuditStore, origin: string): ReadTile {
  return async (level, index, width) => {
    const from = index * TILE_WIDTH
    const rows =
      level === 0
        ? await store.entries(origin, from, from + width)
        : await store.nodes(origin, level, from, from + width)
    if (rows.length !== width) {
      throw new AuditError(
        'AUDIT_STORE_CORRUPT',
        `${origin} lacks hashes of tile ${level}/${index}: ${rows.length} of ${width}`,
      )
    }
    return rows.map((row) => ('leaf' in row ? leafHash(row.leaf) : row.hash))
  }
}
