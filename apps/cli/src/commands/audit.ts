/** `audit log|stats|export` and `usage`: reading the log, whether a gateway runs or not. No entry is changed. */
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  bundleLedger,
  createLedgerUsage,
  exportCsv,
  exportCursors,
  followLedger,
  openLedger,
  queryLedger,
  readLedger,
  type ExportCursor,
  type FollowOptions,
  type LedgerFilter,
  type LedgerPage,
  type LedgerReader,
  type LedgerRow,
  type LedgerSums,
} from '@mcp-gateway/gateway/ledger'
import { auditPlace, explained, seenOf, timeOf, type AuditFileOptions, type SeenOptions } from '../audit-file.ts'
import { reply, table, type Context } from '../context.ts'
import { CliError } from '../errors.ts'
import { closeOnSignal } from '../lifetime.ts'

export type FilterOptions = AuditFileOptions & {
  readonly consumer?: string
  readonly server?: string
  readonly tool?: string
  readonly status?: string
  readonly from?: string
  readonly to?: string
}
export type TimesOptions = AuditFileOptions & { readonly from?: string; readonly to?: string }

const MAX_LIMIT = 100_000
const FOLLOW_POLL_MS = 250

type LogOptions = FilterOptions & { readonly limit: string; readonly bodies?: boolean; readonly follow?: boolean }

export async function showLog(context: Context, options: LogOptions): Promise<void> {
  const limit = Number(options.limit)
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT))
    throw new CliError('CLI_USAGE', `--limit must be a number from 1 to ${MAX_LIMIT}`)
  if (options.follow === true && options.to !== undefined)
    throw new CliError('CLI_USAGE', '--follow has no end, so there is no --to')
  const filter = filterOf(options)
  const withBodies = options.bodies === true
  await explained(async () => {
    await using reader = await readLedger(auditPlace(context, options))
    const { size } = await reader.log.head()
    const entries: LedgerRow[] = []
    let before: number | undefined = size
    do {
      const rest = limit - entries.length
      const page: LedgerPage = await queryLedger(reader, { ...filter, limit: rest, before, withBodies })
      entries.push(...page.entries)
      before = page.next
    } while (before !== undefined && entries.length < limit)
    if (options.follow === true) {
      for (const row of entries.toReversed()) printRow(context, row)
      await followLog(context, reader, { ...filter, start: size, withBodies })
      return
    }
    const header = ['SEQ', 'AT', 'TYPE', 'CONSUMER', 'SERVER', 'WHAT', 'STATUS', 'CODE', 'MS']
    reply(context, { entries }, entries.length === 0 ? 'Nothing was found.' : table([header, ...entries.map(cellsOf)]))
  })
}

/** Until Ctrl-C. */
async function followLog(
  context: Context,
  reader: LedgerReader,
  options: Omit<FollowOptions, 'pollMs' | 'signal'>,
): Promise<void> {
  const stop = new AbortController()
  using _signals = closeOnSignal(async () => stop.abort())
  for await (const row of followLedger(reader, { ...options, pollMs: FOLLOW_POLL_MS, signal: stop.signal }))
    printRow(context, row)
}

/** One line: a program, or a person, reads it while more come. */
function printRow(context: Context, row: LedgerRow): void {
  if (context.json) context.print(JSON.stringify(row))
  else reply(context, row, cellsOf(row).join('  '))
}

function cellsOf({ seq, at, type, consumer, facts }: LedgerRow): string[] {
  return [seq, at, type, consumer, facts['server'], facts['name'] ?? facts['method'], facts['status'], facts['code'], facts['latencyMs']].map(cell) // prettier-ignore
}

export async function showStats(context: Context, options: TimesOptions): Promise<void> {
  const { stats, exports } = await sumsOf(context, options)
  const mean = stats.calls === 0 ? 0 : Math.round(stats.latencyMs / stats.calls)
  const rows = [
    ['entries', String(stats.entries)],
    ['calls', String(stats.calls)],
    ['errors', String(stats.errors)],
    ['mean ms', String(mean)],
    ['longest ms', String(stats.maxLatencyMs)],
    ...Object.entries(stats.byStatus).map(([status, calls]) => [`  ${status}`, String(calls)]),
    ...exports.map(({ name, cursor, lag }) => [`export ${name}`, `${cursor} sent, ${lag} behind`]),
  ]
  reply(context, { ...stats, meanLatencyMs: mean, exports }, table(rows))
}

export async function showUsage(context: Context, consumer: string | undefined, options: TimesOptions): Promise<void> {
  const { usage } = await sumsOf(context, options)
  const found = usage.filter((row) => consumer === undefined || row.consumer === consumer)
  const rows = found.map(
    (row) =>
    [row.consumer, row.server, row.tool, row.calls, row.errors, Math.round(row.latencyMs / row.calls), row.requestBytes, row.responseBytes].map(cell), // prettier-ignore
  )
  const header = ['CONSUMER', 'SERVER', 'TOOL', 'CALLS', 'ERRORS', 'MEAN MS', 'BYTES IN', 'BYTES OUT']
  reply(context, { usage: found }, rows.length === 0 ? 'Nothing was used.' : table([header, ...rows]))
}

export async function exportEntries(
  context: Context,
  options: FilterOptions &
    SeenOptions & { readonly format: string; readonly output?: string; readonly bodies?: boolean },
): Promise<void> {
  const { format } = options
  if (format !== 'jsonl' && format !== 'csv') throw new CliError('CLI_USAGE', '--format must be jsonl or csv')
  await explained(async () => {
    const lines = format === 'csv' ? csvLines(context, options) : bundleLines(context, options)
    if (options.output === undefined) {
      for await (const line of lines) context.print(line)
      return
    }
    // What is in it is somebody's data; and a file that is there is not overwritten.
    await using file = await open(resolve(context.cwd, options.output), 'wx', 0o600).catch((cause: unknown) => {
      throw new CliError('CLI_FILE_EXISTS', `${options.output} cannot be made: ${String(cause)}`, { cause })
    })
    let count = 0
    for await (const line of lines) {
      await file.write(`${line}\n`)
      count += 1
    }
    reply(context, { lines: count, output: options.output }, `Wrote ${count} lines to ${options.output}.`)
  })
}

type LineOptions = FilterOptions & SeenOptions & { readonly bodies?: boolean }

/** Changes nothing. */
async function* csvLines(context: Context, options: LineOptions): AsyncGenerator<string> {
  await using reader = await readLedger(auditPlace(context, options))
  yield* exportCsv(reader, { ...filterOf(options), withBodies: options.bodies === true })
}

/** What can be verified needs a signature: this writes a checkpoint. */
async function* bundleLines(context: Context, options: LineOptions): AsyncGenerator<string> {
  await using file = await openLedger(auditPlace(context, options))
  yield* bundleLedger(file, { ...filterOf(options), withBodies: options.bodies === true, ...seenOf(context, options) })
}

function filterOf({ consumer, server, tool, status, from, to }: FilterOptions): LedgerFilter {
  return { consumer, server, tool, status, from: timeOf(from, '--from'), to: timeOf(to, '--to') }
}

async function sumsOf(
  context: Context,
  options: TimesOptions,
): Promise<LedgerSums & { readonly exports: readonly ExportCursor[] }> {
  const from = timeOf(options.from, '--from')
  const to = timeOf(options.to, '--to')
  return await explained(async () => {
    await using reader = await readLedger(auditPlace(context, options))
    return { ...(await createLedgerUsage(reader).between(from, to)), exports: await exportCursors(reader) }
  })
}

function cell(value: unknown): string {
  return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value)
}
