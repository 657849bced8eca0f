/** Where the log of a gateway is: a SQLite file beside its database, with the key that signs its checkpoints. */
import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { openLog, type AuditLog, type AuditStore } from '@mcp-gateway/audit-chain'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { GatewayError } from './errors.ts'

export type OpenedLog = Disposable & { readonly store: AuditStore; readonly log: AuditLog }

/** The file of the log beside the gateway's own database. */
export function auditFileOf(database: string): string {
  return database === ':memory:' ? database : join(dirname(database), 'audit.db')
}

/**
 * Goes on with the log that the file has, or begins one. Its name tells its region, and nothing about anybody.
 * @throws GatewayError GATEWAY_AUDIT_REGION when the log is another region's: what is in it would follow the new settings
 */
export async function openLedgerLog(file: string, region?: string): Promise<OpenedLog> {
  const { store, close } = openStore(file)
  try {
    const [known] = await store.origins()
    const place = region === undefined ? '' : `${region}/`
    const origin = known ?? `mcp-gateway/audit/${place}${randomBytes(8).toString('hex')}`
    const [, itsRegion] = /^mcp-gateway\/audit\/([a-z0-9-]+)\/[0-9a-f]{16}$/.exec(origin) ?? []
    if (region !== undefined && itsRegion !== undefined && itsRegion !== region) {
      throw new GatewayError(
        'GATEWAY_AUDIT_REGION',
        `${file} is a log of "${itsRegion}", and audit.region is "${region}"`,
      )
    }
    return { store, log: openLog({ store, origin }), [Symbol.dispose]: close }
  } catch (error) {
    close()
    throw error
  }
}

function openStore(file: string): { readonly store: AuditStore; readonly close: () => void } {
  if (file === ':memory:') return { store: createMemoryStore(), close: () => undefined }
  mkdirSync(dirname(file), { recursive: true })
  // It has what was said: for the gateway's user alone. SQLite gives the files beside it the same mode.
  closeSync(openSync(file, 'a', 0o600))
  const database = openSqlite(file)
  return { store: createSqliteStore({ database }), close: () => database.close() }
}
