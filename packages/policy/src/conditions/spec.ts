/** A condition as it is written, and reading it: `{ param: customerId, operator: eq, caller: attributes.customerId }`. */
import { flag, integer, items, members, oneOf, report, required, text, texts, type Field } from '../document/reader.ts'
import { COMPARISONS, PATTERNS, isScalar, type ComparisonName, type PatternName } from './operators.ts'
import { parsePath, type ValuePath } from './path.ts'

export type ConditionSpec =
  | { readonly type: 'all' | 'any'; readonly conditions: readonly ConditionSpec[] }
  | { readonly type: 'not'; readonly condition: ConditionSpec }
  | { readonly type: 'exists'; readonly path: ValuePath; readonly expected: boolean }
  | {
      readonly type: 'pattern'
      readonly path: ValuePath
      readonly operator: PatternName
      readonly sources: readonly string[]
    }
  | { readonly type: 'constant'; readonly path: ValuePath; readonly operator: ComparisonName; readonly value: unknown }
  | { readonly type: 'caller'; readonly path: ValuePath; readonly operator: ComparisonName; readonly caller: ValuePath }

const MAX_CONDITIONS = 64
const MAX_NESTING = 8
const MAX_CONSTANTS = 10_000
const MAX_TEXT_CHARS = 4000
const NUMERIC = new Set<string>(['lt', 'lte', 'gt', 'gte'])
const TEXTUAL = new Set<string>(['startsWith', 'endsWith'])
const LENGTHS = new Set<string>(['maxLength', 'minLength'])
const LISTS = new Set<string>(['in', 'notIn'])

const comparisons = Object.keys(COMPARISONS) as readonly ComparisonName[]
const patterns = Object.keys(PATTERNS) as readonly PatternName[]
const OPERATORS = [...comparisons, ...patterns, 'exists'] as const

/** A list of conditions that all have to hold. */
export function readConditions(field: Field, depth = 0): readonly ConditionSpec[] | undefined {
  const read = items(field, MAX_CONDITIONS)?.map((one) => readCondition(one, depth))
  // An empty list holds for everything; whoever wrote it meant something else.
  if (read?.length === 0) return report(field, 'is empty; leave it out when there is no condition')
  return read?.every((one) => one !== undefined) ? read : undefined
}

function readCondition(field: Field, depth: number): ConditionSpec | undefined {
  const found = members(field, ['all', 'any', 'not', 'param', 'path', 'operator', 'value', 'caller'])
  if (found === undefined) return undefined
  const [group, ...others] = (['all', 'any', 'not'] as const).filter((key) => found[key] !== undefined)
  const inner = group === undefined ? undefined : found[group]
  if (group === undefined || inner === undefined) return readComparison(field, found)
  if (others.length > 0 || Object.keys(found).length > 1) return report(field, `has more than "${group}"`)
  if (depth >= MAX_NESTING) return report(field, `is nested more than ${MAX_NESTING} deep`)
  if (group === 'not') {
    const condition = readCondition(inner, depth + 1)
    return condition && { type: 'not', condition }
  }
  const conditions = readConditions(inner, depth + 1)
  return conditions && { type: group, conditions }
}

type Found = Partial<Record<'param' | 'path' | 'operator' | 'value' | 'caller', Field>>

function readComparison(field: Field, found: Found): ConditionSpec | undefined {
  const path = readPathOf(field, found)
  const operatorField = required(field, found, 'operator')
  const operator = operatorField && oneOf(operatorField, OPERATORS)
  if (path === undefined || operator === undefined) return undefined
  const { value, caller } = found
  if (operator === 'exists') {
    if (caller !== undefined) return report(caller, 'is nothing that "exists" compares with')
    const expected = value === undefined ? true : flag(value)
    return expected === undefined ? undefined : { type: 'exists', path, expected }
  }
  if ((value === undefined) === (caller === undefined)) {
    return report(field, 'needs either "value" (a constant) or "caller" (a path like attributes.customerId)')
  }
  if (caller !== undefined) return readCaller(caller, path, operator)
  return value && readConstant(value, path, operator)
}

function readPathOf(field: Field, { param, path }: Found): ValuePath | undefined {
  const source = param ?? path
  if (source === undefined || (param !== undefined && path !== undefined)) {
    return report(field, 'needs either "param" (an argument, like customer.id) or "path" (like args.customer.id)')
  }
  const written = text(source)
  return written === undefined ? undefined : parse(source, param === undefined ? written : argument(written))
}

/** `customer.id` is `args.customer.id`, and `customer-id` or `["a.b"]` work as well. */
function argument(param: string): string {
  return param.startsWith('[') ? `args${param}` : `args.${param}`
}

function readCaller(field: Field, path: ValuePath, operator: ComparisonName | PatternName): ConditionSpec | undefined {
  const own = comparisons.find((one) => one === operator)
  if (own === undefined) return report(field, `"${operator}" compares with a constant "value" only`)
  const written = text(field)
  const caller =
    written === undefined ? undefined : parse(field, written.startsWith('[') ? `caller${written}` : `caller.${written}`)
  if (caller === undefined) return undefined
  if (caller.isWild) return report(field, 'must name one value, without "*"')
  return { type: 'caller', path, operator: own, caller }
}

function readConstant(
  field: Field,
  path: ValuePath,
  operator: ComparisonName | PatternName,
): ConditionSpec | undefined {
  const pattern = patterns.find((one) => one === operator)
  if (pattern !== undefined) {
    const sources = texts(field, MAX_CONSTANTS, MAX_TEXT_CHARS)
    return sources && readPattern(field, path, pattern, sources)
  }
  const comparison = comparisons.find((one) => one === operator)
  if (comparison === undefined || !isConstantFor(comparison, field)) return undefined
  return { type: 'constant', path, operator: comparison, value: field.value }
}

function readPattern(
  field: Field,
  path: ValuePath,
  operator: PatternName,
  sources: readonly string[],
): ConditionSpec | undefined {
  // An empty list of patterns would match nothing, and under "not" everything.
  if (sources.length === 0) return report(field, 'is empty')
  try {
    PATTERNS[operator](sources)
  } catch (error) {
    if (error instanceof SyntaxError) return report(field, error.message)
    throw error
  }
  return { type: 'pattern', path, operator, sources }
}

function isConstantFor(operator: ComparisonName, field: Field): boolean {
  if (LISTS.has(operator)) {
    const elements = items(field, MAX_CONSTANTS)
    if (elements?.length === 0) report(field, 'is empty')
    return elements !== undefined && elements.length > 0 && elements.every(isExactScalar)
  }
  if (LENGTHS.has(operator)) return integer(field, 0, Number.MAX_SAFE_INTEGER) !== undefined
  if (NUMERIC.has(operator) && typeof field.value !== 'number') return report(field, 'must be a number') ?? false
  if (TEXTUAL.has(operator)) return text(field, MAX_TEXT_CHARS) !== undefined
  return isExactScalar(field)
}

function isExactScalar(field: Field): boolean {
  const { value } = field
  if (!isScalar(value)) return report(field, 'must be a text, a number, true, false or null') ?? false
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return report(field, 'is too large to be exact') ?? false
  }
  return true
}

function parse(field: Field, source: string): ValuePath | undefined {
  try {
    return parsePath(source)
  } catch (error) {
    if (error instanceof SyntaxError) return report(field, error.message)
    throw error
  }
}
