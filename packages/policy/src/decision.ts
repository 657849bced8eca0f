import { PolicyError } from './errors.ts'
import type { Subject, ToolCall } from './subject.ts'

/** What has to happen besides the answer. Whoever acts on a decision and does not know an obligation must refuse. */
export type Obligation =
  /** Redact by the profile of this name. */
  | { readonly type: 'redact'; readonly profile: string }
  /** Count the call against the limit of this name as well. */
  | { readonly type: 'limit'; readonly limit: string }
  /** What of the call may be logged: its `bodies` too, or only its `metadata`. */
  | { readonly type: 'log'; readonly detail: 'bodies' | 'metadata' }
  /** Answer as if the tool did not exist: this caller could not call it with any arguments. */
  | { readonly type: 'conceal' }

/** May they. Goes into the log as it is: it holds names of rules, never a value of an argument. */
export type Decision = {
  readonly allowed: boolean
  /** `<policy>/<rule>`, or `default-deny`. */
  readonly rule: string
  /** One sentence for people. */
  readonly reason: string
  readonly obligations: readonly Obligation[]
  /** What the answer would be if every policy in `dry-run` were enforced, when that differs. */
  readonly dryRun?: { readonly allowed: boolean; readonly rule: string; readonly reason: string }
}

/** Anything that decides: the rules of this package, or Cedar's. */
export interface PolicyEngine {
  /** Never throws for what a caller sent: what cannot be decided is refused. */
  readonly decide: (subject: Subject, call: ToolCall) => Decision
  /** Whether some arguments exist with which `subject` may call this tool: what `tools/list` shows. */
  readonly isVisible: (subject: Subject, server: string, tool: string, address?: string) => boolean
}

/** The refusal as an error: `POLICY_UNKNOWN_TOOL` for those who may not know the tool, `POLICY_DENIED` for the others. */
export function refusal(decision: Decision, tool: string): PolicyError {
  return decision.obligations.some(({ type }) => type === 'conceal')
    ? new PolicyError('POLICY_UNKNOWN_TOOL', `unknown tool: ${tool}`, { rule: decision.rule })
    : new PolicyError('POLICY_DENIED', decision.reason, { rule: decision.rule })
}
