/**
 * May they: addresses, policies, limits, redaction and the guard of tool definitions, compiled from the configuration. What
 * the configuration doesn't mention costs nothing.
 */
import { requireScopes, type Caller } from '@mcp-gateway/auth'
import {
  addressRefusal,
  createAddressPolicy,
  createClientAddress,
  createPolicyEngine,
  createRedactor,
  refusal,
  type Decision,
  type Limiter,
  type PolicyFile,
  type Redactor,
  type RequestAddress,
  type Subject,
  type ToolCall,
} from '@mcp-gateway/policy'
import type { JsonObject, JsonRpcRequest } from '@mcp-gateway/wire'
import { isRelay, neededFor, targetOf } from './call-target.ts'
import type { DefinitionGuard } from './definition-guard.ts'
import { listKindOf } from './aggregate.ts'
import { openGrant, pass, type Grant } from './grant.ts'
import type { ListKind, ServerList } from './list-cache.ts'
import type { Call } from './pipeline.ts'

export type Viewer = { readonly caller: Caller; readonly address?: string | undefined }

export type Authority = {
  /** The client's address, behind our own proxies. @throws PolicyError when nobody may call from there */
  enter(request: RequestAddress): string | undefined
  /** @throws PolicyError when the caller may not */
  authorize(call: Call): Grant | Promise<Grant>
  /** Whether a caller may ask a server for this outside of a call of its own. */
  may(viewer: Viewer, target: ToolCall): boolean
  /** The items that a caller could use. */
  shown(viewer: Viewer, server: string, kind: ListKind, list: ServerList): ServerList
  /** For what is written down. */
  readonly redactor: Redactor
}

export type AuthorityOptions = {
  readonly file: PolicyFile
  /** Whether `policies` is there at all: without it, whoever is authenticated may call everything. */
  readonly hasPolicies: boolean
  readonly limiter: Limiter | undefined
  readonly guard: DefinitionGuard | undefined
  /** The scopes that a token needs for a tool. Undefined when no tool needs any. */
  readonly scopesOf: ((target: ToolCall) => readonly string[]) | undefined
}

export function createAuthority({ file, hasPolicies, limiter, guard, scopesOf }: AuthorityOptions): Authority {
  const engine = hasPolicies ? createPolicyEngine(file) : undefined
  const addresses = createAddressPolicy(file.addresses ?? {})
  const clientAddress = createClientAddress({ trustedProxies: file.trustedProxies ?? [] })
  const hasNoProxies = (file.trustedProxies ?? []).length === 0
  const redactor = createRedactor(file.redaction)
  const cutsCalls = file.redaction?.some(({ on }) => on.includes('arguments') || on.includes('results')) === true
  const watchesCalls =
    engine !== undefined || scopesOf !== undefined || limiter !== undefined || guard?.watchesCalls === true || cutsCalls
  const cutter = cutsCalls ? redactor : undefined

  const decide = (subject: Subject, target: ToolCall): Decision | undefined => {
    const decision = engine?.decide(subject, target)
    if (decision?.allowed === false) throw refusal(decision, target.tool.slice(0, 200))
    return decision
  }
  const grantOf = (call: Call, sent: JsonRpcRequest): Grant | Promise<Grant> => {
    const { server } = call
    const target = server === undefined ? undefined : targetOf(server, sent, call.address)
    if (target !== undefined) requireScopes(call.caller, scopesOf?.(target) ?? [])
    if (target === undefined) return openGrant({ call, sent, shown: shownOf(call) })
    const subject = subjectOf(call.caller)
    const decision = decide(subject, target)
    const counting = isRelay(target) ? undefined : limiter
    const parts = { call, sent, target, decision, limiter: counting, subject, redactor: cutter, guard }
    const checked = guard?.check(call.caller, target)
    return checked === undefined ? openGrant(parts) : checked.then(() => openGrant(parts))
  }
  const shown: Authority['shown'] = ({ caller, address }, server, kind, list) => {
    if (engine === undefined && guard === undefined) return list
    const subject = subjectOf(caller)
    const isShown = (item: JsonObject): boolean =>
      engine?.isVisible(subject, server, neededFor(kind, item), address) !== false &&
      (kind !== 'tools' || guard?.passes(server, item) !== false)
    const items = list.items.filter(isShown)
    // What one caller sees is not for the caches of others.
    const isPublic = engine === undefined && list.isPublic
    return items.length === list.items.length && isPublic === list.isPublic ? list : { ...list, items, isPublic }
  }
  const shownOf = ({ caller, address, server }: Call): ((kind: ListKind, list: ServerList) => ServerList) | undefined =>
    server === undefined || (engine === undefined && guard === undefined)
      ? undefined
      : (kind, list) => shown({ caller, address }, server, kind, list)

  /** Clients keep their connections: the last peer is mostly the next one, and nobody in between writes headers. */
  let lastPeer: string | undefined
  let lastAddress: string | undefined
  const enter: Authority['enter'] = (request) => {
    if (hasNoProxies && request.peer !== undefined && request.peer === lastPeer) return lastAddress
    const address = clientAddress(request)
    const decision = addresses.decide(address)
    if (!decision.allowed) throw addressRefusal(decision)
    lastPeer = request.peer
    lastAddress = address
    return address
  }

  return {
    enter,
    authorize(call) {
      const sent = call.sent()
      const isWatched = watchesCalls || listKindOf(call.message.method) !== undefined
      if (sent instanceof Promise) return sent.then((message) => (isWatched ? grantOf(call, message) : pass(message)))
      return isWatched ? grantOf(call, sent) : pass(sent)
    },
    may: ({ caller }, target) => engine?.decide(subjectOf(caller), target).allowed !== false,
    shown,
    redactor,
  }
}

const subjects = new WeakMap<Caller, Subject>()

/** A caller as policies see it: which tier it has paid for, and how often it may call, are attributes of its key or token. */
function subjectOf(caller: Caller): Subject {
  const known = subjects.get(caller)
  if (known !== undefined) return known
  const { tier, rateLimit } = caller.attributes
  const own = {
    ...(typeof tier === 'string' && { tier }),
    // From a claim it may be anything.
    ...(typeof rateLimit === 'number' && { perMinute: Math.max(1, Math.floor(rateLimit) || 1) }),
  }
  const subject = Object.keys(own).length === 0 ? caller : Object.freeze({ ...caller, ...own })
  subjects.set(caller, subject)
  return subject
}
