/** Reading a log that is there, whether its gateway runs or not. Nothing is changed, made or migrated. */
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { AuditError, newestOrigin, openLog } from '@mcp-gateway/audit-chain'
import { createSqliteStore } from '@mcp-gateway/audit-chain/stores/sqlite'
import type { LedgerReader } from './ledger-rows.ts'
import { named } from './ledger-succession.ts'

export type LedgerPlace = {
  /** What is kept in files is beside it; and the log itself, without `postgres`. */
  readonly file: string
  /** The file of the meta-log. @default the one beside the log, or above the folder of a tenant */
  readonly meta?: string
  /** An earlier log of this place, by its name. @default the newest */
  readonly log?: string
  readonly postgres?: { readonly dsn: string; readonly mainFile: string; readonly tenantId: string }
}

/** Changes nothing in the log. @throws AuditError AUDIT_NOT_FOUND when there is none */
export async function readLedger({ file, postgres, log }: LedgerPlace): Promise<AsyncDisposable & LedgerReader> {
  if (postgres === undefined) return await named(await readLedgerFile(file), log)
  const { findPostgresLog } = await import('./ledger-postgres.ts')
  return await named(await findPostgresLog(postgres, postgres.tenantId), log)
}

/** Changes nothing in the file. @throws AuditError AUDIT_NOT_FOUND when there is no log in it */
export async function readLedgerFile(file: string): Promise<AsyncDisposable & LedgerReader> {
  if (!existsSync(file)) throw new AuditError('AUDIT_NOT_FOUND', `there is no ${file}`)
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    database.exec('pragma synchronous=full; pragma secure_delete=on')
    const store = createSqliteStore({ database })
    // Whoever reads along meets the gateway's checkpoints of the write-ahead log now and then, and waits.
    database.exec('pragma busy_timeout=5000')
    const origin = newestOrigin(await store.origins())
    if (origin === undefined) throw new AuditError('AUDIT_NOT_FOUND', `there is no log in ${file}`)
    const log = openLog({ store, origin })
    return { store, log, [Symbol.asyncDispose]: async () => database.close() }
  } catch (error) {
    database.close()
    throw error
  }
}
