/** Entries as CSV, for people and spreadsheets. It proves nothing; `ledger-bundle.ts` does. */
import { csvCell } from '@mcp-gateway/audit-chain/formats/csv'
import { leafHash } from '@mcp-gateway/audit-chain/verify'
import { matches, type LedgerFilter } from './ledger-query.ts'
import { describeRow, readPages, type LedgerReader, type LedgerRow } from './ledger-rows.ts'

export type ExportOptions = LedgerFilter & { readonly withBodies: boolean }

/** Facts that have a column. */
export const FACTS = [
  'method',
  'server',
  'name',
  'status',
  'code',
  'latencyMs',
  'requestBytes',
  'responseBytes',
] as const
const COLUMNS = ['seq', 'id', 'type', 'at', 'consumer', 'keyId', ...FACTS, 'arguments', 'response', 'leafHash'] as const

/** One line after the other, oldest first, without their ends. */
export async function* exportCsv(reader: LedgerReader, options: ExportOptions): AsyncGenerator<string> {
  const { log } = reader
  const from = options.from === undefined ? 0 : await log.findTime(options.from)
  const to = options.to === undefined ? (await log.head()).size : await log.findTime(options.to)
  yield COLUMNS.join(',')
  for await (const rows of readPages(reader, from, to)) {
    for (const row of rows) {
      if (!matches(row, options)) continue
      const { leaf } = await log.entry(row.seq)
      const described = await describeRow(log, row, options.withBodies)
      yield csvLine(described, leafHash(leaf))
    }
  }
}

function csvLine(row: LedgerRow, hash: Uint8Array): string {
  const { facts, ...rest } = row
  const values: Readonly<Record<string, unknown>> = { ...facts, ...rest, leafHash: Buffer.from(hash).toString('hex') }
  return COLUMNS.map((column) => csvCell(values[column])).join(',')
}
