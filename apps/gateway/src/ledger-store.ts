/** Where the log of a gateway is: a SQLite file beside its database, with the key that signs its checkpoints. */
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { newestOrigin, openLog, type AuditLog, type AuditStore } from '@mcp-gateway/audit-chain'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import type { SqliteThread } from '@mcp-gateway/audit-chain/stores/sqlite-thread'
import { DEFAULT_TENANT } from '@mcp-gateway/auth'
import { GatewayError } from './errors.ts'

const META_FILE = 'audit-meta.db'
export const META_PREFIX = 'mcp-gateway/meta/'

export type OpenedLog = Disposable & {
  readonly store: AuditStore
  readonly log: AuditLog
  /** What its entries take in its file; where there is none, nobody can say. */
  readonly usedBytes?: (() => number) | undefined
}

/** The file of the default tenant's log: `audit.path`, or beside the gateway's own database. All that belongs to logs is beside it. */
export function mainFileOf(database: string, path?: string): string {
  if (path !== undefined) return path
  return database === ':memory:' ? database : join(dirname(database), 'audit.db')
}

/** The file of a log in a tenant's folder beside the main one. */
export function auditFileOf(mainFile: string, folder?: string): string {
  return mainFile === ':memory:' || folder === undefined
    ? mainFile
    : join(dirname(mainFile), folder, basename(mainFile))
}

/** The file of the meta-log over all of them, beside the main one. */
export function metaFileOf(mainFile: string): string {
  return mainFile === ':memory:' ? mainFile : join(dirname(mainFile), META_FILE)
}

/** The same from a log's own file, when nobody knows the database: beside it, or above the folder of a tenant. */
export function metaFileNear(file: string): string {
  const beside = metaFileOf(file)
  const folder = dirname(dirname(file))
  const above = join(dirname(folder), META_FILE)
  return !existsSync(beside) && basename(folder) === 'tenants' && existsSync(above) ? above : beside
}

/**
 * Goes on with the log that the file has, or begins one. Its name tells its region, and nothing about anybody.
 * @throws GatewayError GATEWAY_AUDIT_REGION when the log is another region's: what is in it would follow the new settings
 */
export async function openLedgerLog(file: string, region?: string, thread?: SqliteThread): Promise<OpenedLog> {
  const { store, usedBytes, close } = openStore(file, thread)
  try {
    const known = newestOrigin(await store.origins())
    const place = region === undefined ? '' : `${region}/`
    const origin = known ?? `mcp-gateway/audit/${place}${randomBytes(8).toString('hex')}`
    const itsRegion = regionOf(origin)
    if (region !== undefined && itsRegion !== undefined && itsRegion !== region)
      throw wrongRegion(file, itsRegion, region)
    return { store, log: openLog({ store, origin }), usedBytes, [Symbol.dispose]: close }
  } catch (error) {
    close()
    throw error
  }
}

/** The same for the meta-log; `name` is what it is called when it begins. @throws GatewayError GATEWAY_AUDIT_REGION */
export async function openMetaFile(
  file: string,
  name: string,
  region?: string,
): Promise<Disposable & { readonly store: AuditStore; readonly origin: string }> {
  const { store, close } = openStore(file)
  try {
    const [known] = await store.origins()
    const origin = known ?? metaOrigin(name, region)
    const itsRegion = regionOf(origin)
    if (region !== undefined && itsRegion !== undefined && itsRegion !== region)
      throw wrongRegion(file, itsRegion, region)
    return { store, origin, [Symbol.dispose]: close }
  } catch (error) {
    close()
    throw error
  }
}

/** Not under the names of the logs: who counts those does not count it. */
export function metaOrigin(name: string, region?: string): string {
  return `${META_PREFIX}${region === undefined ? '' : `${region}/`}${name}`
}

/** What the name of a log says of its region. */
export function regionOf(origin: string): string | undefined {
  return /^mcp-gateway\/(?:audit|meta)\/([a-z0-9-]+)\/(?:[0-9a-f]{16}){1,2}(?:\.\d+)?$/.exec(origin)?.[1]
}

export function wrongRegion(what: string, itsRegion: string, region: string): GatewayError {
  return new GatewayError('GATEWAY_AUDIT_REGION', `${what} is of "${itsRegion}", and audit.region is "${region}"`)
}

/**
 * Pages in use, whether in the file or still in the write-ahead log beside it. Not the size of the two: a file never gets
 * smaller, so that erasing would make no room, and the other is 32 MB at times and then nothing.
 */
const USED_BYTES = `
  SELECT (page_count - freelist_count) * page_size AS bytes
  FROM pragma_page_count, pragma_freelist_count, pragma_page_size`

type OpenStore = Pick<OpenedLog, 'store' | 'usedBytes'> & { readonly close: () => void }

function openStore(file: string, thread?: SqliteThread): OpenStore {
  if (file === ':memory:') return { store: createMemoryStore(), close: () => undefined }
  mkdirSync(dirname(file), { recursive: true })
  // It has what was said: for the gateway's user alone. SQLite gives the files beside it the same mode.
  closeSync(openSync(file, 'a', 0o600))
  const database = openSqlite(file)
  const store = createSqliteStore({ database, ...(thread && { thread }) })
  const used = database.prepare(USED_BYTES)
  return { store, usedBytes: () => Number(used.get()?.['bytes']), close: () => database.close() }
}

/** Below the database's folder. A name from a token is no path; one that could be something else becomes its hash. */
export function tenantFolder(tenantId: string): string | undefined {
  if (tenantId === DEFAULT_TENANT) return undefined
  if (/^[a-z0-9][a-z0-9_-]{0,63}$/.test(tenantId)) return `tenants/${tenantId}`
  return `tenants/.${createHash('sha256').update(tenantId).digest('hex').slice(0, 32)}`
}
