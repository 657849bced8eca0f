/** The audit log without a gateway, in its file or its database: `@mcp-gateway/gateway/ledger`, for the operator's commands. */
import { existsSync } from 'node:fs'
import { AuditError, type EraseRequest, type EraseResult } from '@mcp-gateway/audit-chain'
import { createLedgerKeys, type LedgerKeys } from './ledger-keys.ts'
import { createLedgerMeta, openMeta, type LedgerMeta } from './ledger-meta.ts'
import type { LedgerPlace } from './ledger-read.ts'
import type { LedgerReader } from './ledger-rows.ts'
import { named } from './ledger-succession.ts'
import { metaFileNear, openLedgerLog, regionOf } from './ledger-store.ts'

export { auditFileOf, mainFileOf, metaFileOf, tenantFolder } from './ledger-store.ts'
export { checkLedger } from './ledger-check.ts'
export { checkPlace, type PlaceCheck } from './ledger-check-place.ts'
export type { MetaCheck } from './ledger-meta-check.ts'
export { bundleLedger, type BundleOptions } from './ledger-bundle.ts'
export { exportCsv, type ExportOptions } from './ledger-export.ts'
export { exportCursors, followLedger, type ExportCursor, type FollowOptions } from './ledger-follow.ts'
export type { EntryProof, SignedState } from './ledger-keys.ts'
export { predecessorsOf } from './ledger-succession.ts'
export { queryLedger, type LedgerFilter, type LedgerPage } from './ledger-query.ts'
export { readLedger, readLedgerFile, type LedgerPlace } from './ledger-read.ts'
export type { LedgerReader, LedgerRow } from './ledger-rows.ts'
export { createLedgerUsage, type LedgerSums, type UsageRow } from './ledger-usage.ts'

export type LedgerFile = AsyncDisposable & LedgerReader & { readonly keys: LedgerKeys; readonly meta: LedgerMeta }

/** For what writes: checkpoints, proofs that need one, and erasing. The gateway may run meanwhile. */
export async function openLedger({
  file,
  postgres,
  log,
  meta: metaFile = metaFileNear(file),
}: LedgerPlace): Promise<LedgerFile> {
  if (postgres === undefined) return await openLedgerFile(file, metaFile, log)
  const { findPostgresLog } = await import('./ledger-postgres.ts')
  const found = await named(await findPostgresLog(postgres, postgres.tenantId), log)
  const meta = createLedgerMeta({ open: found.openMeta, file: metaFile })
  return withKeys({ ...found, file, meta }, async () => {
    await found[Symbol.asyncDispose]()
  })
}

/** As `openLedger`. */
export async function openLedgerFile(
  file: string,
  metaFile: string = metaFileNear(file),
  name?: string,
): Promise<LedgerFile> {
  if (!existsSync(file)) throw new AuditError('AUDIT_NOT_FOUND', `there is no ${file}`)
  const opened = await openLedgerLog(file)
  const { store, log } = await named({ ...opened, [Symbol.asyncDispose]: async () => opened[Symbol.dispose]() }, name)
  const meta = createLedgerMeta({ open: () => openMeta(metaFile, regionOf(log.origin)), file: metaFile })
  return withKeys({ file, store, log, meta }, async () => {
    await log[Symbol.asyncDispose]()
    opened[Symbol.dispose]()
  })
}

function withKeys(
  { file, store, log, meta }: LedgerReader & Pick<LedgerFile, 'meta'> & { readonly file: string },
  close: () => Promise<void>,
): LedgerFile {
  return {
    store,
    log,
    meta,
    keys: createLedgerKeys({ store, origin: log.origin, file, meta }),
    async [Symbol.asyncDispose]() {
      await meta[Symbol.asyncDispose]()
      await close()
    },
  }
}

export type { EraseRequest, EraseResult }
