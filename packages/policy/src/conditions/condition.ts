/** From a condition as it is written to a closure that is asked on every call. */
import type { Subject, ToolCall } from '../subject.ts'
import { COMPARISONS, PATTERNS } from './operators.ts'
import { FALSE, OPEN, TRUE, UNKNOWN, and, nameOf, not, or, type Outcome } from './outcome.ts'
import { MISSING, readAll, readOne, type ValuePath } from './path.ts'
import type { ConditionSpec } from './spec.ts'

export type Condition = {
  readonly evaluate: (subject: Subject, call: ToolCall) => Outcome
  /** What it can still be, before there are arguments. */
  readonly foresee: (subject: Subject, call: ToolCall) => Outcome
  /** `args.customerId eq caller.attributes.customerId` */
  readonly text: string
  /** One line for each comparison, with its outcome: what `policy explain` prints. */
  readonly trace: (subject: Subject, call: ToolCall) => readonly string[]
}

type Test = (value: unknown, subject: Subject, call: ToolCall) => Outcome

/** All of them have to hold. */
export function compileConditions(specs: readonly ConditionSpec[]): Condition {
  const conditions = specs.map(compileCondition)
  const [only, ...others] = conditions
  return only !== undefined && others.length === 0 ? only : compileGroup(conditions, 'all')
}

function compileCondition(spec: ConditionSpec): Condition {
  switch (spec.type) {
    case 'all':
    case 'any':
      return compileGroup(spec.conditions.map(compileCondition), spec.type)
    case 'not':
      return compileNot(compileCondition(spec.condition))
    case 'exists':
      return compileExists(spec.path, spec.expected)
    case 'pattern': {
      const matches = PATTERNS[spec.operator](spec.sources)
      const test: Test = (value) => (typeof value === 'string' ? matches(value) : UNKNOWN)
      return compileTest(spec.path, test, `${spec.operator} ${JSON.stringify(spec.sources)}`)
    }
    case 'constant': {
      const compare = COMPARISONS[spec.operator]
      const test: Test = (value) => compare(value, spec.value)
      return compileTest(spec.path, test, `${spec.operator} ${shorten(JSON.stringify(spec.value))}`)
    }
    default: {
      const compare = COMPARISONS[spec.operator]
      const test: Test = (value, subject, call) => {
        const expected = readOne(spec.caller, subject, call)
        // Two values that are both missing are not the same value.
        return expected === MISSING ? UNKNOWN : compare(value, expected)
      }
      const compiled = compileTest(spec.path, test, `${spec.operator} ${spec.caller.source}`)
      // With a credential that lacks the claim no argument can help: `tools/list` need not show the tool.
      const foresee: Condition['foresee'] = (subject, call) =>
        readOne(spec.caller, subject, call) === MISSING ? UNKNOWN : compiled.foresee(subject, call)
      return { ...compiled, foresee }
    }
  }
}

function compileGroup(conditions: readonly Condition[], type: 'all' | 'any'): Condition {
  const [combine, neutral, decisive] = type === 'all' ? [and, TRUE, FALSE] : [or, FALSE, TRUE]
  return {
    evaluate(subject, call) {
      let outcome: Outcome = neutral
      for (const condition of conditions) {
        outcome = combine(outcome, condition.evaluate(subject, call))
        if (outcome === decisive) return outcome
      }
      return outcome
    },
    foresee: (subject, call) =>
      conditions.reduce((outcome: Outcome, one) => combine(outcome, one.foresee(subject, call)), neutral),
    text: conditions
      .map(({ text }) => (conditions.length > 1 ? `(${text})` : text))
      .join(type === 'all' ? ' and ' : ' or '),
    trace: (subject, call) => conditions.flatMap((one) => one.trace(subject, call)),
  }
}

function compileNot(condition: Condition): Condition {
  return {
    evaluate: (subject, call) => not(condition.evaluate(subject, call)),
    foresee: (subject, call) => not(condition.foresee(subject, call)),
    text: `not (${condition.text})`,
    trace: (subject, call) => condition.trace(subject, call).map((line) => `not: ${line}`),
  }
}

/** The one operator that knows what is missing: true or false, never unknown. */
function compileExists(path: ValuePath, expected: boolean): Condition {
  const evaluate = (subject: Subject, call: ToolCall): Outcome => {
    const values = path.isWild ? readAll(path, subject, call) : [readOne(path, subject, call)]
    const exists = values !== undefined && values.length > 0 && !values.includes(MISSING)
    return exists === expected ? TRUE : FALSE
  }
  return {
    ...leaf(path, evaluate, `${path.source} ${expected ? 'exists' : 'does not exist'}`),
    // The arguments decide this one, but never leave it unknown.
    foresee: path.root === 'args' ? () => TRUE | FALSE : evaluate,
  }
}

function compileTest(path: ValuePath, test: Test, said: string): Condition {
  const evaluate = path.isWild
    ? (subject: Subject, call: ToolCall): Outcome => testEach(path, test, subject, call)
    : (subject: Subject, call: ToolCall): Outcome => {
        const value = readOne(path, subject, call)
        return value === MISSING ? UNKNOWN : test(value, subject, call)
      }
  return leaf(path, evaluate, `${path.source} ${said}`)
}

/** `args.items.*.price`: what holds for every element is true, what holds for none is false, anything else unknown. */
function testEach(path: ValuePath, test: Test, subject: Subject, call: ToolCall): Outcome {
  const values = readAll(path, subject, call)
  if (values === undefined || values.length === 0) return UNKNOWN
  let seen: Outcome = 0
  for (const value of values) {
    seen |= value === undefined ? UNKNOWN : test(value, subject, call)
    if (seen !== TRUE && seen !== FALSE) return UNKNOWN
  }
  return seen
}

function leaf(path: ValuePath, evaluate: Condition['evaluate'], text: string): Condition {
  return {
    evaluate,
    foresee: path.root === 'args' ? () => OPEN : evaluate,
    text,
    trace: (subject, call) => [`${text}: ${nameOf(evaluate(subject, call))}`],
  }
}

function shorten(json: string): string {
  return json.length > 120 ? `${json.slice(0, 117)}…` : json
}
