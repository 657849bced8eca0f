/**
 * Cedar instead of our rules, for those who want its analysis. `@cedar-policy/cedar-wasm` is a peer dependency and
 * given by the caller, so that nobody else downloads 10 MB. A decision costs about 0.2 ms, a thousand times our own.
 *
 * A caller is `Caller::"<id>"` in `Role::"<role>"` (and `Tenant::"<id>"`) with its attributes, the action is
 * `Action::"call"`, a tool is `Tool::"<server>/<tool>"` in `Server::"<server>"` with `server` and `name`, and
 * `context` has `args` and `address`.
 */
import type { Decision, Obligation, PolicyEngine } from './decision.ts'
import { PolicyError } from './errors.ts'
import type { Subject, ToolCall } from './subject.ts'

/** A value in Cedar's JSON. */
export type CedarValue = boolean | number | string | CedarValue[] | { [key: string]: CedarValue }

type EntityId = { type: string; id: string }
type CedarEntity = { uid: EntityId; attrs: Record<string, CedarValue>; parents: EntityId[] }
type CedarRequest = {
  principal: EntityId
  action: EntityId
  resource: EntityId
  context: Record<string, CedarValue>
  entities: CedarEntity[]
}
type CedarFailure = { type: 'failure'; errors: { message: string }[] }
type CedarPolicies = { staticPolicies: Record<string, string> }

/**
 * The functions of `@cedar-policy/cedar-wasm/nodejs` (4.x) that are used here. Written down instead of imported, so that
 * this subpath has types also where Cedar is not installed; a test gives it the real module.
 */
export type CedarModule = {
  readonly preparsePolicySet: (id: string, policies: CedarPolicies) => { type: 'success' } | CedarFailure
  readonly policySetTextToParts: (
    source: string,
  ) => { type: 'success'; policies: string[]; policy_templates: string[] } | CedarFailure
  readonly policyToJson: (
    policy: string,
  ) => { type: 'success'; json: { effect: 'permit' | 'forbid'; annotations?: Record<string, string> } } | CedarFailure
  readonly statefulIsAuthorized: (request: CedarRequest & { preparsedPolicySetId: string }) =>
    | {
        type: 'success'
        response: {
          decision: 'allow' | 'deny'
          diagnostics: { reason: string[]; errors: { policyId: string }[] }
        }
      }
    | CedarFailure
  readonly isAuthorizedPartial: (
    request: CedarRequest & { policies: CedarPolicies },
  ) => { type: 'residuals'; response: { decision: 'allow' | 'deny' | null; errored: string[] } } | CedarFailure
}

export type CedarEngineOptions = {
  readonly cedar: CedarModule
  /** Policies in Cedar's language; an `@id("…")` is the name of the rule in decisions. */
  readonly policies: string
  /** The name under which this thread keeps the parsed policies: another one for each engine. @default a new one */
  readonly policySetId?: string
}

const CONCEAL: Obligation = Object.freeze({ type: 'conceal' })
const MAX_DEPTH = 64
/** (caller, server, tool, address) whose visibility is remembered. */
const MAX_REMEMBERED = 10_000
/** Cedar's integers have 64 bits, a double is exact up to 53. */
const ACTION: EntityId = { type: 'Action', id: 'call' }

let engines = 0

