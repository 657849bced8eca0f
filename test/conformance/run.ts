// The official conformance suites against the fixture and against the gateway in front of it (reference §3.6).
//
// The run fails when a scored scenario fails anywhere, when the gateway fails something that the fixture passes without
// it, and when a fixture process outlives the gateway that started it.
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { cliDist } from '../support/gateway.ts'
import { processesWith } from '../support/processes.ts'
import { jsonReport, type Row, textReport, totalsOf } from './report.ts'
import { listScenarios, runSuite, type Scenario, type Suite, type SuiteRun, suites } from './suites.ts'
import { crossEraTargets, openTestbed, sameEraTargets, type Target } from './targets.ts'
import { judge } from './verdict.ts'

const usage = `Usage: node test/conformance/run.ts [options]

  --only <substring>  run only what matches, as target/suite/scenario:
                      "stdio/2026-07-28", "sampling", "http/0.1.16/ping"
  --url <url>         test one running endpoint instead of starting anything
  --cli <file>        the gateway's main module (default: apps/cli/dist/main.js; a .ts runs from source)
  --json              print one JSON document instead of the report
  --verbose           also print what the gateway wrote
  --help              print this`

const options = readOptions()

// The gateway needs a moment to reap its children after it was told to stop.
const leftoverGraceMs = 3_000

type Options = {
  only: string
  url?: string
  cli: string
  json: boolean
  verbose: boolean
  help: boolean
}

type Plan = { target: Target; suite: Suite; scenarios: Scenario[]; isWhole: boolean }

if (options.help) console.log(usage)
else process.exitCode = await main()

async function main(): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  const marker = `--run=${randomUUID()}`
  const targets = options.url === undefined ? startedTargets() : [givenTarget()]
  const plans = await planFor(targets)
  if (plans.length === 0) {
    console.error(`Nothing matches "${options.only}"`)
    return 2
  }

  const rows =
    options.url === undefined ? await runStarted(plans, marker) : await runPlans(plans, () => options.url ?? '')
  const leftovers = await leftBehind(marker)
  console.log(options.json ? jsonReport(rows, leftovers) : textReport(rows, suites, leftovers))
  return totalsOf(rows, leftovers).failed === 0 ? 0 : 1
}

function readOptions(): Options {
  try {
    return parseArgs({
      options: {
        only: { type: 'string', default: '' },
        url: { type: 'string' },
        cli: { type: 'string', default: cliDist },
        json: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return process.exit(2)
  }
}

function startedTargets(): Target[] {
  return [...sameEraTargets, ...crossEraTargets]
}

function givenTarget(): Target {
  return {
    id: 'url',
    title: options.url ?? '',
    suites: suites.map(({ id }) => id),
    upstream: { kind: 'direct', era: 'dual' },
  }
}

async function planFor(targets: Target[]): Promise<Plan[]> {
  const plans: Plan[] = []
  for (const suite of suites) {
    const all = await listScenarios(suite)
    for (const target of targets.filter((candidate) => candidate.suites.includes(suite.id))) {
      const scenarios = all.filter(({ name }) => `${target.id}/${suite.id}/${name}`.includes(options.only))
      if (scenarios.length > 0) plans.push({ target, suite, scenarios, isWhole: scenarios.length === all.length })
    }
  }
  return withBaselines(plans)
}

/** What runs behind the gateway also runs directly, or there would be nothing to compare with. */
function withBaselines(plans: Plan[]): Plan[] {
  const [direct] = sameEraTargets
  if (direct === undefined || options.url !== undefined) return plans
  const baselines = suites.flatMap((suite) => {
    const [widest] = plans
      .filter((plan) => plan.suite === suite)
      .sort((a, b) => b.scenarios.length - a.scenarios.length)
    return widest === undefined ? [] : [{ ...widest, target: direct }]
  })
  return [...baselines, ...plans.filter(({ target }) => target !== direct)]
}

async function runStarted(plans: Plan[], marker: string): Promise<Row[]> {
  const targets = [...new Set(plans.map(({ target }) => target))]
  await using testbed = await openTestbed(targets, resolve(options.cli), marker)
  const rows = await runPlans(plans, (target) => testbed.urlOf(target))
  if (options.verbose) console.error(testbed.gatewayOutput())
  return rows
}

async function runPlans(plans: Plan[], urlOf: (target: Target) => string): Promise<Row[]> {
  const rows = new Map<Target, Row>()
  const baselines = new Map<Suite, SuiteRun>()
  for (const { target, suite, scenarios, isWhole } of plans) {
    console.error(`${target.title}: ${suite.id} ...`)
    const run = await runSuite(suite, urlOf(target), isWhole ? undefined : scenarios.map(({ name }) => name))
    const baseline = baselines.get(suite)
    if (target.id === 'direct') baselines.set(suite, run)
    const row = rows.get(target) ?? { target, verdicts: new Map() }
    row.verdicts.set(suite.id, judge(scenarios, run, baseline, target.untranslatable))
    rows.set(target, row)
  }
  return [...rows.values()]
}

async function leftBehind(marker: string): Promise<string[]> {
  const deadline = Date.now() + leftoverGraceMs
  let processes = processesWith(marker)
  while (processes.length > 0 && Date.now() < deadline) {
    await sleep(100)
    processes = processesWith(marker)
  }
  for (const { pid } of processes) process.kill(pid, 'SIGKILL')
  return processes.map(({ pid, commandLine }) => `${pid} ${commandLine}`)
}
