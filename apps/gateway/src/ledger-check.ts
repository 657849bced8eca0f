/** Checking the log while the gateway runs: one examination at a time, with turns for everybody else. */
import { setImmediate as breathe } from 'node:timers/promises'
import { examineLog, type AuditStore, type Examination } from '@mcp-gateway/audit-chain'
import { placeOf, policyOf } from './ledger-keys.ts'

export type LedgerCheckOptions = {
  readonly store: AuditStore
  readonly origin: string
  readonly file: string
  /** Signed checkpoints that were kept elsewhere, besides the ones beside the file. */
  readonly remembered?: readonly string[]
  readonly onProgress?: (done: number, total: number) => void
}

/** @throws AuditError AUDIT_NOT_FOUND for a log without entries, the AUDIT_STORE_… codes when it can't be read */
export async function checkLedger({ store, origin, file, ...options }: LedgerCheckOptions): Promise<Examination> {
  const policy = policyOf(file, origin)
  const kept = file === ':memory:' ? undefined : await placeOf(file).last(origin)
  const remembered = [...(options.remembered ?? []), ...(kept === undefined ? [] : [kept])]
  const { onProgress } = options
  return await examineLog({ store: breathing(store), origin, remembered, ...(policy && { policy }), ...(onProgress && { onProgress }) }) // prettier-ignore
}

/** Whose readers leave turns to everybody else: SQLite answers at once, and calls would wait for the whole log. */
export function breathing(store: AuditStore): AuditStore {
  const entries: AuditStore['entries'] = async (...range) => {
    await breathe()
    return await store.entries(...range)
  }
  return { ...store, entries }
}