/** @throws PolicyError POLICY_DOCUMENT_INVALID when Cedar cannot parse the policies */
export function createCedarEngine({
  cedar,
  policies,
  policySetId = `mcp-gateway-${++engines}`,
}: CedarEngineOptions): PolicyEngine {
  const named = namePolicies(cedar, policies)
  const staticPolicies = Object.fromEntries(named.map(({ id, policy }) => [id, policy]))
  const forbids = new Set(named.filter(({ forbids }) => forbids).map(({ id }) => id))
  const parsed = cedar.preparsePolicySet(policySetId, { staticPolicies })
  if (parsed.type === 'failure') throw invalid(parsed.errors)

  const remembered = new Map<string, boolean>()

  /** Partial evaluation parses all policies again, 80 µs each: a flood of refused calls must not cost that each time. */
  const isVisible: PolicyEngine['isVisible'] = (subject, server, tool, address) => {
    const { id, roles, tenantId, attributes } = subject
    const key = JSON.stringify([id, roles, tenantId, attributes, server, tool, address], (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value,
    )
    let known = remembered.get(key)
    if (known === undefined) {
      known = foresee(subject, server, tool, address)
      if (remembered.size >= MAX_REMEMBERED) remembered.clear()
      remembered.set(key, known)
    }
    return known
  }
  const foresee: PolicyEngine['isVisible'] = (subject, server, tool, address) => {
    const request = requestOf(subject, { server, tool, address }, { __extn: { fn: 'unknown', arg: 'args' } })
    const answer = request && cedar.isAuthorizedPartial({ ...request, policies: { staticPolicies } })
    // Not decided yet means that arguments decide.
    if (answer?.type !== 'residuals' || answer.response.decision === 'deny') return false
    return !answer.response.errored.some((id) => forbids.has(id))
  }
  const refuse = (subject: Subject, call: ToolCall, rule: string, reason: string): Decision => {
    const known = isVisible(subject, call.server, call.tool, call.address)
    return { allowed: false, rule, reason, obligations: known ? [] : [CONCEAL] }
  }
  return {
    isVisible,
    decide(subject, call) {
      const args = toCedar(call.args ?? {}, 0)
      const request = args === undefined ? undefined : requestOf(subject, call, args)
      if (request === undefined) {
        return refuse(subject, call, 'cedar/unreadable', 'Cedar has no values for null, fractions and __entity')
      }
      const answer = cedar.statefulIsAuthorized({ ...request, preparsedPolicySetId: policySetId })
      if (answer.type === 'failure') return refuse(subject, call, 'cedar/failed', 'Cedar could not decide')
      const { decision, diagnostics } = answer.response
      // Cedar leaves out a policy that fails; with a `permit` left out it refuses, with a `forbid` it would allow.
      const error = diagnostics.errors.find(({ policyId }) => forbids.has(policyId))
      if (error !== undefined)
        return refuse(subject, call, `cedar/${error.policyId}`, 'a policy failed: an attribute is missing')
      const [rule = 'default-deny'] = diagnostics.reason
      const named = rule === 'default-deny' ? rule : `cedar/${rule}`
      if (decision === 'allow') return { allowed: true, rule: named, reason: 'permitted by Cedar', obligations: [] }
      return refuse(subject, call, named, rule === 'default-deny' ? 'no policy permits this' : 'forbidden by Cedar')
    },
  }
}

type Named = { readonly id: string; readonly policy: string; readonly forbids: boolean }

/** By `@id`, or by their number from 1. @throws PolicyError POLICY_DOCUMENT_INVALID */
function namePolicies(cedar: CedarModule, source: string): readonly Named[] {
  const parts = cedar.policySetTextToParts(source)
  if (parts.type === 'failure') throw invalid(parts.errors)
  if (parts.policy_templates.length > 0) throw invalid([{ message: 'templates are not supported' }])
  const named = parts.policies.map((policy, index): Named => {
    const answer = cedar.policyToJson(policy)
    if (answer.type === 'failure') throw invalid(answer.errors)
    const { annotations, effect } = answer.json
    return { id: annotations?.['id'] ?? String(index + 1), policy, forbids: effect === 'forbid' }
  })
  const ids = named.map(({ id }) => id)
  const twin = ids.find((id, index) => ids.indexOf(id) !== index)
  if (twin !== undefined) throw invalid([{ message: `two policies have the id "${twin}"` }])
  return named
}

function invalid(errors: readonly { readonly message: string }[]): PolicyError {
  const message = errors.map((one) => one.message).join('\n')
  const findings = errors.map((one) => ({ line: 1, column: 1, path: '', message: one.message }))
  return new PolicyError('POLICY_DOCUMENT_INVALID', `Cedar: ${message}`, { findings })
}

function requestOf(subject: Subject, { server, tool, address }: ToolCall, args: CedarValue): CedarRequest | undefined {
  const attributes = toCedar({ ...subject.attributes }, 0)
  if (attributes === undefined || !isRecord(attributes)) return undefined
  const principal: EntityId = { type: 'Caller', id: subject.id }
  const resource: EntityId = { type: 'Tool', id: `${server}/${tool}` }
  const roles = subject.roles.map((id): EntityId => ({ type: 'Role', id }))
  const tenant: EntityId[] = subject.tenantId === undefined ? [] : [{ type: 'Tenant', id: subject.tenantId }]
  const entities: CedarEntity[] = [
    { uid: principal, attrs: attributes, parents: [...roles, ...tenant] },
    { uid: resource, attrs: { server, name: tool }, parents: [{ type: 'Server', id: server }] },
  ]
  return { principal, action: ACTION, resource, context: { args, ...(address !== undefined && { address }) }, entities }
}

function isRecord(value: CedarValue): value is Record<string, CedarValue> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * `undefined` for what Cedar cannot say. Leaving such a member out instead would be a way around
 * `forbid … when { context.args has amount && … }`, and `__entity` in arguments would be a caller who names entities.
 */
function toCedar(value: unknown, depth: number): CedarValue | undefined {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined
  if (typeof value !== 'object' || value === null || JSON.isRawJSON(value) || depth >= MAX_DEPTH) return undefined
  if (Array.isArray(value)) {
    const list = value.map((one) => toCedar(one, depth + 1))
    return list.every((one) => one !== undefined) ? list : undefined
  }
  const members: Record<string, CedarValue> = {}
  for (const [key, member] of Object.entries(value)) {
    const converted = toCedar(member, depth + 1)
    if (converted === undefined || key.startsWith('__')) return undefined
    members[key] = converted
  }
  return members
}
