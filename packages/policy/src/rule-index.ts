/**
 * Which rules are about a call, before anybody looks at its arguments. Roles, server and tool decide that, and they
 * repeat: the answer is remembered, so that a decision is two look-ups and the conditions that are left.
 *
 * A caller chooses the names of tools and, through an issuer, of roles. Both only cost the memory below, which is
 * thrown away when it is full.
 */
import { compileConditions, type Condition } from './conditions/condition.ts'
import { compileExpression } from './conditions/expression.ts'
import { and, nameOf } from './conditions/outcome.ts'
import type { Decision } from './decision.ts'
import { compileGlobs, type Glob } from './glob.ts'
import type { Policy, Rule } from './rule.ts'
import type { Subject } from './subject.ts'

export type CompiledRule = {
  readonly policy: Policy
  readonly rule: Rule
  readonly server: Glob
  readonly tool: Glob
  readonly condition: Condition | undefined
  /** What this rule decides when it is the one. */
  readonly decision: Decision
}

export type RuleIndex<T> = {
  /** What was prepared for the rules about this subject, server and tool. */
  readonly find: (subject: Subject, server: string, tool: string) => T
  readonly rules: readonly CompiledRule[]
  /** Whether a rule is about callers with these roles and tenant, whatever it says of server and tool. */
  readonly concerns: (rule: CompiledRule, subject: Subject) => boolean
}

/** Remembered (roles, server, tool); about 200 bytes each. */
const MAX_REMEMBERED = 50_000
/** Combinations of roles that are remembered by their names. */
const MAX_ROLE_SETS = 5000
/** Longer names are the business of nobody here, and match no rule. */
const MAX_NAME_CHARS = 512

type View<T> = {
  readonly tenantId: string | undefined
  readonly rules: readonly CompiledRule[]
  readonly byServer: Map<string, Map<string, T>>
}

/** `prepare` gets the rules about one (roles, server, tool) in the order of the documents, and its answer is remembered. */
export function indexRules<T extends object>(
  policies: readonly Policy[],
  prepare: (about: readonly CompiledRule[]) => T,
): RuleIndex<T> {
  const nothing = prepare([])
  const applies = new Map(policies.map((policy) => [policy, compileWho(policy)]))
  const rules = policies.flatMap((policy) => policy.rules.map((rule) => compileRule(policy, rule)))
  const concerns = ({ policy }: CompiledRule, subject: Subject): boolean => applies.get(policy)?.(subject) ?? false
  let byRoles = new WeakMap<readonly string[], View<T>>()
  let byNames = new Map<string, View<T>>()
  let remembered = 0

  const viewOf = (subject: Subject): View<T> => {
    const { roles, tenantId } = subject
    const known = byRoles.get(roles)
    if (known !== undefined && known.tenantId === tenantId) return known
    const names = JSON.stringify([tenantId ?? null, roles])
    let view = byNames.get(names)
    if (view === undefined) {
      view = { tenantId, rules: rules.filter((rule) => concerns(rule, subject)), byServer: new Map() }
      if (byNames.size >= MAX_ROLE_SETS) byNames.clear()
      byNames.set(names, view)
    }
    // Roles that could still change must be read again on every call.
    if (Object.isFrozen(roles)) byRoles.set(roles, view)
    return view
  }

  const remember = (view: View<T>, server: string, tool: string, found: T): void => {
    if (++remembered > MAX_REMEMBERED) {
      remembered = 0
      byRoles = new WeakMap()
      byNames = new Map()
      return
    }
    const byTool = view.byServer.get(server)
    if (byTool === undefined) view.byServer.set(server, new Map([[tool, found]]))
    else byTool.set(tool, found)
  }

  const find = (subject: Subject, server: string, tool: string): T => {
    const view = viewOf(subject)
    const known = view.byServer.get(server)?.get(tool)
    if (known !== undefined) return known
    if (server.length > MAX_NAME_CHARS || tool.length > MAX_NAME_CHARS) return nothing
    const found = prepare(view.rules.filter((rule) => rule.server(server) && rule.tool(tool)))
    remember(view, server, tool, found)
    return found
  }
  return { find, rules, concerns }
}

function compileWho({ roles, tenants }: Policy): (subject: Subject) => boolean {
  const everybody = roles.includes('*')
  const hasRole = compileGlobs(roles)
  return (subject) =>
    (tenants === undefined || (subject.tenantId !== undefined && tenants.includes(subject.tenantId))) &&
    (everybody || subject.roles.some(hasRole))
}

function compileRule(policy: Policy, rule: Rule): CompiledRule {
  const name = `${policy.id}/${rule.id}`
  const what = `${rule.server.join(', ')} / ${rule.tool.join(', ')}`
  const said = rule.reason ?? `${rule.action === 'allow' ? 'allowed' : 'denied'} by "${policy.name}": ${what}`
  return {
    policy,
    rule,
    server: compileGlobs(rule.server),
    tool: compileGlobs(rule.tool),
    condition: compileCondition(rule),
    decision: Object.freeze({
      allowed: rule.action === 'allow',
      rule: name,
      reason: said,
      obligations: Object.freeze([...rule.obligations]),
    }),
  }
}

function compileCondition({ conditions, when }: Rule): Condition | undefined {
  const operators = conditions && compileConditions(conditions)
  if (when === undefined) return operators
  const { evaluate, foresee } = compileExpression(when)
  const trace: Condition['trace'] = (subject, call) => [`${when}: ${nameOf(evaluate(subject, call))}`]
  const expression: Condition = { evaluate, foresee, text: when, trace }
  if (operators === undefined) return expression
  return {
    evaluate: (subject, call) => and(operators.evaluate(subject, call), evaluate(subject, call)),
    foresee: (subject, call) => and(operators.foresee(subject, call), foresee(subject, call)),
    text: `${operators.text} and ${when}`,
    trace: (subject, call) => [...operators.trace(subject, call), ...trace(subject, call)],
  }
}
