/** Policies as they are written: seed row 4.27's `policies[{ id, name, roles, rules[{ server, tool, action, conditions }] }]`. */
import { readConditions, type ConditionSpec } from './conditions/spec.ts'
import { compileExpression } from './conditions/expression.ts'
import type { Obligation } from './decision.ts'
import { items, members, oneOf, report, required, text, texts, type Field } from './document/reader.ts'
import { compileGlobs, MAX_GLOB_CHARS } from './glob.ts'

export type Rule = {
  /** Unique in its policy; without one, its number from 1. */
  readonly id: string
  /** Globs; without them, every server. */
  readonly server: readonly string[]
  /** Globs; without them, every tool. */
  readonly tool: readonly string[]
  readonly action: 'allow' | 'deny'
  /** All of them have to hold. */
  readonly conditions?: readonly ConditionSpec[]
  /** A CEL expression that has to hold as well. */
  readonly when?: string
  /** For people: why the rule is there. */
  readonly reason?: string
  readonly obligations: readonly Obligation[]
}

export type Policy = {
  readonly id: string
  readonly name: string
  /** Globs over the caller's roles; `*` holds for everybody, also without roles. */
  readonly roles: readonly string[]
  /** Only callers of these tenants. Without the list every tenant, with an empty one none. */
  readonly tenants?: readonly string[]
  /** `dry-run`: decides nothing, but every decision says what it would have changed. */
  readonly mode: 'enforce' | 'dry-run'
  readonly rules: readonly Rule[]
}

const MAX_POLICIES = 1000
const MAX_RULES = 2000
const MAX_NAMES = 500
const MAX_ID_CHARS = 100
const MAX_REASON_CHARS = 500

export function readPolicies(field: Field): readonly Policy[] | undefined {
  const read = items(field, MAX_POLICIES)?.map(readPolicy)
  if (read === undefined || !read.every((one) => one !== undefined)) return undefined
  return reportTwins(field, read) ? undefined : read
}

function readPolicy(field: Field): Policy | undefined {
  const found = members(field, ['id', 'name', 'roles', 'tenants', 'mode', 'rules'])
  if (found === undefined) return undefined
  const idField = required(field, found, 'id')
  const id = idField && text(idField, MAX_ID_CHARS)
  const name = found.name ? text(found.name, MAX_REASON_CHARS) : id
  const rolesField = required(field, found, 'roles')
  const roles = rolesField && readGlobs(rolesField)
  const tenants = found.tenants && items(found.tenants, MAX_NAMES)?.map((one) => text(one, MAX_GLOB_CHARS))
  const mode = found.mode ? oneOf(found.mode, ['enforce', 'dry-run']) : 'enforce'
  const rulesField = required(field, found, 'rules')
  const rules = rulesField && items(rulesField, MAX_RULES)?.map((one, index) => readRule(one, index))
  if (id === undefined || name === undefined || roles === undefined || mode === undefined) return undefined
  if (!rules?.every((one) => one !== undefined) || (rulesField && reportTwins(rulesField, rules))) return undefined
  if (tenants === undefined) return found.tenants ? undefined : { id, name, roles, mode, rules }
  return tenants.every((one) => one !== undefined) ? { id, name, roles, tenants, mode, rules } : undefined
}

function readRule(field: Field, index: number): Rule | undefined {
  const known = ['id', 'server', 'tool', 'action', 'conditions', 'when', 'reason', 'obligations'] as const
  const found = members(field, known)
  if (found === undefined) return undefined
  const id = found.id ? text(found.id, MAX_ID_CHARS) : String(index + 1)
  const server = found.server ? readGlobs(found.server) : ['*']
  const tool = found.tool ? readGlobs(found.tool) : ['*']
  const actionField = required(field, found, 'action')
  const action = actionField && oneOf(actionField, ['allow', 'deny'])
  const conditions = found.conditions && readConditions(found.conditions)
  const when = found.when && readExpression(found.when)
  const reason = found.reason && text(found.reason, MAX_REASON_CHARS)
  const obligations = found.obligations ? readObligations(found.obligations) : []
  if (id === undefined || server === undefined || tool === undefined || action === undefined) return undefined
  // A part that is there and could not be read must not become a part that is not there.
  if ((found.conditions && !conditions) || (found.when && !when) || (found.reason && !reason) || !obligations) {
    return undefined
  }
  const optional = { ...(conditions && { conditions }), ...(when && { when }), ...(reason && { reason }) }
  return { id, server, tool, action, ...optional, obligations }
}

/** One glob or a list of them, which must not be empty: an empty list never means "all". */
export function readGlobs(field: Field): readonly string[] | undefined {
  const globs = texts(field, MAX_NAMES, MAX_GLOB_CHARS)
  if (globs === undefined) return undefined
  if (globs.length === 0) return report(field, 'is empty: it would match nothing; write "*" for everything')
  try {
    compileGlobs(globs)
    return globs
  } catch (error) {
    if (error instanceof SyntaxError) return report(field, error.message)
    throw error
  }
}

function readExpression(field: Field): string | undefined {
  const source = text(field, 4000)
  if (source === undefined) return undefined
  try {
    compileExpression(source)
    return source
  } catch (error) {
    if (error instanceof SyntaxError) return report(field, error.message)
    throw error
  }
}

function readObligations(field: Field): readonly Obligation[] | undefined {
  const read = items(field, 16)?.map(readObligation)
  return read?.every((one) => one !== undefined) ? read : undefined
}

/** `{ redact: <profile> }`, `{ limit: <id> }` or `{ log: bodies }`. */
function readObligation(field: Field): Obligation | undefined {
  const found = members(field, ['redact', 'limit', 'log'])
  if (found === undefined) return undefined
  if (Object.keys(found).length !== 1) return report(field, 'must have one member')
  if (found.log !== undefined) {
    const detail = oneOf(found.log, ['bodies', 'metadata'])
    return detail && { type: 'log', detail }
  }
  if (found.limit !== undefined) {
    const limit = text(found.limit, MAX_ID_CHARS)
    return limit === undefined ? undefined : { type: 'limit', limit }
  }
  const profile = found.redact && text(found.redact, MAX_ID_CHARS)
  return profile === undefined ? undefined : { type: 'redact', profile }
}

/** Two things of one name would make "which rule decided" ambiguous. */
function reportTwins(field: Field, things: readonly { readonly id: string }[]): boolean {
  const seen = new Set<string>()
  const twins = things.flatMap(({ id }, index) => (seen.size === seen.add(id).size ? [{ id, index }] : []))
  for (const { id, index } of twins) {
    field.problems.push({ path: [...field.path, index, 'id'], message: `another one has the id "${id}"` })
  }
  return twins.length > 0
}
