/**
 * Tables of cases that say what a policy is to do, for people who do not read code: what `mcp-gateway policy test` runs.
 *
 *     callers:
 *       alice: { roles: [support], attributes: { customerId: c-1 } }
 *     cases:
 *       - { caller: alice, call: crm/get_customer, args: { customerId: c-1 }, expect: allow }
 *       - { caller: alice, call: crm/delete_customer, expect: unknown, because: support never deletes }
 */
import type { Decision, PolicyEngine } from './decision.ts'
import { entries, items, members, oneOf, report, required, text, type Field } from './document/reader.ts'
import { readValue, readYaml } from './document/yaml.ts'
import type { Policy } from './rule.ts'
import { readPolicies } from './rule.ts'
import type { Subject } from './subject.ts'

/** `allow`, `deny` (they know the tool and may not), or `unknown` (they are not to know that it exists). */
export type Expectation = 'allow' | 'deny' | 'unknown'

export type PolicyCase = {
  /** The caller's name in the table. */
  readonly caller: string
  readonly server: string
  readonly tool: string
  readonly args?: unknown
  readonly address?: string
  readonly expect: Expectation
  /** The rule that has to decide. */
  readonly rule?: string
  /** For people. */
  readonly because?: string
}

export type PolicyTable = {
  readonly callers: Readonly<Record<string, Subject>>
  readonly cases: readonly PolicyCase[]
  /** The policies that the table itself brings along. */
  readonly policies?: readonly Policy[]
}

export type CaseResult = {
  readonly case: PolicyCase
  readonly passed: boolean
  readonly got: Expectation
  readonly decision: Decision
  /** What `tools/list` shows does not fit what was decided. */
  readonly inconsistent: boolean
}

const MAX_CALLERS = 1000
const MAX_CASES = 20_000

/** @throws PolicyError POLICY_DOCUMENT_INVALID, each finding with its line */
export function parsePolicyTable(source: string, file = 'table.yaml'): PolicyTable {
  return readYaml(source, file, readTable)
}

/** The same from a parsed value. @throws PolicyError POLICY_DOCUMENT_INVALID */
export function toPolicyTable(value: unknown, name = 'table'): PolicyTable {
  return readValue(value, name, readTable)
}

/** Every case through the engine, in order. */
export function runPolicyTable(engine: PolicyEngine, { callers, cases }: PolicyTable): readonly CaseResult[] {
  return cases.map((one) => {
    const subject = callers[one.caller] ?? { id: one.caller, roles: [] }
    const { server, tool, args, address } = one
    const decision = engine.decide(subject, { server, tool, args, address })
    const isVisible = engine.isVisible(subject, server, tool, address)
    const got = outcomeOf(decision)
    const fits = got === one.expect && (one.rule === undefined || one.rule === decision.rule)
    const inconsistent = (got === 'unknown') === isVisible
    return { case: one, passed: fits && !inconsistent, got, decision, inconsistent }
  })
}

/** One line for each case that failed, and one with the count. */
export function formatCaseResults(results: readonly CaseResult[]): string {
  const failed = results.filter(({ passed }) => !passed)
  const lines = failed.map(({ case: one, got, decision, inconsistent }) => {
    const wanted = one.rule === undefined ? one.expect : `${one.expect} by ${one.rule}`
    const call = `${one.caller} calls ${one.server}/${one.tool} ${one.args === undefined ? '' : JSON.stringify(one.args)}`
    const odd = inconsistent ? '; tools/list says otherwise' : ''
    return `FAILED ${call.trim()}: expected ${wanted}, got ${got} by ${decision.rule}${odd}`
  })
  return [...lines, `${results.length - failed.length} passed, ${failed.length} failed`].join('\n')
}

function outcomeOf({ allowed, obligations }: Decision): Expectation {
  if (allowed) return 'allow'
  return obligations.some(({ type }) => type === 'conceal') ? 'unknown' : 'deny'
}

function readTable(field: Field): PolicyTable | undefined {
  const found = members(field, ['callers', 'cases', 'policies'])
  if (found === undefined) return undefined
  const policies = found.policies && readPolicies(found.policies)
  const callersField = required(field, found, 'callers')
  const callers = callersField && readCallers(callersField)
  const casesField = required(field, found, 'cases')
  if (callers === undefined || casesField === undefined) return undefined
  const cases = items(casesField, MAX_CASES)?.map((one) => readCase(one, callers))
  if (!cases?.every((one) => one !== undefined) || (found.policies && !policies)) return undefined
  return { callers, cases, ...(policies && { policies }) }
}

function readCallers(field: Field): Readonly<Record<string, Subject>> | undefined {
  const read = entries(field, MAX_CALLERS)?.map(([name, one]) => [name, readCaller(name, one)] as const)
  if (read === undefined) return undefined
  return Object.fromEntries(read.flatMap(([name, one]) => (one === undefined ? [] : [[name, one] as const])))
}

function readCaller(name: string, field: Field): Subject | undefined {
  const found = members(field, ['id', 'roles', 'tenant', 'tier', 'attributes'])
  if (found === undefined) return undefined
  const roles = found.roles ? items(found.roles, 100)?.map((one) => text(one)) : []
  const id = found.id ? text(found.id) : name
  const tenantId = found.tenant && text(found.tenant)
  const tier = found.tier && text(found.tier)
  const attributes =
    found.attributes && entries(found.attributes, 100)?.map(([key, { value }]) => [key, value] as const)
  if (id === undefined || !roles?.every((one) => one !== undefined)) return undefined
  return {
    id,
    roles: Object.freeze(roles),
    ...(tenantId && { tenantId }),
    ...(tier && { tier }),
    ...(attributes && { attributes: Object.fromEntries(attributes) }),
  }
}

function readCase(field: Field, callers: Readonly<Record<string, Subject>>): PolicyCase | undefined {
  const found = members(field, ['caller', 'call', 'args', 'address', 'expect', 'rule', 'because'])
  if (found === undefined) return undefined
  const [callerField, callField, expectField] = (['caller', 'call', 'expect'] as const).map((key) =>
    required(field, found, key),
  )
  const caller = callerField && text(callerField)
  const call = callField && text(callField)
  const expect = expectField && oneOf(expectField, ['allow', 'deny', 'unknown'])
  const address = found.address && text(found.address)
  const rule = found.rule && text(found.rule)
  const because = found.because && text(found.because)
  if (caller === undefined || call === undefined || expect === undefined) return undefined
  if (!Object.hasOwn(callers, caller)) return report(field, `there is no caller "${caller}" in this table`)
  const slash = call.indexOf('/')
  if (slash < 1 || slash === call.length - 1) return report(field, `"${call}" must be <server>/<tool>`)
  const optional = { ...(address && { address }), ...(rule && { rule }), ...(because && { because }) }
  const args = found.args === undefined ? {} : { args: found.args.value }
  return { caller, server: call.slice(0, slash), tool: call.slice(slash + 1), ...args, expect, ...optional }
}
