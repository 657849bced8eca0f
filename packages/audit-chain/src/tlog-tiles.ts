/**
 * The read paths of C2SP tlog-tiles: `checkpoint`, `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`. A function from path
 * to bytes, for any HTTP server: everything under the log's prefix, without the leading slash.
 *
 * What it serves has no personal data in it: entries carry commitments only. Whether a log is public is still the caller's
 * decision, because facts and rates tell something too.
 */
import type { AuditLog } from './log.ts'
import { TILE_WIDTH } from './prove.ts'
import { AuditError } from './errors.ts'
import type { AuditStore } from './store.ts'

export type TilePath =
  | { readonly kind: 'checkpoint' }
  /** `width` is 256 for a full tile. */
  | { readonly kind: 'tile'; readonly level: number; readonly index: number; readonly width: number }
  | { readonly kind: 'entries'; readonly index: number; readonly width: number }

export type TileReply = {
  readonly body: Uint8Array
  readonly contentType: 'text/plain; charset=utf-8' | 'application/octet-stream'
  /** Value for `Cache-Control`. */
  readonly cacheControl: string
}

const MAX_LEVEL = 63
const IMMUTABLE = 'public, max-age=31536000, immutable'
const PATH = /^tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/){0,4}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/

/** `undefined` for what is no such path, other spellings of one included. */
export function parseTilePath(path: string): TilePath | undefined {
  if (path === 'checkpoint') return { kind: 'checkpoint' }
  const [, kind, elements, partial] = PATH.exec(path) ?? []
  if (kind === undefined || elements === undefined) return undefined
  const index = Number(elements.replaceAll(/[x/]/g, ''))
  const width = partial === undefined ? TILE_WIDTH : Number(partial)
  const level = kind === 'entries' ? 0 : Number(kind)
  if (formatIndex(index) !== elements || level > MAX_LEVEL || (partial !== undefined && width >= TILE_WIDTH))
    return undefined
  return kind === 'entries' ? { kind, index, width } : { kind: 'tile', level, index, width }
}

/** The path under the log's prefix. */
export function formatTilePath(path: TilePath): string {
  if (path.kind === 'checkpoint') return 'checkpoint'
  const level = path.kind === 'entries' ? 'entries' : path.level
  const partial = path.width === TILE_WIDTH ? '' : `.p/${path.width}`
  return `tile/${level}/${formatIndex(path.index)}${partial}`
}

/** 1234067 is `x001/x234/067`. */
function formatIndex(index: number): string {
  const groups = []
  for (let rest = index; rest > 0 || groups.length === 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(String(rest % 1000).padStart(3, '0'))
  }
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/')
}

export type TileServer = (path: string) => Promise<TileReply | undefined>

/**
 * `undefined` is a 404. Tiles are served as far as the last signed checkpoint goes: what is not signed for could still be
 * taken back. @throws AuditError from the store, and AUDIT_STORE_CORRUPT when rows are missing
 */
export function createTileServer({
  log,
  store,
}: {
  readonly log: Pick<AuditLog, 'origin' | 'readTile'>
  readonly store: AuditStore
}): TileServer {
  return async (path) => {
    const wanted = parseTilePath(path)
    const last = wanted && (await store.lastCheckpoint(log.origin))
    if (wanted === undefined || last === undefined) return undefined
    if (wanted.kind === 'checkpoint') {
      return { body: Buffer.from(last.note), contentType: 'text/plain; charset=utf-8', cacheControl: 'no-cache' }
    }
    const { index, width } = wanted
    const level = wanted.kind === 'tile' ? wanted.level : 0
    if ((index * TILE_WIDTH + width) * TILE_WIDTH ** level > last.size) return undefined
    const body =
      wanted.kind === 'tile'
        ? Buffer.concat(await log.readTile(level, index, width))
        : await bundle(store, log, index, width)
    return { body, contentType: 'application/octet-stream', cacheControl: IMMUTABLE }
  }
}

/** Each entry after its length as a big-endian uint16. */
async function bundle(
  store: AuditStore,
  { origin }: { origin: string },
  index: number,
  width: number,
): Promise<Uint8Array> {
  const rows = await store.entries(origin, index * TILE_WIDTH, index * TILE_WIDTH + width)
  if (rows.length !== width) throw new AuditError('AUDIT_STORE_CORRUPT', `${origin} lacks entries of bundle ${index}`)
  return Buffer.concat(
    rows.flatMap(({ leaf }) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(leaf.length)
      return [length, leaf]
    }),
  )
}
