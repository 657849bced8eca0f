/**
 * How much, from the log and from nothing else: rows by consumer, server and tool, which can be computed again at any time
 * and so are kept in memory only. The adversary is a caller who makes up names: past {@link MAX_ROWS} they share a row.
 */
import type { Entry } from '@mcp-gateway/audit-chain'
import { splitName } from '@mcp-gateway/wire'
import { readPages, type LedgerReader, type ReadRow } from './ledger-rows.ts'

export type UsageRow = {
  readonly consumer: string
  readonly server: string
  readonly tool: string
  calls: number
  /** All that was not served, `isError` results included; not what its client gave up. */
  errors: number
  latencyMs: number
  maxLatencyMs: number
  requestBytes: number
  responseBytes: number
}

export type LedgerStats = {
  entries: number
  calls: number
  errors: number
  latencyMs: number
  maxLatencyMs: number
  readonly byStatus: Record<string, number>
  readonly byType: Record<string, number>
}

export type LedgerSums = { readonly usage: readonly UsageRow[]; readonly stats: Readonly<LedgerStats> }

export type LedgerUsage = {
  /** Since the log began. Only what is new since the last time is read. */
  all(): Promise<LedgerSums>
  /** Between two times, epoch milliseconds. */
  between(from: number | undefined, to: number | undefined): Promise<LedgerSums>
}

const MAX_ROWS = 50_000
const ERASED = '(erased)'
const OTHER = '(other)'

export function createLedgerUsage(reader: LedgerReader): LedgerUsage {
  let kept = createSums()
  let next = 0
  let running: Promise<LedgerSums> | undefined

  const catchUp = async (): Promise<LedgerSums> => {
    const { size } = await reader.log.head()
    for await (const rows of readPages(reader, next, size)) {
      // What was counted under a name that is erased by now must not stay under it.
      if (next > 0 && rows.some(({ entry }) => entry.type === 'erasure')) {
        kept = createSums()
        next = 0
        return await catchUpFromStart(size)
      }
      rows.forEach(kept.add)
      next += rows.length
    }
    return kept.read()
  }
  const catchUpFromStart = async (size: number): Promise<LedgerSums> => {
    for await (const rows of readPages(reader, 0, size)) rows.forEach(kept.add)
    next = size
    return kept.read()
  }
  return {
    all: () => (running ??= catchUp().finally(() => (running = undefined))),
    async between(from, to) {
      const { log } = reader
      const low = from === undefined ? 0 : await log.findTime(from)
      const high = to === undefined ? (await log.head()).size : await log.findTime(to)
      const sums = createSums()
      for await (const rows of readPages(reader, low, high)) rows.forEach(sums.add)
      return sums.read()
    },
  }
}

function createSums(): { add: (row: ReadRow) => void; read: () => LedgerSums } {
  const rows = new Map<string, UsageRow>()
  const stats: LedgerStats = {
    entries: 0,
    calls: 0,
    errors: 0,
    latencyMs: 0,
    maxLatencyMs: 0,
    byStatus: {},
    byType: {},
  }

  const rowOf = (consumer: string, server: string, tool: string): UsageRow => {
    const key = JSON.stringify([consumer, server, tool])
    const known = rows.get(key)
    if (known !== undefined) return known
    if (rows.size >= MAX_ROWS && consumer !== OTHER) return rowOf(OTHER, OTHER, OTHER)
    const row = { consumer, server, tool, calls: 0, errors: 0, latencyMs: 0, maxLatencyMs: 0, requestBytes: 0, responseBytes: 0 } // prettier-ignore
    rows.set(key, row)
    return row
  }

  const add = ({ entry, subject }: ReadRow): void => {
    stats.entries += 1
    stats.byType[entry.type] = (stats.byType[entry.type] ?? 0) + 1
    if (entry.type !== 'tool.call' && entry.type !== 'call') return
    const facts = entry.facts ?? {}
    const status = typeof facts['status'] === 'string' ? facts['status'] : ''
    const failed = status === 'served' || status === 'abandoned' ? 0 : 1
    const latency = Number(facts['latencyMs'] ?? 0)
    stats.byStatus[status] = (stats.byStatus[status] ?? 0) + 1
    for (const sum of entry.type === 'tool.call' ? [stats, rowOf(subject ?? ERASED, ...toolOf(facts))] : [stats]) {
      sum.calls += 1
      sum.errors += failed
      sum.latencyMs += latency
      sum.maxLatencyMs = Math.max(sum.maxLatencyMs, latency)
      if (!('consumer' in sum)) continue
      sum.requestBytes += Number(facts['requestBytes'] ?? 0)
      sum.responseBytes += Number(facts['responseBytes'] ?? 0)
    }
  }
  const read = (): LedgerSums => ({
    usage: Array.from(rows.values(), (row) => ({ ...row })).sort((a, b) => b.calls - a.calls),
    stats: { ...stats, byStatus: { ...stats.byStatus }, byType: { ...stats.byType } },
  })
  return { add, read }
}

/** A name that led nowhere is nobody's tool, and anybody can make up more of them. */
function toolOf(facts: NonNullable<Entry['facts']>): readonly [server: string, tool: string] {
  const { server, name, code } = facts
  if (typeof server !== 'string' || typeof name !== 'string' || code === 'WIRE_UNKNOWN_NAME') return [typeof server === 'string' ? server : '', ''] // prettier-ignore
  const parts = splitName(name)
  return [server, parts?.serverId === server ? parts.name : name]
}
