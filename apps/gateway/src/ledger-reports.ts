/**
 * What the log tells whom. An `auditor` sees everything; an `admin`, who could act on it, sees who did what when, but not
 * what was said; everybody else nothing.
 */
import { AuditError, type Finding, type TileReply } from '@mcp-gateway/audit-chain'
import type { Caller } from '@mcp-gateway/auth'
import { GatewayError } from './errors.ts'
import { checkLedger } from './ledger-check.ts'
import type { ExportState } from './ledger-exports.ts'
import type { EntryProof } from './ledger-keys.ts'
import { alone, checkMeta, unreadable, type MetaCheck } from './ledger-meta-check.ts'
import type { GatewayLedger } from './ledger-open.ts'
import { readTree, type Tree } from './ledger-tiles.ts'
import type { LedgerReader } from './ledger-rows.ts'
import { predecessorsOf } from './ledger-succession.ts'
import { queryLedger, type LedgerFilter, type LedgerPage } from './ledger-query.ts'
import { createLedgerUsage, type LedgerStats, type LedgerSums, type UsageRow } from './ledger-usage.ts'

export type Times = { readonly from?: number | undefined; readonly to?: number | undefined }
export type Verification = {
  readonly intact: boolean
  readonly entries: number
  readonly rootHash: string
  /** Entries that a signed checkpoint covers. */
  readonly signedEntries: number
  readonly findings: readonly { readonly code: string; readonly seq?: number; readonly message: string }[]
  /** What the meta-log says of this log. */
  readonly meta: MetaCheck
}

export type LedgerReports = {
  query(caller: Caller, query: LedgerFilter & { limit: number; before?: number | undefined }): Promise<LedgerPage>
  /** With the state of each export: an admin must see that one is behind. */
  stats(caller: Caller, times: Times): Promise<Readonly<LedgerStats> & { readonly exports: readonly ExportState[] }>
  usage(caller: Caller, times: Times, consumer?: string): Promise<readonly UsageRow[]>
  verify(caller: Caller): Promise<Verification>
  prove(caller: Caller, id: string): Promise<EntryProof>
  /** Paths of C2SP tlog-tiles; undefined for what is not there. For auditors alone. */
  tree(caller: Caller, tree: Tree, path: string): Promise<TileReply | undefined>
}

/** `open`: the log of a tenant; each caller sees that of its own. */
export function createLedgerReports(open: ((tenantId: string) => Promise<GatewayLedger>) | undefined): LedgerReports {
  const known = new WeakMap<GatewayLedger, Report>()

  const allow = async (caller: Caller): Promise<Report & { readonly withBodies: boolean }> => {
    const withBodies = caller.roles.includes('auditor')
    if (!withBodies && !caller.roles.includes('admin'))
      throw new GatewayError('GATEWAY_ROLE_REQUIRED', 'this takes the role auditor or admin')
    if (open === undefined) throw new GatewayError('GATEWAY_AUDIT_OFF', 'the audit log is switched off')
    const log = await open(caller.tenantId)
    const report = known.get(log) ?? createReport(log)
    known.set(log, report)
    return { ...report, withBodies }
  }

  return {
    async query(caller, query) {
      const { log, withBodies } = await allow(caller)
      return await readable(queryLedger(log.ledger, { ...query, withBodies }))
    },
    async stats(caller, times) {
      const { log, sums } = await allow(caller)
      return { ...(await readable(sums(times))).stats, exports: await readable(log.exports()) }
    },
    async usage(caller, times, consumer) {
      const { sums } = await allow(caller)
      const { usage } = await readable(sums(times))
      return consumer === undefined ? usage : usage.filter((row) => row.consumer === consumer)
    },
    async verify(caller) {
      const { check } = await allow(caller)
      return await readable(check())
    },
    async prove(caller, id) {
      const { log } = await allow(caller)
      return await readable(log.keys.prove(log.ledger.log, id))
    },
    async tree(caller, tree, path) {
      const { log, withBodies: isAuditor } = await allow(caller)
      if (!isAuditor) throw new GatewayError('GATEWAY_ROLE_REQUIRED', 'this takes the role auditor')
      return await readable(readTree(log, tree, path))
    },
  }
}

/** What one log is asked. */
type Report = {
  readonly log: GatewayLedger
  readonly sums: (times: Times) => Promise<LedgerSums>
  readonly check: () => Promise<Verification>
}

/** One log, and no other: the meta-log has the sizes of all of them. */
async function metaOf({ meta }: GatewayLedger, one: LedgerReader): Promise<Awaited<ReturnType<typeof checkMeta>>> {
  try {
    const { store, log } = await meta.read()
    const only = one.log.origin
    return await checkMeta({ store, origin: log.origin, file: meta.file, places: alone(one), only })
  } catch (error) {
    return unreadable(error)
  }
}

function createReport(log: GatewayLedger): Report {
  const { ledger, file } = log
  const usage = createLedgerUsage(ledger)
  let checking: Promise<Verification> | undefined

  const checkOne = async (one: LedgerReader) => {
    const { findings, ...examination } = await checkLedger({ store: one.store, origin: one.log.origin, file })
    const { findings: more, meta } = await metaOf(log, one)
    return { ...examination, findings: [...findings, ...more], meta }
  }
  const check = async (): Promise<Verification> => {
    const earlier: Finding[] = []
    for await (const one of predecessorsOf(ledger)) earlier.push(...(await checkOne(one)).findings)
    const { findings, size, rootHash, signedSize, meta } = await checkOne(ledger)
    const all = [...earlier, ...findings]
    const problem = meta.problem === undefined ? {} : { problem: 'the meta-log cannot be read' }
    return {
      intact: all.length === 0,
      entries: size,
      rootHash: Buffer.from(rootHash).toString('hex'),
      signedEntries: signedSize,
      findings: all,
      // Texts of failures name files.
      meta: { ...meta, ...problem },
    }
  }
  return {
    log,
    sums: ({ from, to }) => (from === undefined && to === undefined ? usage.all() : usage.between(from, to)),
    // One at a time: it reads every entry there is.
    check: () => (checking ??= check().finally(() => (checking = undefined))),
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
