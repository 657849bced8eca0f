/** Redacting a parsed JSON value: its texts, the names of its members, and the members that paths name. */
import { PolicyError } from '../errors.ts'
import { createFields, createMention, type FieldPath, type FieldState, type FieldStep } from './fields.ts'
import { count, redactText, type Findings, type TextRules } from './text.ts'

export type ValueRules = TextRules & { readonly fields: readonly FieldPath[] }

/** What the wire accepts, and more. */
const MAX_DEPTH = 256
/** JSON inside a text, as tools return it; a longer one is redacted as a text. */
const MAX_NESTED_JSON_CHARS = 4_000_000
const FIRST_LETTER = 97
const LAST_LETTER = 122

/** The same value when there is nothing in it; never changes the one it is given. */
export function createValueRedactor(rules: ValueRules): (value: unknown, findings: Findings) => unknown {
  const { start, step } = createFields(rules.fields)
  const isMentioned = createMention(rules.fields)

  const redactLeaf = (text: string, findings: Findings, depth: number): string => {
    const isJson = rules.fields.length > 0 && beginsLikeJson(text) && text.length <= MAX_NESTED_JSON_CHARS
    const own = isJson && isMentioned(text) ? redactNested(text, findings, depth) : text
    return redactText(own, rules, findings)
  }
  const redactNested = (text: string, findings: Findings, depth: number): string => {
    const parsed = parseKeepingNumbers(text)
    // Written again even when nothing was found: of two members with one name only the last one was looked at.
    return parsed === undefined ? text : JSON.stringify(walk(parsed.value, start, findings, depth + 1))
  }
  // Everything is handed down: a closure for each object cost as much as looking through a short text.
  const walk = (value: unknown, state: FieldState, findings: Findings, depth: number): unknown => {
    if (typeof value === 'string') return redactLeaf(value, findings, depth)
    if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) return value
    if (depth > MAX_DEPTH) throw new PolicyError('POLICY_VALUE_TOO_DEEP', `nested more than ${MAX_DEPTH} deep`)
    return Array.isArray(value)
      ? walkList(value, state, findings, depth)
      : walkMembers(value as Record<string, unknown>, state, findings, depth)
  }
  const visit = ({ hit, next }: FieldStep, member: unknown, findings: Findings, depth: number): unknown =>
    hit ? count(findings, 'field') : walk(member, next, findings, depth + 1)
  const walkList = (list: readonly unknown[], state: FieldState, findings: Findings, depth: number): unknown => {
    let changed: unknown[] | undefined
    // By index here and below: iterators of entries make an array for each.
    for (let index = 0; index < list.length; index++) {
      const member = list[index]
      const redacted = visit(step(state, String(index)), member, findings, depth)
      if (redacted !== member) changed ??= [...list]
      if (changed !== undefined) changed[index] = redacted
    }
    return changed ?? list
  }
  const walkMembers = (
    value: Readonly<Record<string, unknown>>,
    state: FieldState,
    findings: Findings,
    depth: number,
  ): object => {
    const names = Object.keys(value)
    // Most have nothing in them: only then nothing is copied.
    let members: Member[] | undefined
    for (let index = 0; index < names.length; index++) {
      const name = names[index] as string
      const member = value[name]
      const known = step(state, name)
      known.isClean ??= redactText(name, rules, { counts: undefined }) === name
      const newName = known.isClean ? name : redactText(name, rules, findings)
      const redacted = visit(known, member, findings, depth)
      if (newName !== name || redacted !== member) {
        members ??= names.slice(0, index).map((earlier) => [earlier, value[earlier]] as const)
      }
      members?.push([newName, redacted])
    }
    return members === undefined ? value : objectOf(members)
  }
  return (value, findings) => walk(value, start, findings, 0)
}

type Member = readonly [name: string, value: unknown]

function objectOf(members: readonly Member[]): object {
  const result: Record<string, unknown> = {}
  for (const [key, member] of members) {
    // Two names that were different must not become one.
    let free = key
    for (let twin = 2; Object.hasOwn(result, free); twin++) free = `${key}~${twin}`
    Object.defineProperty(result, free, { value: member, enumerable: true, configurable: true, writable: true })
  }
  return result
}

/** Most texts are told by their first letter, without a pattern. */
function beginsLikeJson(text: string): boolean {
  const first = text.charCodeAt(0)
  return first >= FIRST_LETTER && first <= LAST_LETTER ? false : /^\s*[[{]/.test(text)
}

function parseKeepingNumbers(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text, keepSpelling as (key: string, value: unknown) => unknown) as unknown }
  } catch (error) {
    // Not JSON after all, or deeper than the parser can go: then it is redacted as the text it is.
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined
    throw error
  }
}

function keepSpelling(_: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || context.source === undefined || String(value) === context.source) return value
  return JSON.rawJSON(context.source)
}
