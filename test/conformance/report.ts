import type { Suite } from './suites.ts'
import type { Target } from './targets.ts'
import type { Failure, Verdict } from './verdict.ts'

export type Row = { target: Pick<Target, 'id' | 'title'>; verdicts: Map<string, Verdict> }

export type Totals = { passed: number; failed: number }

export function totalsOf(rows: Row[], leftovers: string[]): Totals {
  const verdicts = rows.flatMap(({ verdicts }) => [...verdicts.values()])
  return {
    passed: sum(verdicts.map(({ passed }) => passed)),
    failed: sum(verdicts.map(({ deciding }) => deciding.length)) + leftovers.length,
  }
}

export function textReport(rows: Row[], suites: Suite[], leftovers: string[]): string {
  const { passed, failed } = totalsOf(rows, leftovers)
  return [
    ...table(rows, suites),
    '',
    ...section(
      'Failures that count',
      listed(rows, ({ deciding }) => deciding.map(describe)),
    ),
    ...section(
      'Failures that do not count',
      listed(rows, ({ tolerated }) => summarize(tolerated)),
    ),
    ...section(
      'Passed directly, not reached or only a warning here',
      listed(rows, ({ weaker }) => weaker.map(({ scenario, id }) => `${scenario}: ${id}`)),
    ),
    ...section('Processes left behind', leftovers),
    `${passed} passed, ${failed} failed`,
  ].join('\n')
}

export function jsonReport(rows: Row[], leftovers: string[]): string {
  const targets = rows.map(({ target, verdicts }) => ({ ...target, suites: Object.fromEntries(verdicts) }))
  return JSON.stringify({ targets, leftovers, ...totalsOf(rows, leftovers) }, null, 2)
}

function table(rows: Row[], suites: Suite[]): string[] {
  const cells = [
    ['pass/fail', ...suites.map(({ id }) => (id === '0.1.16' ? '0.1.16 all' : `${id} set`))],
    ...rows.map(({ target, verdicts }) => [target.title, ...suites.map(({ id }) => cell(verdicts.get(id)))]),
  ]
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0))) ?? []
  return cells.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

function cell(verdict: Verdict | undefined): string {
  if (verdict === undefined) return '-'
  const { passed, failed, deciding } = verdict
  const counting = failed > 0 || deciding.length > 0 ? ` (${deciding.length} count)` : ''
  return `${passed} / ${failed}${counting}`
}

function describe({ scenario, id, name, message, reason }: Failure): string {
  return `${scenario}: ${id} ${name} [${reason}] ${message}`
}

/** One line per reason: the fixture has no tasks, which alone is thirty checks in nine scenarios. */
function summarize(failures: Failure[]): string[] {
  return [...Map.groupBy(failures, ({ reason }) => reason)].map(([reason, group]) => {
    const scenarios = [...new Set(group.map(({ scenario }) => scenario))]
    return `${group.length} checks [${reason}] of ${scenarios.join(', ')}`
  })
}

function listed(rows: Row[], linesOf: (verdict: Verdict) => string[]): string[] {
  return rows.flatMap(({ target, verdicts }) =>
    [...verdicts].flatMap(([suite, verdict]) => linesOf(verdict).map((line) => `${target.id}/${suite}/${line}`)),
  )
}

function section(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`), '']
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
