/** Why a decision came out as it did: what `mcp-gateway policy explain` prints. */
import type { Decision } from './decision.ts'

export type RuleExplanation = {
  /** `<policy>/<rule>` */
  readonly rule: string
  readonly action: 'allow' | 'deny'
  readonly mode: 'enforce' | 'dry-run'
  readonly reason: string
  readonly matches: boolean
  /** `other tool`, `condition is unknown`, … */
  readonly because: string
  /** `args.customerId eq caller.attributes.customerId: unknown`; constants of the rule, never values of the call. */
  readonly conditions: readonly string[]
}

export type Explanation = {
  readonly decision: Decision
  /** Whether `tools/list` shows the tool to this caller. */
  readonly isVisible: boolean
  /** Every rule there is, in the order of the documents. */
  readonly rules: readonly RuleExplanation[]
}

/** For a terminal: the decision, then the rules about this call, the matching ones marked. */
export function formatExplanation({ decision, isVisible, rules }: Explanation): string {
  const about = rules.filter(({ because }) => !because.startsWith('other'))
  const lines = [
    `${decision.allowed ? 'ALLOWED' : 'REFUSED'} by ${decision.rule}: ${decision.reason}`,
    ...decision.obligations.map((obligation) => `  obligation: ${JSON.stringify(obligation)}`),
    ...(decision.dryRun
      ? [`  dry run: would be ${decision.dryRun.allowed ? 'allowed' : 'refused'} by ${decision.dryRun.rule}`]
      : []),
    `tools/list ${isVisible ? 'shows' : 'does not show'} this tool to this caller`,
    `${about.length} of ${rules.length} rules are about this caller, server and tool${about.length > 0 ? ':' : ''}`,
    ...about.flatMap((one) => [
      `  ${one.matches ? '*' : ' '} ${one.action.padEnd(5)} ${one.rule} (${one.because}${one.mode === 'dry-run' ? ', dry run' : ''})`,
      ...one.conditions.map((line) => `            ${line}`),
    ]),
  ]
  return lines.join('\n')
}
