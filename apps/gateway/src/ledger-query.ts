/**
 * Asking the log. There is no index beside it that could say something else, or keep what was erased: a query reads
 * backwards from where it left off, and gives up its turn after {@link MAX_SCANNED} entries with a cursor to go on.
 */
import { MAX_READ } from '@mcp-gateway/audit-chain'
import { setImmediate as breathe } from 'node:timers/promises'
import { describeRow, readPage, type LedgerReader, type LedgerRow, type ReadRow } from './ledger-rows.ts'

export type LedgerFilter = {
  readonly consumer?: string | undefined
  readonly server?: string | undefined
  readonly tool?: string | undefined
  readonly status?: string | undefined
  readonly type?: string | undefined
  /** Epoch milliseconds, from inclusive, to exclusive. */
  readonly from?: number | undefined
  readonly to?: number | undefined
}

export type LedgerQuery = LedgerFilter & {
  readonly limit: number
  /** Position to read backwards from, exclusive: `next` of the page before. */
  readonly before?: number | undefined
  readonly withBodies: boolean
}

export type LedgerPage = {
  /** Newest first. */
  readonly entries: readonly LedgerRow[]
  /** There may be more before this position. */
  readonly next?: number
}

export const MAX_LIMIT = 1000
const MAX_SCANNED = 100_000

export async function queryLedger(reader: LedgerReader, query: LedgerQuery): Promise<LedgerPage> {
  const { log } = reader
  const { size } = await log.head()
  const low = query.from === undefined ? 0 : await log.findTime(query.from)
  const high = query.to === undefined ? size : await log.findTime(query.to)
  const start = Math.min(high, query.before ?? high)
  const lowest = Math.max(low, start - MAX_SCANNED)
  const entries: LedgerRow[] = []
  for (let end = start; end > lowest; end = Math.max(lowest, end - MAX_READ)) {
    const rows = await readPage(reader, Math.max(lowest, end - MAX_READ), end)
    for (const row of rows.toReversed()) {
      if (!matches(row, query)) continue
      entries.push(await describeRow(log, row, query.withBodies))
      if (entries.length >= Math.min(query.limit, MAX_LIMIT))
        return row.seq > low ? { entries, next: row.seq } : { entries }
    }
    await breathe()
  }
  return lowest > low ? { entries, next: lowest } : { entries }
}

export function matches({ entry, subject }: ReadRow, { consumer, server, tool, status, type }: LedgerFilter): boolean {
  const { facts = {} } = entry
  return (
    (consumer === undefined || subject === consumer) &&
    (server === undefined || facts['server'] === server) &&
    (tool === undefined || (facts['method'] === 'tools/call' && toolMatches(facts['name'], tool))) &&
    (status === undefined || facts['status'] === status) &&
    (type === undefined || entry.type === type)
  )
}

/** A call on `/mcp` names `server__tool`, one on `/mcp/server/:id` the tool alone. */
function toolMatches(name: unknown, tool: string): boolean {
  return typeof name === 'string' && (name === tool || name.endsWith(`__${tool}`))
}
