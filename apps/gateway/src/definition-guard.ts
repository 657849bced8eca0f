/**
 * What servers say of their tools, and what their tools return, before a model reads it. The adversary is a server, or whoever
 * writes into what it returns, that hides instructions to the model in there.
 */
import { hash } from 'node:crypto'
import type { Caller } from '@mcp-gateway/auth'
import { createToolGuard, guardRefusal, type GuardVerdict, type ToolCall, type ToolGuardRules } from '@mcp-gateway/policy' // prettier-ignore
import type { JsonObject } from '@mcp-gateway/wire'
import type { Logger } from './log.ts'

export type DefinitionGuard = {
  readonly inspectsResults: boolean
  /** Whether it has anything to do with calls, and not only with lists. */
  readonly watchesCalls: boolean
  /** Whether a tool of a list may be shown. What is flagged is logged, once for each definition. */
  passes(server: string, tool: JsonObject): boolean
  /** A blocked tool is not called either. Undefined when there is nothing to look up. @throws PolicyError POLICY_TOOL_BLOCKED */
  check(caller: Caller, target: ToolCall): Promise<void> | undefined
  /** The rules that a result breaks. @throws PolicyError POLICY_TOOL_BLOCKED */
  inspectResult(target: ToolCall, result: unknown): readonly string[]
}

export type DefinitionGuardOptions = {
  readonly rules: ToolGuardRules
  /** The tools of a server, as everybody without abilities of their own is shown them. */
  readonly toolsOf: (caller: Caller, server: string) => Promise<readonly JsonObject[]>
  readonly logger: Logger
}

/** Definitions whose verdict is remembered; a server that makes up new ones each time fills this with its own. */
const MAX_SEEN = 20_000

export function createDefinitionGuard({ rules, toolsOf, logger }: DefinitionGuardOptions): DefinitionGuard {
  const guard = createToolGuard(rules)
  const blocks = rules.definitions === 'block' || Object.values(rules.rules ?? {}).includes('block')
  // A list is kept for as long as its server's tools are known to stay the same, and so are its items.
  const known = new WeakMap<JsonObject, GuardVerdict>()
  // A server that announces no changes is asked every time: what it says again is not looked at, or complained of, again.
  const seen = new Map<string, GuardVerdict>()

  const verdictOf = (server: string, tool: JsonObject): GuardVerdict => {
    let verdict = known.get(tool)
    if (verdict !== undefined) return verdict
    const key = `${server}/${hash('sha256', JSON.stringify(tool), 'base64url')}`
    verdict = seen.get(key) ?? inspect(server, tool, key)
    known.set(tool, verdict)
    return verdict
  }
  const inspect = (server: string, tool: JsonObject, key: string): GuardVerdict => {
    const verdict = guard.inspectTool(server, tool)
    if (seen.size >= MAX_SEEN) seen.clear()
    seen.set(key, verdict)
    const { action, findings } = verdict
    if (action !== 'allow') {
      const reasons = findings.slice(0, 10).map(({ rule, reason, at }) => ({ rule, reason, at }))
      logger.warn({ server, tool: String(tool['name']).slice(0, 256), action, findings: reasons }, 'suspicious tool definition') // prettier-ignore
    }
    return verdict
  }
  const check = async (caller: Caller, { server, tool }: ToolCall): Promise<void> => {
    const definition = (await toolsOf(caller, server)).find(({ name }) => name === tool)
    if (definition === undefined) return
    const verdict = verdictOf(server, definition)
    if (verdict.action === 'block') throw guardRefusal(verdict, tool)
  }

  const inspectsResults = (rules.results ?? 'flag') !== 'allow'
  return {
    inspectsResults,
    watchesCalls: blocks || inspectsResults,
    passes: (server, tool) => verdictOf(server, tool).action !== 'block',
    check: (caller, target) => (blocks ? check(caller, target) : undefined),
    inspectResult({ server, tool }, result) {
      const verdict = guard.inspectResult(server, result)
      if (verdict.action === 'block') throw guardRefusal(verdict, tool)
      return verdict.findings.filter(({ action }) => action === 'flag').map(({ rule }) => rule)
    },
  }
}
