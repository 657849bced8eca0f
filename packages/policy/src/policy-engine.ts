/**
 * The rules, as functions. A deny rule wins over every allow rule, whatever their order; what no rule allows is refused.
 * A deny rule needs its condition not to be false, an allow rule needs it to be true (conditions/outcome.ts says why).
 */
import { FALSE, TRUE, nameOf } from './conditions/outcome.ts'
import type { Decision, Obligation, PolicyEngine } from './decision.ts'
import type { Explanation, RuleExplanation } from './explain.ts'
import { indexRules, type CompiledRule } from './rule-index.ts'
import type { Policy } from './rule.ts'
import type { Subject, ToolCall } from './subject.ts'

export type PolicyEngineOptions = {
  readonly policies: readonly Policy[]
  /** `dry-run` allows everything, and says in `dryRun` what it would have refused. @default 'enforce' */
  readonly mode?: 'enforce' | 'dry-run'
}

export type RuleEngine = PolicyEngine & {
  /** Why: the decision, and what each rule said. For people; costs far more than `decide`. */
  readonly explain: (subject: Subject, call: ToolCall) => Explanation
}

/** The rules about one (roles, server, tool), as they are asked. */
type Line = {
  readonly deny: readonly CompiledRule[]
  readonly allow: readonly CompiledRule[]
  /** The allow rules that oblige to something: all that match are heard, not only the first. */
  readonly obliging: readonly CompiledRule[]
  /** The answer, when no argument can change it. */
  readonly settled: Decision | undefined
}

type Prepared = { readonly enforced: Line; readonly trial: Line | undefined }

const CONCEAL: Obligation = Object.freeze({ type: 'conceal' })
const NO_RULE = refuseByDefault('no rule allows this')
const NOT_THESE = refuseByDefault('no rule allows this with these arguments')

function refuseByDefault(reason: string): Decision {
  return Object.freeze({ allowed: false, rule: 'default-deny', reason, obligations: Object.freeze([]) })
}

/** Compiles the policies once. @throws SyntaxError when they were not read by `readPolicyFile` and have an unreadable glob */
export function createPolicyEngine({ policies, mode = 'enforce' }: PolicyEngineOptions): RuleEngine {
  const index = indexRules(policies, prepare)
  const concealed = new WeakMap<Decision, Decision>()

  const conceal = (decision: Decision): Decision => {
    let answer = concealed.get(decision)
    if (answer === undefined) {
      answer = Object.freeze({ ...decision, obligations: Object.freeze([...decision.obligations, CONCEAL]) })
      concealed.set(decision, answer)
    }
    return answer
  }
  const enforce = ({ enforced }: Prepared, subject: Subject, call: ToolCall): Decision => {
    const decision = decideBy(enforced, subject, call)
    return decision.allowed || canAllow(enforced, subject, call) ? decision : conceal(decision)
  }
  const decide = (subject: Subject, call: ToolCall): Decision => {
    const prepared = index.find(subject, call.server, call.tool)
    const { enforced, trial } = prepared
    if (enforced.settled?.allowed === true && trial === undefined) return enforced.settled
    const decision = enforce(prepared, subject, call)
    if (mode === 'dry-run') return rehearse(decision, trial === undefined ? decision : decideBy(trial, subject, call))
    if (trial === undefined) return decision
    return withTrial(decision, decideBy(trial, subject, call))
  }
  return {
    decide,
    isVisible(subject, server, tool, address) {
      if (mode === 'dry-run') return true
      return canAllow(index.find(subject, server, tool).enforced, subject, { server, tool, address })
    },
    explain(subject, call) {
      const rules = index.rules.map((rule) => explainRule(rule, index.concerns(rule, subject), subject, call))
      const isVisible = canAllow(index.find(subject, call.server, call.tool).enforced, subject, {
        ...call,
        args: undefined,
      })
      return { decision: decide(subject, call), isVisible: mode === 'dry-run' || isVisible, rules }
    },
  }
}

