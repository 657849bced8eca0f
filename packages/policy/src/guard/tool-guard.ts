/** Looks at what a server says about its tools, and at what they return, and says what to do about it. */
import { compileGlobs } from '../glob.ts'
import { PolicyError } from '../errors.ts'
import { normalize, POISONING_RULES, type PoisoningRule, type PoisoningRuleId } from './poisoning.ts'

export type GuardAction = 'allow' | 'flag' | 'block'

export type ToolGuardRules = {
  /** For tool definitions. @default 'flag' */
  readonly definitions?: GuardAction
  /** For texts in results, where strangers' texts are to be expected. @default 'flag' */
  readonly results?: GuardAction
  /** Another action for single rules. */
  readonly rules?: Readonly<Partial<Record<PoisoningRuleId, GuardAction>>>
  /** Globs of servers that are not looked at. */
  readonly trusted?: readonly string[]
}

export type GuardFinding = {
  readonly rule: PoisoningRuleId
  readonly reason: string
  /** `inputSchema.properties.path.description` */
  readonly at: string
  readonly action: GuardAction
}

export type GuardVerdict = {
  /** The strictest of the findings. */
  readonly action: GuardAction
  readonly findings: readonly GuardFinding[]
}

export type ToolGuard = {
  /** A tool as `tools/list` gives it. Never throws for what is in it. */
  readonly inspectTool: (server: string, tool: unknown) => GuardVerdict
  /** A result as `tools/call` gives it. */
  readonly inspectResult: (server: string, result: unknown) => GuardVerdict
}

/** Characters of one definition or result that are looked at. More is a finding of its own. */
const MAX_CHARS = 200_000
const MAX_TEXTS = 5000
const MAX_DEPTH = 64
const STRICTNESS: Readonly<Record<GuardAction, number>> = { allow: 0, flag: 1, block: 2 }
const FINE: GuardVerdict = Object.freeze({ action: 'allow', findings: Object.freeze([]) })
/** What data is made of; a definition that has it is odd, a result that has it is an image. */
const ONLY_IN_DEFINITIONS = new Set<string>(['encoded', 'secret-files'])

export function createToolGuard(rules: ToolGuardRules = {}): ToolGuard {
  const { definitions = 'flag', results = 'flag', trusted = [] } = rules
  const isTrusted = compileGlobs(trusted)
  const actionOf = (id: PoisoningRuleId, base: GuardAction): GuardAction => rules.rules?.[id] ?? base
  const inspect = (value: unknown, base: GuardAction, apply: readonly PoisoningRule[]): GuardVerdict => {
    const { texts, isCut } = collectTexts(value)
    const found = texts.flatMap(({ at, text }) => findIn(text, apply).map((rule) => ({ ...rule, at })))
    const cut = { rule: 'oversized' as const, reason: 'is longer than anybody would read', at: '' }
    const findings = (isCut ? [...found, cut] : found).map((one) => ({ ...one, action: actionOf(one.rule, base) }))
    const strictest = findings.map(({ action }) => action).sort((a, b) => STRICTNESS[b] - STRICTNESS[a])[0]
    return strictest === undefined ? FINE : { action: strictest, findings }
  }
  const inResults = POISONING_RULES.filter(({ id }) => !ONLY_IN_DEFINITIONS.has(id))
  return {
    inspectTool: (server, tool) => (isTrusted(server) ? FINE : inspect(tool, definitions, POISONING_RULES)),
    inspectResult: (server, result) => (isTrusted(server) ? FINE : inspect(result, results, inResults)),
  }
}

/** A verdict to block as an error. */
export function guardRefusal({ findings }: GuardVerdict, tool: string): PolicyError {
  const [first] = findings.filter(({ action }) => action === 'block')
  const why = first === undefined ? 'is blocked' : `${first.at === '' ? 'it' : first.at} ${first.reason}`
  return new PolicyError('POLICY_TOOL_BLOCKED', `${tool}: ${why}`, { rule: `tool-guard/${first?.rule ?? 'none'}` })
}

function findIn(text: string, rules: readonly PoisoningRule[]): { rule: PoisoningRuleId; reason: string }[] {
  const plain = normalize(text)
  return rules
    .filter(({ pattern, raw }) => pattern.test(raw === true ? text : plain))
    .map(({ id, reason }) => ({ rule: id, reason }))
}

type Text = { readonly at: string; readonly text: string }

/** Every text in it, names of members included; stops at the limits and says so. */
function collectTexts(value: unknown): { readonly texts: readonly Text[]; readonly isCut: boolean } {
  const texts: Text[] = []
  let chars = 0
  let isCut = false
  const add = (at: string, text: string): void => {
    const room = MAX_CHARS - chars
    if (texts.length >= MAX_TEXTS || text.length > room) isCut = true
    if (texts.length >= MAX_TEXTS || room <= 0) return
    chars += text.length
    texts.push({ at, text: text.slice(0, room) })
  }
  const walk = (one: unknown, at: string, depth: number): void => {
    if (isCut && chars >= MAX_CHARS) return
    if (typeof one === 'string') add(at, one)
    if (typeof one !== 'object' || one === null) return
    if (depth >= MAX_DEPTH) {
      isCut = true
      return
    }
    for (const [key, member] of Object.entries(one)) {
      const path = at === '' ? key : `${at}.${key}`
      // What a member is called is read by the model as well; `description` and its like are not news.
      if (!Array.isArray(one) && key.length > 20) add(at, key)
      walk(member, path.slice(0, 200), depth + 1)
    }
  }
  walk(value, '', 0)
  return { texts, isCut }
}
