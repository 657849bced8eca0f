// What was measured, as Markdown for people. The JSON form is the report itself.
import type { ColdStart } from './cold-start.ts'
import type { Lists } from './lists.ts'
import type { Memory } from './memory.ts'
import { CONNECTIONS, ratio } from './throughput.ts'
import type { Row } from './throughput.ts'

export type Report = {
  readonly at: string
  readonly machine: string
  readonly node: string
  readonly pinned: boolean
  readonly seconds: number
  readonly repeats: number
  readonly rows: readonly Row[]
  readonly ratios: readonly Ratio[]
  readonly memory: readonly Memory[]
  readonly coldStarts: readonly ColdStart[]
  readonly lists: readonly Lists[]
}

export type Ratio = {
  readonly target: string
  readonly base: string
  readonly connections: number
  readonly ratio: number
}

/** What is guarded is compared with the same without. */
const ALSO_WITH_GATEWAY: readonly string[] = ['gateway-guarded', 'gateway-inspected']

export function ratiosOf(rows: readonly Row[]): Ratio[] {
  const frame = ['ceiling', 'floor']
  const basesOf = (target: string): string[] => (ALSO_WITH_GATEWAY.includes(target) ? [...frame, 'gateway'] : frame)
  const find = (target: string, connections: number): Row | undefined =>
    rows.find((row) => row.target === target && row.connections === connections)
  return rows
    .filter((row) => !frame.includes(row.target))
    .flatMap((row) =>
      basesOf(row.target).flatMap((base) => {
        const other = find(base, row.connections)
        const { target, connections } = row
        return other === undefined ? [] : [{ target, base, connections, ratio: ratio(row, other) }]
      }),
    )
}

export function toMarkdown(report: Report): string {
  const pinning = report.pinned ? 'servers on core 0, client on core 1' : 'NOT PINNED (no taskset or one core)'
  const head = `${report.machine}, Node ${report.node}, ${report.at}, ${pinning}`
  const parts = [
    head,
    rateTable(report),
    ratioTable(report.ratios),
    memoryTable(report.memory),
    startTable(report.coldStarts),
    listTable(report.lists),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

function rateTable({ rows, repeats, seconds }: Report): string {
  if (rows.length === 0) return ''
  const header = [
    'target',
    'connections',
    'calls/s',
    '±',
    'p50 ms',
    'p99 ms',
    'CPU µs/call',
    'RSS MB',
    'wrong',
    'client CPU',
    'foreign CPU',
  ]
  const cells = rows.map((row) => [
    row.target,
    String(row.connections),
    row.perSecond.toFixed(0),
    percent(row.spread),
    row.p50Ms.toFixed(3),
    row.p99Ms.toFixed(3),
    row.cpuUs > 0 ? row.cpuUs.toFixed(1) : '',
    row.rssMb > 0 ? row.rssMb.toFixed(0) : '',
    String(row.wrong),
    percent(row.client),
    percent(row.foreign),
  ])
  return `Medians of ${repeats} interleaved samples of ${seconds} s; RSS after the last, foreign CPU at its worst.\n\n${table(header, cells)}`
}

function ratioTable(ratios: readonly Ratio[]): string {
  if (ratios.length === 0) return ''
  const pairs = [...new Set(ratios.map(({ target, base }) => `${target} / ${base}`))]
  const cells = pairs.map((pair) => [
    pair,
    ...CONNECTIONS.map((connections) => {
      const found = ratios.find((one) => `${one.target} / ${one.base}` === pair && one.connections === connections)
      return found?.ratio.toFixed(3) ?? ''
    }),
  ])
  return table(['calls/s of', ...CONNECTIONS.map((connections) => `${connections} connections`)], cells)
}

function memoryTable(memory: readonly Memory[]): string {
  if (memory.length === 0) return ''
  const cells = memory.map((one) => [
    one.target,
    String(one.calls),
    one.startMb.toFixed(1),
    one.peakMb.toFixed(1),
    one.endMb.toFixed(1),
    one.mbPerMillionCalls.toFixed(2),
    String(one.wrong),
  ])
  return table(
    ['memory of', 'calls', 'RSS MB at start', 'peak', 'at end', 'MB per million calls (second half)', 'wrong'],
    cells,
  )
}

function startTable(starts: readonly ColdStart[]): string {
  if (starts.length === 0) return ''
  const cells = starts.map(({ target, medianMs, startsMs }) => [
    target,
    medianMs.toFixed(0),
    Math.min(...startsMs).toFixed(0),
    Math.max(...startsMs).toFixed(0),
  ])
  return table(['cold start of', 'median ms', 'fastest', 'slowest'], cells)
}

function listTable(lists: readonly Lists[]): string {
  if (lists.length === 0) return ''
  const cells = lists.map((one) => [
    `${one.servers} servers`,
    String(one.tools),
    (one.bytes / 1024).toFixed(0),
    one.firstMs.toFixed(0),
    one.p50Ms.toFixed(2),
    one.p99Ms.toFixed(2),
    one.rssMb.toFixed(0),
  ])
  return table(['tools/list on /mcp', 'tools', 'KiB', 'first ms', 'p50 ms warm', 'p99 ms', 'RSS MB idle'], cells)
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = header.map((_, column) => (column === 0 ? '---' : '---:'))
  return [header, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
}