function prepare(about: readonly CompiledRule[]): Prepared {
  const enforced = about.filter(({ policy }) => policy.mode === 'enforce')
  return { enforced: lineOf(enforced), trial: enforced.length < about.length ? lineOf(about) : undefined }
}

function lineOf(rules: readonly CompiledRule[]): Line {
  const deny = rules.filter(({ rule }) => rule.action === 'deny')
  const allow = rules.filter(({ rule }) => rule.action === 'allow')
  const obliging = allow.filter(({ rule }) => rule.obligations.length > 0)
  return { deny, allow, obliging, settled: settle(deny, allow) }
}

function settle(deny: readonly CompiledRule[], allow: readonly CompiledRule[]): Decision | undefined {
  const always = deny.find(({ condition }) => condition === undefined)
  if (always !== undefined) return always.decision
  if (allow.length === 0 && deny.length === 0) return NO_RULE
  if (deny.length > 0 || allow.some(({ condition }) => condition !== undefined)) return undefined
  const [first] = allow
  return first && withObligations(first.decision, allow)
}

function decideBy(line: Line, subject: Subject, call: ToolCall): Decision {
  if (line.settled !== undefined) return line.settled
  for (const { condition, decision } of line.deny) {
    if (condition !== undefined && condition.evaluate(subject, call) !== FALSE) return decision
  }
  for (const { condition, decision } of line.allow) {
    if (condition !== undefined && condition.evaluate(subject, call) !== TRUE) continue
    if (line.obliging.length === 0) return decision
    const heard = line.obliging.filter((one) => (one.condition?.evaluate(subject, call) ?? TRUE) === TRUE)
    return withObligations(decision, heard)
  }
  return line.allow.length > 0 ? NOT_THESE : NO_RULE
}

/** Whether arguments exist that are allowed: some allow rule can still be true, and every deny rule can still be false. */
function canAllow({ deny, allow }: Line, subject: Subject, call: ToolCall): boolean {
  return (
    deny.every(({ condition }) => condition !== undefined && (condition.foresee(subject, call) & FALSE) !== 0) &&
    allow.some(({ condition }) => condition === undefined || (condition.foresee(subject, call) & TRUE) !== 0)
  )
}

function withObligations(decision: Decision, rules: readonly CompiledRule[]): Decision {
  const obligations = rules.flatMap(({ rule }) => rule.obligations)
  const distinct = new Map(obligations.map((one) => [JSON.stringify(one), one]))
  return Object.freeze({ ...decision, obligations: Object.freeze([...distinct.values()]) })
}

function withTrial(decision: Decision, trial: Decision): Decision {
  const { allowed, rule, reason } = trial
  return allowed === decision.allowed ? decision : { ...decision, dryRun: { allowed, rule, reason } }
}

function rehearse(decision: Decision, trial: Decision): Decision {
  const { allowed, rule, reason } = trial
  if (decision.allowed && allowed) return decision
  const passing: Decision = { allowed: true, rule: 'dry-run', reason: 'policies are not enforced', obligations: [] }
  const base = decision.allowed ? decision : passing
  return allowed ? base : { ...base, dryRun: { allowed, rule, reason } }
}

function explainRule(compiled: CompiledRule, concerns: boolean, subject: Subject, call: ToolCall): RuleExplanation {
  const { policy, rule, condition, decision } = compiled
  const base = { rule: decision.rule, action: rule.action, mode: policy.mode, reason: decision.reason }
  if (!concerns) return { ...base, matches: false, because: 'other roles or tenant', conditions: [] }
  if (!compiled.server(call.server)) return { ...base, matches: false, because: 'other server', conditions: [] }
  if (!compiled.tool(call.tool)) return { ...base, matches: false, because: 'other tool', conditions: [] }
  if (condition === undefined) return { ...base, matches: true, because: 'no condition', conditions: [] }
  const outcome = condition.evaluate(subject, call)
  const matches = rule.action === 'allow' ? outcome === TRUE : outcome !== FALSE
  return { ...base, matches, because: `condition is ${nameOf(outcome)}`, conditions: condition.trace(subject, call) }
}
