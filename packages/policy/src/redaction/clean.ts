/**
 * A look at a value as the JSON text it was written as, before it is walked through: most small ones hold nothing.
 *
 * Only `true` is a promise. At every place of a string of the value, the text has the same characters before and behind as
 * that string has, and `"`, which is part of nothing, where it begins and ends. So whatever the scanner finds in the string
 * it finds in the text; what it finds besides, in numbers for instance, costs the walk and nothing else.
 */
import type { FieldPath } from './fields.ts'
import { scan } from './scanner.ts'
import type { Span } from './span.ts'
import { MAX_DEPTH, type ValueRules } from './value.ts'

/** Names that JSON writes as they are, in the case that `descend` compares. */
const PLAIN_NAME = /^[ !#-[\]-~]+$/

/** @returns whether nothing of what `createValueRedactor` would take out is in this text of `JSON.stringify` */
export function createPrescan({ looks, patterns, fields }: ValueRules): (json: string) => boolean {
  const names = endingsOf(fields)
  const mention = names !== undefined && names.length > 0 ? new RegExp(names.map(literal).join('|')) : undefined
  // A pattern may match anything, also the quotes that a string does not have.
  if (patterns.length > 0 || names === undefined) return () => false
  return (json) => {
    if (mayBeTooDeep(json)) return false
    const text = json.includes('\\') ? withoutEscapes(json) : json
    if (text === undefined) return false
    if (mention?.test(text.toLowerCase())) return false
    if (looks === undefined) return true
    const spans: Span[] = []
    scan({ text, isFinal: true }, 0, true, looks, spans)
    return spans.length === 0
  }
}

/** Names that members to be taken out have; undefined when any member could be one, or a text may hide them. */
function endingsOf(fields: readonly FieldPath[]): readonly string[] | undefined {
  const names = [...new Set(fields.map((path) => path.at(-1) ?? '*'))]
  return names.every((name) => name !== '*' && PLAIN_NAME.test(name)) ? names : undefined
}

function literal(name: string): string {
  return name.replaceAll(/[$()*+.?[\]^{|}]/g, '\\$&')
}

/**
 * What is escaped (a quote, a backslash, a line break) is part of nothing that is looked for, and neither is a quote. But the
 * letter behind the backslash would be. Undefined where `\u` may stand for any character, here or in JSON inside of a string.
 */
function withoutEscapes(json: string): string | undefined {
  return json.includes('\\u') ? undefined : json.replaceAll(/\\./g, '""')
}

/** `value` throws for such. */
function mayBeTooDeep(json: string): boolean {
  if (json.length <= 2 * MAX_DEPTH) return false
  let openings = 0
  for (let index = 0; index < json.length; index++) {
    const code = json.charCodeAt(index)
    if (code === 91 || code === 123) openings++
  }
  return openings > MAX_DEPTH
}
