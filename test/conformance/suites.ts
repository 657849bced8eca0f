// The official suites as this runner uses them: which scenarios they hold, which of those are scored, how to run them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { run } from '../support/processes.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

export type Suite = { id: string; main: string; wholeArgs: string[]; scenarioArgs: string[]; listArgs: string[] }

export type Scenario = { name: string; isScored: boolean }

export type Check = { scenario: string; id: string; name: string; status: string; message: string }

export type SuiteRun = { exitCode: number; checks: Check[]; output: string }

const current = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'))
const previous = fileURLToPath(import.meta.resolve('conformance-0.1/dist/index.js'))
const listTimeoutMs = 30_000
const runTimeoutMs = 240_000

export const suites: Suite[] = [
  ...['2025-11-25', '2026-07-28'].map((revision) => ({
    id: revision,
    main: current,
    wholeArgs: ['--requirements', revision],
    scenarioArgs: ['--spec-version', revision],
    listArgs: ['--requirements', revision],
  })),
  // The released line still has scenarios of its own, for instance its 2025-03-26 request headers.
  { id: '0.1.16', main: previous, wholeArgs: ['--suite', 'all'], scenarioArgs: [], listArgs: ['--server'] },
]

/** All server scenarios of a suite. A requirement set names the ones that never count; 0.1.16 scores everything. */
export async function listScenarios(suite: Suite): Promise<Scenario[]> {
  const { stdout, exitCode } = await run(nodeCommand(suite.main, 'list', ...suite.listArgs), listTimeoutMs)
  if (exitCode !== 0) throw new Error(`${suite.id}: listing the scenarios failed with ${exitCode}`)
  const [scored = '', unscored = ''] = stdout.split('Run and reported, but never scored:')
  const serverPart = scored.split('Client scenarios')[0] ?? ''
  return [
    ...[...serverPart.matchAll(/^ {2}- (\S+)/gm)].map(([, name = '']) => ({ name, isScored: true })),
    ...[...unscored.matchAll(/^ {4}- (\S+) \[server\]/gm)].map(([, name = '']) => ({ name, isScored: false })),
  ]
}

/** Runs the whole suite in one process, or the given scenarios in one process each. */
export async function runSuite(suite: Suite, url: string, only?: string[]): Promise<SuiteRun> {
  if (only === undefined) return runOnce(suite, ['--url', url, ...suite.wholeArgs])
  const total: SuiteRun = { exitCode: 0, checks: [], output: '' }
  for (const scenario of only) {
    const one = await runOnce(suite, ['--url', url, '--scenario', scenario, ...suite.scenarioArgs])
    total.exitCode ||= one.exitCode
    total.checks.push(...one.checks)
    total.output += one.output
  }
  return total
}

async function runOnce(suite: Suite, args: string[]): Promise<SuiteRun> {
  using results = scratchDirectory()
  const { exitCode, stdout, stderr } = await run(
    nodeCommand(suite.main, 'server', ...args, '--output-dir', results.path),
    runTimeoutMs,
  )
  const checks = readdirSync(results.path).flatMap((folder) => readChecks(results.path, folder))
  return { exitCode, checks, output: stdout + stderr }
}

/** The suite writes `server-<scenario>-<timestamp>/checks.json` for every scenario that it finished. */
function readChecks(directory: string, folder: string): Check[] {
  const scenario = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(folder)?.[1]
  const file = join(directory, folder, 'checks.json')
  if (scenario === undefined || !existsSync(file)) return []
  const checks = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>[]
  return checks.map(({ id, name, status, errorMessage }) => ({
    scenario,
    id: String(id),
    name: String(name),
    status: String(status),
    message: typeof errorMessage === 'string' ? errorMessage : '',
  }))
}

function nodeCommand(main: string, ...args: string[]): { command: string; args: string[] } {
  return { command: process.execPath, args: [main, ...args] }
}
