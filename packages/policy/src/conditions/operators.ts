/**
 * What a condition does with the value it found and the one it compares with. Each operator has types; a value of
 * another type is UNKNOWN (see outcome.ts), never converted: a server may read `"5000"` and `["5000"]` as it likes.
 */
import { RE2JS } from 're2js'
import { compileAddresses } from '../addresses/cidr.ts'
import { compileGlob } from '../glob.ts'
import { compareNumbers, isNumeric } from './decimal.ts'
import { FALSE, TRUE, UNKNOWN, not, type Outcome } from './outcome.ts'

/** `expected` is a constant, or what the caller's attributes held at the time of the call. */
type Compare = (actual: unknown, expected: unknown) => Outcome

export type ComparisonName =
  | 'eq'
  | 'neq'
  | 'in'
  | 'notIn'
  | 'lt'
  | 'lte'
  | 'gt'
  | 'gte'
  | 'startsWith'
  | 'endsWith'
  | 'contains'
  | 'maxLength'
  | 'minLength'
export type PatternName = 'regex' | 'glob' | 'cidr'

/** Operators whose right side may be a constant or the caller's. */
export const COMPARISONS: Readonly<Record<ComparisonName, Compare>> = {
  eq: equal,
  neq: (actual, expected) => not(equal(actual, expected)),
  in: isIn,
  notIn: (actual, expected) => not(isIn(actual, expected)),
  lt: ordered((order) => order < 0),
  lte: ordered((order) => order <= 0),
  gt: ordered((order) => order > 0),
  gte: ordered((order) => order >= 0),
  startsWith: onTexts((actual, expected) => actual.startsWith(expected)),
  endsWith: onTexts((actual, expected) => actual.endsWith(expected)),
  contains,
  maxLength: onLength((length, limit) => length <= limit),
  minLength: onLength((length, limit) => length >= limit),
}

/** Operators whose right side is compiled once, and therefore a constant. */
export const PATTERNS: Readonly<Record<PatternName, (sources: readonly string[]) => (text: string) => Outcome>> = {
  regex: compileRegex,
  glob: compileGlobTest,
  cidr: compileCidr,
}

/** Elements of a caller's list that `in` looks at. */
const MAX_LIST = 10_000
/** RE2 is linear, and 50 times slower than a RegExp: 64 KB take about 10 ms. */
const MAX_REGEX_INPUT_CHARS = 65_536
/** Instructions of a compiled pattern; `(a{1000}){1000}` would have a million. */
const MAX_REGEX_PROGRAM = 10_000

function truth(value: boolean): Outcome {
  return value ? TRUE : FALSE
}

function equal(actual: unknown, expected: unknown): Outcome {
  if (isNumeric(actual) && isNumeric(expected)) return truth(compareNumbers(actual, expected) === 0)
  if (typeof actual === 'string' && typeof expected === 'string') return truth(actual === expected)
  if (typeof actual === 'boolean' && typeof expected === 'boolean') return truth(actual === expected)
  return actual === null && expected === null ? TRUE : UNKNOWN
}

function isIn(actual: unknown, expected: unknown): Outcome {
  if (!Array.isArray(expected) || expected.length > MAX_LIST) return UNKNOWN
  // No element of another type can be equal, so a list of one type answers false and not unknown.
  let isComparable = false
  for (const one of expected as readonly unknown[]) {
    const outcome = equal(actual, one)
    if (outcome === TRUE) return TRUE
    if (outcome === FALSE) isComparable = true
  }
  return isComparable || (expected.length === 0 && isScalar(actual)) ? FALSE : UNKNOWN
}

function contains(actual: unknown, expected: unknown): Outcome {
  if (typeof actual === 'string') return typeof expected === 'string' ? truth(actual.includes(expected)) : UNKNOWN
  if (!Array.isArray(actual) || actual.length > MAX_LIST || !isScalar(expected)) return UNKNOWN
  // Here the caller wrote the list: `[["admin"], "x"]` must not pass for one without "admin".
  const outcomes = (actual as readonly unknown[]).map((one) => equal(one, expected))
  if (outcomes.includes(TRUE)) return TRUE
  return outcomes.includes(UNKNOWN) ? UNKNOWN : FALSE
}

function ordered(accepts: (order: number) => boolean): Compare {
  return (actual, expected) =>
    isNumeric(actual) && isNumeric(expected) ? truth(accepts(compareNumbers(actual, expected))) : UNKNOWN
}

function onTexts(accepts: (actual: string, expected: string) => boolean): Compare {
  return (actual, expected) =>
    typeof actual === 'string' && typeof expected === 'string' ? truth(accepts(actual, expected)) : UNKNOWN
}

function onLength(accepts: (length: number, limit: number) => boolean): Compare {
  return (actual, expected) =>
    (typeof actual === 'string' || Array.isArray(actual)) && typeof expected === 'number'
      ? truth(accepts(actual.length, expected))
      : UNKNOWN
}

export function isScalar(value: unknown): boolean {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || isNumeric(value)
}

/** RE2, found anywhere in the text. @throws SyntaxError */
export function compileRe2(source: string): RE2JS {
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(source)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SyntaxError(`"${source}" is no RE2 pattern: ${why}`, { cause })
  }
  if (compiled.programSize() > MAX_REGEX_PROGRAM) throw new SyntaxError(`"${source}" repeats too much`)
  return compiled
}

function compileRegex(sources: readonly string[]): (text: string) => Outcome {
  const patterns = sources.map(compileRe2)
  return (text) =>
    text.length > MAX_REGEX_INPUT_CHARS ? UNKNOWN : truth(patterns.some((pattern) => pattern.test(text)))
}

function compileGlobTest(sources: readonly string[]): (text: string) => Outcome {
  const globs = sources.map(compileGlob)
  return (text) => (text.length > MAX_REGEX_INPUT_CHARS ? UNKNOWN : truth(globs.some((glob) => glob(text))))
}

function compileCidr(sources: readonly string[]): (text: string) => Outcome {
  const has = compileAddresses(sources)
  return (text) => {
    const answer = has(text)
    return answer === undefined ? UNKNOWN : truth(answer)
  }
}
