/** Which rules of redaction are about a call, compiled and remembered. */
import { compileGlobs } from '../glob.ts'
import { createPairCache } from '../pair-cache.ts'
import { parseFieldPath } from './fields.ts'
import { compilePattern, type NamedPattern } from './patterns.ts'
import { looksOf } from './scanner.ts'
import { DETECTORS, type Detector } from './span.ts'
import { createTextStream, redactText, type Findings, type TextRules } from './text.ts'
import { createValueRedactor } from './value.ts'

/** Where something passes: to the server, back to the caller, or into a log. */
export type Passage = 'arguments' | 'results' | 'logs'

export type RedactionRule = {
  /** What an obligation `{ redact: <id> }` names. */
  readonly id: string
  readonly server: readonly string[]
  readonly tool: readonly string[]
  readonly on: readonly Passage[]
  readonly detectors: readonly Detector[]
  /** Paths from the arguments, the result or the log entry, and from the root of JSON inside a text. */
  readonly fields: readonly string[]
  readonly patterns: readonly NamedPattern[]
  /** `named`: only when an obligation asks for it. */
  readonly applies: 'always' | 'named'
}

/** What holds for logs when nobody configures anything: no secret and no person in a log. */
export const DEFAULT_REDACTION: readonly RedactionRule[] = [
  {
    id: 'logs',
    server: ['*'],
    tool: ['*'],
    on: ['logs'],
    detectors: DETECTORS,
    fields: ['**.password', '**.secret', '**.token', '**.authorization', '**.api_key', '**.apikey', '**.cookie'],
    patterns: [],
    applies: 'always',
  },
]

export type Redacted<T = unknown> = {
  /** The same value when nothing was found. */
  readonly value: T
  /** How often each detector, pattern or `field` found something; never what. Safe to log. */
  readonly findings: Readonly<Record<string, number>>
}

export type CallRedactor = {
  /** Whether there is anything to look for. */
  readonly isActive: boolean
  /** Redacts a parsed value. @throws PolicyError POLICY_VALUE_TOO_DEEP */
  readonly value: (value: unknown) => Redacted
  readonly text: (text: string) => Redacted<string>
  /** For a text that comes in chunks. */
  readonly stream: () => RedactionStream
}

export type RedactionStream = {
  readonly push: (chunk: string) => string
  readonly end: () => string
  readonly findings: () => Readonly<Record<string, number>>
}

export type Redactor = {
  /** @param named rules with `applies: named` that obligations of the decision ask for */
  readonly forCall: (server: string, tool: string, named?: readonly string[]) => CallRedactors
}

/** One for each place where something of a call passes. */
export type CallRedactors = Readonly<Record<Passage, CallRedactor>>

/** (server, tool, named) that are remembered. */
const MAX_REMEMBERED = 10_000

/** @throws SyntaxError for a rule that `readRedaction` would have reported */
export function createRedactor(rules: readonly RedactionRule[] = DEFAULT_REDACTION): Redactor {
  const compiled = rules.map((rule) => ({
    rule,
    server: compileGlobs(rule.server),
    tool: compileGlobs(rule.tool),
    fields: rule.fields.map(parseFieldPath),
    patterns: rule.patterns.map(compilePattern),
  }))
  const create = (server: string, tool: string, passage: Passage, named: readonly string[]): CallRedactor => {
    const about = compiled.filter(
      (one) =>
        one.rule.on.includes(passage) &&
        (one.rule.applies === 'always' || named.includes(one.rule.id)) &&
        one.server(server) &&
        one.tool(tool),
    )
    const detectors = new Set(about.flatMap(({ rule }) => rule.detectors))
    return createCallRedactor(
      { looks: detectors.size === 0 ? undefined : looksOf(detectors), patterns: about.flatMap((one) => one.patterns) },
      about.flatMap((one) => one.fields),
    )
  }
  const createAll = (server: string, tool: string, named: readonly string[]): CallRedactors => ({
    arguments: create(server, tool, 'arguments', named),
    results: create(server, tool, 'results', named),
    logs: create(server, tool, 'logs', named),
  })
  const always = createPairCache<CallRedactors>(MAX_REMEMBERED)
  const byNames = new Map<string, CallRedactors>()

  return {
    forCall(server, tool, named = NONE_NAMED) {
      if (named.length === 0) {
        let redactors = always.get(server, tool)
        if (redactors === undefined) always.set(server, tool, (redactors = createAll(server, tool, named)))
        return redactors
      }
      const key = JSON.stringify([server, tool, named])
      let redactors = byNames.get(key)
      if (redactors === undefined) {
        redactors = createAll(server, tool, named)
        if (byNames.size >= MAX_REMEMBERED) byNames.clear()
        byNames.set(key, redactors)
      }
      return redactors
    },
  }
}

const NONE_NAMED: readonly string[] = []

const NOTHING_FOUND: Readonly<Record<string, number>> = Object.freeze({})

function createCallRedactor(rules: TextRules, fields: ReturnType<typeof parseFieldPath>[]): CallRedactor {
  const redactValue = createValueRedactor({ ...rules, fields })
  const isActive = rules.looks !== undefined || rules.patterns.length > 0 || fields.length > 0
  return {
    isActive,
    value(value) {
      const findings: Findings = { counts: undefined }
      return { value: isActive ? redactValue(value, findings) : value, findings: told(findings) }
    },
    text(text) {
      const findings: Findings = { counts: undefined }
      return { value: redactText(text, rules, findings), findings: told(findings) }
    },
    stream() {
      const findings: Findings = { counts: undefined }
      return { ...createTextStream(rules, findings), findings: () => told(findings) }
    },
  }
}

function told({ counts }: Findings): Readonly<Record<string, number>> {
  return counts === undefined ? NOTHING_FOUND : Object.fromEntries(counts)
}
