/** The audit log without a gateway, in its file or its database: `@mcp-gateway/gateway/ledger`, for the operator's commands. */
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { AuditError, openLog, type EraseRequest, type EraseResult } from '@mcp-gateway/audit-chain'
import { createSqliteStore } from '@mcp-gateway/audit-chain/stores/sqlite'
import { createLedgerKeys, type LedgerKeys } from './ledger-keys.ts'
import { createLedgerMeta, openMeta, type LedgerMeta } from './ledger-meta.ts'
import type { LedgerReader } from './ledger-rows.ts'
import { metaFileNear, openLedgerLog, regionOf } from './ledger-store.ts'

export { auditFileOf, metaFileOf, tenantFolder } from './ledger-store.ts'
export { checkLedger } from './ledger-check.ts'
export { bundleLedger, type BundleOptions } from './ledger-bundle.ts'
export { exportCsv, type ExportOptions } from './ledger-export.ts'
export { exportCursors, followLedger, type ExportCursor, type FollowOptions } from './ledger-follow.ts'
export type { EntryProof, SignedState } from './ledger-keys.ts'
export { queryLedger, type LedgerFilter, type LedgerPage } from './ledger-query.ts'
export type { LedgerReader, LedgerRow } from './ledger-rows.ts'
export { createLedgerUsage, type LedgerSums, type UsageRow } from './ledger-usage.ts'

export type LedgerFile = AsyncDisposable & LedgerReader & { readonly keys: LedgerKeys; readonly meta: LedgerMeta }

export type LedgerPlace = {
  /** What is kept in files is beside it; and the log itself, without `postgres`. */
  readonly file: string
  /** The file of the meta-log. @default the one beside the log, or above the folder of a tenant */
  readonly meta?: string
  readonly postgres?: { readonly dsn: string; readonly database: string; readonly tenantId: string }
}

/** Changes nothing in the log. @throws AuditError AUDIT_NOT_FOUND when there is none */
export async function readLedger({ file, postgres }: LedgerPlace): Promise<AsyncDisposable & LedgerReader> {
  if (postgres === undefined) return await readLedgerFile(file)
  const { findPostgresLog } = await import('./ledger-postgres.ts')
  return await findPostgresLog(postgres, postgres.tenantId)
}

/** For what writes: checkpoints, proofs that need one, and erasing. The gateway may run meanwhile. */
export async function openLedger({
  file,
  postgres,
  meta: metaFile = metaFileNear(file),
}: LedgerPlace): Promise<LedgerFile> {
  if (postgres === undefined) return await openLedgerFile(file, metaFile)
  const { findPostgresLog } = await import('./ledger-postgres.ts')
  const found = await findPostgresLog(postgres, postgres.tenantId)
  const { store, log } = found
  const meta = createLedgerMeta({ open: found.openMeta, file: metaFile })
  return {
    store,
    log,
    meta,
    keys: createLedgerKeys({ store, origin: log.origin, file, meta }),
    async [Symbol.asyncDispose]() {
      await meta[Symbol.asyncDispose]()
      await found[Symbol.asyncDispose]()
    },
  }
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
    const [origin] = await store.origins()
    if (origin === undefined) throw new AuditError('AUDIT_NOT_FOUND', `there is no log in ${file}`)
    const log = openLog({ store, origin })
    return { store, log, [Symbol.asyncDispose]: async () => database.close() }
  } catch (error) {
    database.close()
    throw error
  }
}

/** As `openLedger`. */
export async function openLedgerFile(file: string, metaFile: string = metaFileNear(file)): Promise<LedgerFile> {
  if (!existsSync(file)) throw new AuditError('AUDIT_NOT_FOUND', `there is no ${file}`)
  const opened = await openLedgerLog(file)
  const { store, log } = opened
  const meta = createLedgerMeta({ open: () => openMeta(metaFile, regionOf(log.origin)), file: metaFile })
  return {
    store,
    log,
    meta,
    keys: createLedgerKeys({ store, origin: log.origin, file, meta }),
    async [Symbol.asyncDispose]() {
      await meta[Symbol.asyncDispose]()
      await log[Symbol.asyncDispose]()
      opened[Symbol.dispose]()
    },
  }
}

export type { EraseRequest, EraseResult }
