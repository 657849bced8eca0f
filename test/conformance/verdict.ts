// What a run means: a scored failure counts, and so does everything that the fixture passes without the gateway.
import type { Check, Scenario, SuiteRun } from './suites.ts'

export type Failure = Check & { reason: string }

/** Scenarios, or single checks as `scenario/check`, that a translation between the eras cannot pass, with the reason why. */
export type Untranslatable = Record<string, string>

export type Verdict = {
  passed: number
  failed: number
  exitCode: number
  /** Failures that decide the exit code of the whole run. */
  deciding: Failure[]
  /** Failures that the fixture shares in unscored scenarios, and those that no translation can avoid. */
  tolerated: Failure[]
  /** Checks that pass against the fixture and are not reached, or only a warning, here. */
  weaker: Check[]
}

/** `baseline` is the same suite against the fixture itself; without it only the suite's own scores decide. */
export function judge(
  scenarios: Scenario[],
  run: SuiteRun,
  baseline?: SuiteRun,
  untranslatable: Untranslatable = {},
): Verdict {
  const scored = new Set(scenarios.filter(({ isScored }) => isScored).map(({ name }) => name))
  const passesDirectly = new Set(
    keyed(baseline?.checks ?? [])
      .filter(isSuccess)
      .map(({ key }) => key),
  )
  const checks = keyed(run.checks)
  const failures = checks.filter(({ check }) => check.status === 'FAILURE')

  const deciding: Failure[] = []
  const tolerated: Failure[] = []
  for (const { key, check } of failures) {
    const excuse = untranslatable[check.scenario] ?? untranslatable[`${check.scenario}/${check.id}`]
    if (excuse !== undefined) tolerated.push({ ...check, reason: excuse })
    else if (scored.has(check.scenario)) deciding.push({ ...check, reason: 'scored' })
    else if (passesDirectly.has(key)) deciding.push({ ...check, reason: 'fixture passes it' })
    else tolerated.push({ ...check, reason: 'unscored, and not passed by the fixture' })
  }
  const failsDirectly = new Set(baseline?.checks.filter(({ status }) => status === 'FAILURE').map(scenarioOf))
  for (const failure of missing(scenarios, run)) {
    const counts = scored.has(failure.scenario) || !failsDirectly.has(failure.scenario)
    ;(counts ? deciding : tolerated).push(failure)
  }
  if (run.exitCode !== 0 && failures.length === 0) deciding.push(crash(run))

  const reached = new Set(checks.filter((entry) => isSuccess(entry) || entry.check.status === 'FAILURE').map(keyOf))
  return {
    passed: checks.filter(isSuccess).length,
    failed: failures.length,
    exitCode: run.exitCode,
    deciding,
    tolerated,
    weaker: keyed(baseline?.checks ?? [])
      .filter((entry) => isSuccess(entry) && !reached.has(entry.key))
      .map(({ check }) => check),
  }
}

type KeyedCheck = { key: string; check: Check }

/** One scenario may report the same id several times, so the position among its namesakes is part of the key. */
function keyed(checks: Check[]): KeyedCheck[] {
  const seen = new Map<string, number>()
  return checks.map((check) => {
    const base = `${check.scenario}/${check.id}/${check.name}`
    const position = seen.get(base) ?? 0
    seen.set(base, position + 1)
    return { key: `${base}/${position}`, check }
  })
}

function scenarioOf({ scenario }: Check): string {
  return scenario
}

function keyOf({ key }: KeyedCheck): string {
  return key
}

function isSuccess({ check }: KeyedCheck): boolean {
  return check.status === 'SUCCESS'
}

/** A scenario without any check is no success: the suite may have died before it. */
function missing(scenarios: Scenario[], run: SuiteRun): Failure[] {
  const ran = new Set(run.checks.map(scenarioOf))
  return scenarios
    .filter(({ name }) => !ran.has(name))
    .map(({ name }) => ({
      scenario: name,
      id: '-',
      name: '-',
      status: 'MISSING',
      message: 'reported no check',
      reason: 'did not run',
    }))
}

function crash(run: SuiteRun): Failure {
  const message = `the suite ended with ${run.exitCode}: ${run.output.trim().split('\n').slice(-3).join(' | ')}`
  return { scenario: '-', id: '-', name: '-', status: 'CRASHED', message, reason: 'crashed' }
}
