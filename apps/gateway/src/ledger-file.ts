/** The audit log as a file, without a gateway: `@mcp-gateway/gateway/ledger`, for the operator's commands. */
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { AuditError, openLog, type EraseRequest, type EraseResult } from '@mcp-gateway/audit-chain'
import { createSqliteStore } from '@mcp-gateway/audit-chain/stores/sqlite'
import { createLedgerKeys, type LedgerKeys } from './ledger-keys.ts'
import type { LedgerReader } from './ledger-rows.ts'
import { openLedgerLog } from './ledger-store.ts'

export { auditFileOf } from './ledger-store.ts'
export { checkLedger } from './ledger-check.ts'
export { bundleLedger, type BundleOptions } from './ledger-bundle.ts'
export { exportCsv, type ExportOptions } from './ledger-export.ts'
export { exportCursors, followLedger, type ExportCursor, type FollowOptions } from './ledger-follow.ts'
export type { EntryProof, SignedState } from './ledger-keys.ts'
export { queryLedger, type LedgerFilter, type LedgerPage } from './ledger-query.ts'
export type { LedgerReader, LedgerRow } from './ledger-rows.ts'
export { createLedgerUsage, type LedgerSums, type UsageRow } from './ledger-usage.ts'

export type LedgerFile = AsyncDisposable & LedgerReader & { readonly keys: LedgerKeys }

/** Changes nothing in the file. @throws AuditError AUDIT_NOT_FOUND when there is no log in it */
export async function readLedgerFile(file: string): Promise<AsyncDisposable & LedgerReader> {
  if (!existsSync(file)) throw new AuditError('AUDIT_NOT_FOUND', `there is no ${file}`)
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    database.exec('pragma synchronous=full; pragma secure_delete=on')
    const store = createSqliteStore({ database })
    const [origin] = await store.origins()
    if (origin === undefined) throw new AuditError('AUDIT_NOT_FOUND', `there is no log in ${file}`)
    const log = openLog({ store, origin })
    return { store, log, [Symbol.asyncDispose]: async () => database.close() }
  } catch (error) {
    database.close()
    throw error
  }
}

/** For what writes: checkpoints, proofs that need one, and erasing. The gateway may run meanwhile. */
export async function openLedgerFile(file: string): Promise<LedgerFile> {
  if (!existsSync(file)) throw new AuditError('AUDIT_NOT_FOUND', `there is no ${file}`)
  const opened = await openLedgerLog(file)
  const { store, log } = opened
  return {
    store,
    log,
    keys: createLedgerKeys({ store, origin: log.origin, file }),
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]()
      opened[Symbol.dispose]()
    },
  }
}

export type { EraseRequest, EraseResult }
