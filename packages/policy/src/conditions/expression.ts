/**
 * CEL, for what operators can't say. It is not Turing complete, but three things in it still take the time of whoever
 * sends the arguments: `matches` runs on a backtracking RegExp (here: `re2`, with a constant pattern), macros inside
 * macros multiply the lengths of lists (here: one level), and lists are as long as the caller likes (here: limited).
 */
import { Environment, type ASTNode } from '@marcbachmann/cel-js'
import type { RE2JS } from 're2js'
import type { Subject, ToolCall } from '../subject.ts'
import { OPEN, TRUE, FALSE, UNKNOWN, type Outcome } from './outcome.ts'
import { compileRe2 } from './operators.ts'

export type Expression = {
  readonly evaluate: (subject: Subject, call: ToolCall) => Outcome
  /** What it can still be, before there are arguments. */
  readonly foresee: (subject: Subject, call: ToolCall) => Outcome
}

const MAX_EXPRESSION_CHARS = 4000
const LIMITS = { maxAstNodes: 1000, maxDepth: 50, maxListElements: 500, maxMapEntries: 100, maxCallArguments: 16 }
const MAX_REGEX_INPUT_CHARS = 65_536
const MACROS = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])

/** Patterns are constants of expressions, so this grows with the documents and never with calls. */
const patterns = new Map<string, RE2JS>()

let environment: Environment | undefined

function environmentOf(): Environment {
  environment ??= new Environment({ limits: LIMITS, homogeneousAggregateLiterals: false })
    .registerVariable('args', 'map')
    .registerVariable('caller', 'map')
    .registerVariable('server', 'string')
    .registerVariable('tool', 'string')
    .registerVariable('address', 'string')
    .registerFunction('string.re2(string): bool', (text: string, pattern: string) => {
      if (text.length > MAX_REGEX_INPUT_CHARS) throw new RangeError('too long for re2')
      return patterns.get(pattern)?.test(text) ?? false
    })
  return environment
}

/** @throws SyntaxError with a message for the writer */
export function compileExpression(source: string): Expression {
  if (source.length > MAX_EXPRESSION_CHARS) throw new SyntaxError(`has more than ${MAX_EXPRESSION_CHARS} characters`)
  const parsed = parse(source)
  const checked = parsed.check()
  if (!checked.valid) throw new SyntaxError(firstLine(checked.error?.message ?? 'is no expression'))
  if (checked.type !== 'bool' && checked.type !== 'dyn') throw new SyntaxError(`gives a ${checked.type}, not a bool`)
  checkCost(parsed.ast, 0)
  const readsArgs = mentions(parsed.ast, 'args')
  const evaluate = (subject: Subject, call: ToolCall): Outcome => {
    const args = typeof call.args === 'object' && call.args !== null ? call.args : {}
    const { server, tool, address = '' } = call
    try {
      const value: unknown = parsed({ args, caller: callerOf(subject), server, tool, address })
      return value === true ? TRUE : value === false ? FALSE : UNKNOWN
    } catch {
      // "No such key", "no such overload": the outcome of a missing or mistyped argument, and of nothing else.
      return UNKNOWN
    }
  }
  return { evaluate, foresee: (subject, call) => (readsArgs ? OPEN : evaluate(subject, call)) }
}

function callerOf({ id, roles, tenantId, tier, attributes = {} }: Subject): Readonly<Record<string, unknown>> {
  return { id, roles, attributes, ...(tenantId !== undefined && { tenantId }), ...(tier !== undefined && { tier }) }
}

function parse(source: string): ReturnType<Environment['parse']> {
  try {
    return environmentOf().parse(source)
  } catch (cause) {
    throw new SyntaxError(firstLine(cause instanceof Error ? cause.message : String(cause)), { cause })
  }
}

/** @throws SyntaxError for an expression whose time a caller could choose */
function checkCost(node: ASTNode, macros: number): void {
  let inside = macros
  if (node.op === 'rcall') {
    const [name, , args] = node.args
    if (name === 'matches') throw new SyntaxError('use text.re2("pattern") instead of matches(): it takes linear time')
    if (name === 're2') compilePattern(args[0])
    if (MACROS.has(name) && args.length > 1 && ++inside > 1) throw new SyntaxError(`${name}() inside another macro`)
  }
  for (const child of childrenOf(node)) checkCost(child, inside)
}

function compilePattern(argument: ASTNode | undefined): void {
  if (argument?.op !== 'value' || typeof argument.args !== 'string') {
    throw new SyntaxError('the pattern of re2() must be a constant text')
  }
  if (!patterns.has(argument.args)) patterns.set(argument.args, compileRe2(argument.args))
}

function mentions(node: ASTNode, name: string): boolean {
  return (node.op === 'id' && node.args === name) || childrenOf(node).some((child) => mentions(child, name))
}

function childrenOf(node: ASTNode): ASTNode[] {
  return collect(node.args, [])
}

function collect(value: unknown, into: ASTNode[]): ASTNode[] {
  if (Array.isArray(value)) for (const one of value as readonly unknown[]) collect(one, into)
  else if (isNode(value)) into.push(value)
  return into
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message
}
