/**
 * What the log tells whom. An `auditor` sees everything; an `admin`, who could act on it, sees who did what when, but not
 * what was said; everybody else nothing.
 */
import { AuditError } from '@mcp-gateway/audit-chain'
import type { Caller } from '@mcp-gateway/auth'
import { GatewayError } from './errors.ts'
import { checkLedger } from './ledger-check.ts'
import type { ExportState } from './ledger-exports.ts'
import type { EntryProof, LedgerKeys } from './ledger-keys.ts'
import { queryLedger, type LedgerFilter, type LedgerPage } from './ledger-query.ts'
import type { LedgerReader } from './ledger-rows.ts'
import { createLedgerUsage, type LedgerStats, type UsageRow } from './ledger-usage.ts'

export type Times = { readonly from?: number | undefined; readonly to?: number | undefined }
export type Verification = {
  readonly intact: boolean
  readonly entries: number
  readonly rootHash: string
  /** Entries that a signed checkpoint covers. */
  readonly signedEntries: number
  readonly findings: readonly { readonly code: string; readonly seq?: number; readonly message: string }[]
}

export type LedgerReports = {
  query(caller: Caller, query: LedgerFilter & { limit: number; before?: number | undefined }): Promise<LedgerPage>
  /** With the state of each export: an admin must see that one is behind. */
  stats(caller: Caller, times: Times): Promise<Readonly<LedgerStats> & { readonly exports: readonly ExportState[] }>
  usage(caller: Caller, times: Times, consumer?: string): Promise<readonly UsageRow[]>
  verify(caller: Caller): Promise<Verification>
  prove(caller: Caller, id: string): Promise<EntryProof>
}

export type LedgerReportsOptions = {
  readonly reader: LedgerReader
  readonly keys: LedgerKeys
  readonly file: string
  readonly exports: () => Promise<ExportState[]>
}

export function createLedgerReports(options: LedgerReportsOptions | undefined): LedgerReports {
  const usage = options && createLedgerUsage(options.reader)
  let checking: Promise<Verification> | undefined

  const allow = (caller: Caller): LedgerReportsOptions & { readonly withBodies: boolean } => {
    const withBodies = caller.roles.includes('auditor')
    if (!withBodies && !caller.roles.includes('admin'))
      throw new GatewayError('GATEWAY_ROLE_REQUIRED', 'this takes the role auditor or admin')
    if (options === undefined) throw new GatewayError('GATEWAY_AUDIT_OFF', 'the audit log is switched off')
    return { ...options, withBodies }
  }
  const sums = async (times: Times) =>
    times.from === undefined && times.to === undefined ? usage?.all() : usage?.between(times.from, times.to)

  const check = async ({ reader, file }: LedgerReportsOptions): Promise<Verification> => {
    const { findings, size, rootHash, signedSize } = await checkLedger({ store: reader.store, origin: reader.log.origin, file }) // prettier-ignore
    const root = Buffer.from(rootHash).toString('hex')
    return { intact: findings.length === 0, entries: size, rootHash: root, signedEntries: signedSize, findings }
  }

  return {
    async query(caller, query) {
      const { reader, withBodies } = allow(caller)
      return await readable(queryLedger(reader, { ...query, withBodies }))
    },
    async stats(caller, times) {
      const { exports } = allow(caller)
      const found = await readable(sums(times))
      if (found === undefined) throw new GatewayError('GATEWAY_AUDIT_OFF', 'the audit log is switched off')
      return { ...found.stats, exports: await readable(exports()) }
    },
    async usage(caller, times, consumer) {
      allow(caller)
      const rows = (await readable(sums(times)))?.usage ?? []
      return consumer === undefined ? rows : rows.filter((row) => row.consumer === consumer)
    },
    async verify(caller) {
      // One at a time: it reads every entry there is.
      const allowed = allow(caller)
      return await readable((checking ??= check(allowed).finally(() => (checking = undefined))))
    },
    async prove(caller, id) {
      const { reader, keys } = allow(caller)
      return await readable(keys.prove(reader.log, id))
    },
  }
}

/** The store's failures are ours to explain; their texts name files. */
async function readable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (!(error instanceof AuditError)) throw error
    throw new GatewayError('GATEWAY_AUDIT_UNAVAILABLE', `the audit log cannot be read: ${error.code}`, { cause: error })
  }
}
