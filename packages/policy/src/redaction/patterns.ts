/**
 * Patterns of the operator's own, on RE2: linear in the text, whatever was written. They see one line at a time (or
 * MAX_LINE_CHARS of one that is longer), which is what makes them work on streams: a line is the same in any chunks.
 */
import type { RE2JS } from 're2js'
import { compileRe2 } from '../conditions/operators.ts'

export type NamedPattern = { readonly name: string; readonly pattern: string }

export type CompiledPattern = { readonly name: string; readonly re2: RE2JS }

/** What a stream may have to hold back when there are patterns. */
export const MAX_LINE_CHARS = 65_536

/** @throws SyntaxError with a message for the writer */
export function compilePattern({ name, pattern }: NamedPattern): CompiledPattern {
  const re2 = compileRe2(pattern)
  if (re2.test('')) throw new SyntaxError(`"${pattern}" matches where there is nothing`)
  return { name, re2 }
}

/** Where the line that begins at `start` ends, with its line feed. */
export function endOfLine(text: string, start: number): number {
  const feed = text.indexOf('\n', start)
  const end = feed < 0 ? text.length : feed + 1
  return Math.min(end, start + MAX_LINE_CHARS)
}

/** The line with every match replaced by `replace(name)`. */
export function replaceInLine(
  line: string,
  patterns: readonly CompiledPattern[],
  replace: (name: string) => string,
): string {
  let result = line
  for (const { name, re2 } of patterns) {
    if (!re2.test(result)) continue
    const matcher = re2.matcher(result)
    let rest = 0
    let out = ''
    while (matcher.find()) {
      if (matcher.end() === matcher.start()) continue
      out += result.slice(rest, matcher.start()) + replace(name)
      rest = matcher.end()
    }
    result = out + result.slice(rest)
  }
  return result
}
