/** Redacting a parsed JSON value: its texts, the names of its members, and the members that paths name. */
import { PolicyError } from '../errors.ts'
import { createFields, createMention, type FieldPath, type FieldState } from './fields.ts'
import { placeholder, redactText, type Findings, type TextRules } from './text.ts'

export type ValueRules = TextRules & { readonly fields: readonly FieldPath[] }

/** What the wire accepts, and more. */
const MAX_DEPTH = 256
/** JSON inside a text, as tools return it; a longer one is redacted as a text. */
const MAX_NESTED_JSON_CHARS = 4_000_000

/** The same value when there is nothing in it; never changes the one it is given. */
export function createValueRedactor(rules: ValueRules): (value: unknown, findings: Findings) => unknown {
  const { start, step } = createFields(rules.fields)
  const redactName = createNameRedactor(rules)
  const isMentioned = createMention(rules.fields)

  const redactLeaf = (text: string, findings: Findings, depth: number): string => {
    const isJson = rules.fields.length > 0 && /^\s*[[{]/.test(text) && text.length <= MAX_NESTED_JSON_CHARS
    const own = isJson && isMentioned(text) ? redactNested(text, findings, depth) : text
    return redactText(own, rules, findings)
  }
  const redactNested = (text: string, findings: Findings, depth: number): string => {
    const parsed = parseKeepingNumbers(text)
    // Written again even when nothing was found: of two members with one name only the last one was looked at.
    return parsed === undefined ? text : JSON.stringify(walk(parsed.value, start, findings, depth + 1))
  }
  const walk = (value: unknown, state: FieldState, findings: Findings, depth: number): unknown => {
    if (typeof value === 'string') return redactLeaf(value, findings, depth)
    if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) return value
    if (depth > MAX_DEPTH) throw new PolicyError('POLICY_VALUE_TOO_DEEP', `nested more than ${MAX_DEPTH} deep`)
    const visit = (key: string, member: unknown): unknown => {
      const { hit, next } = step(state, key)
      if (!hit) return walk(member, next, findings, depth + 1)
      findings.set('field', (findings.get('field') ?? 0) + 1)
      return placeholder('field')
    }
    return Array.isArray(value)
      ? walkList(value, visit)
      : walkMembers(value as Record<string, unknown>, visit, (name) => redactName(name, findings))
  }
  return (value, findings) => walk(value, start, findings, 0)
}

function walkList(list: readonly unknown[], visit: (key: string, member: unknown) => unknown): readonly unknown[] {
  let changed: unknown[] | undefined
  // By index here and below: iterators of entries make an array for each.
  for (let index = 0; index < list.length; index++) {
    const member = list[index]
    const redacted = visit(String(index), member)
    if (redacted !== member) changed ??= [...list]
    if (changed !== undefined) changed[index] = redacted
  }
  return changed ?? list
}

function walkMembers(
  value: Readonly<Record<string, unknown>>,
  visit: (key: string, member: unknown) => unknown,
  redactName: (name: string) => string,
): object {
  const names = Object.keys(value)
  // Most have nothing in them: only then nothing is copied.
  let members: (readonly [string, unknown])[] | undefined
  for (let index = 0; index < names.length; index++) {
    const name = names[index] as string
    const member = value[name]
    const newName = redactName(name)
    const redacted = visit(name, member)
    if (newName !== name || redacted !== member) {
      members ??= names.slice(0, index).map((earlier) => [earlier, value[earlier]] as const)
    }
    members?.push([newName, redacted])
  }
  if (members === undefined) return value
  const result: Record<string, unknown> = {}
  for (const [key, member] of members) {
    // Two names that were different must not become one.
    let free = key
    for (let twin = 2; Object.hasOwn(result, free); twin++) free = `${key}~${twin}`
    Object.defineProperty(result, free, { value: member, enumerable: true, configurable: true, writable: true })
  }
  return result
}

/** Names in which nothing was found. */
const MAX_CLEAN_NAMES = 1000
const MAX_CLEAN_CHARS = 64

/** Like `redactText`, for the names of members, which are the same few again and again. */
function createNameRedactor(rules: TextRules): (name: string, findings: Findings) => string {
  const clean = new Set<string>()
  return (name, findings) => {
    if (clean.has(name)) return name
    const redacted = redactText(name, rules, findings)
    if (redacted === name && name.length <= MAX_CLEAN_CHARS) {
      if (clean.size >= MAX_CLEAN_NAMES) clean.clear()
      clean.add(name)
    }
    return redacted
  }
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
