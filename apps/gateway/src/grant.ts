/** What a call was granted: the message that may be forwarded, its place under the limits, and what of the answer is shown. */
import type { Admission, CallRedactor, Decision, Limiter, Redactor, Subject, ToolCall } from '@mcp-gateway/policy'
import { isObject, mapExchange, type Exchange, type JsonObject, type JsonRpcMessage, type JsonRpcRequest, type JsonRpcResponse } from '@mcp-gateway/wire' // prettier-ignore
import { listKindOf } from './aggregate.ts'
import type { DefinitionGuard } from './definition-guard.ts'
import type { ListKind, ServerList } from './list-cache.ts'
import type { Call } from './pipeline.ts'

/** What the log says besides how the call ended. */
export type GrantNotes = {
  rule?: string
  /** What the policies under trial would have said. */
  dryRun?: { readonly allowed: boolean; readonly rule: string }
  /** How often what was cut out, by detector. */
  redacted?: Record<string, number>
  /** Rules of the guard that the result broke. */
  flagged?: readonly string[]
}

export type Grant = {
  /** As its server gets it. */
  readonly message: JsonRpcRequest
  readonly notes: GrantNotes
  /** What of the call may be written down. */
  readonly detail: 'bodies' | 'metadata'
  /** Waits for nothing: a call over its limit is refused. Disposing of it gives the place back. @throws PolicyError */
  admit(): Promise<Disposable> | Disposable | undefined
  /** The exchange as its caller gets it. */
  present(exchange: Exchange): Exchange
}

const NOTES: GrantNotes = Object.freeze({})

/** What nobody has anything to say about. */
export function pass(sent: JsonRpcRequest): Grant {
  return { message: sent, notes: NOTES, detail: 'bodies', admit: () => undefined, present: (exchange) => exchange }
}

type Cutters = { readonly arguments: CallRedactor | undefined; readonly results: CallRedactor | undefined }

/** Which redactors are about a call; `named` are those that the deciding rule asks for. */
export function createCutters(redactor: Redactor): (target: ToolCall, named: readonly string[]) => Cutters {
  return ({ server, tool }, named) => {
    const active = (passage: 'arguments' | 'results'): CallRedactor | undefined => {
      const found = redactor.forCall(server, tool, passage, named)
      return found.isActive ? found : undefined
    }
    return { arguments: active('arguments'), results: active('results') }
  }
}

export type GrantParts = {
  readonly call: Call
  /** Under the server's own names. */
  readonly sent: JsonRpcRequest
  readonly target?: ToolCall | undefined
  readonly subject?: Subject | undefined
  readonly decision?: Decision | undefined
  readonly limiter?: Limiter | undefined
  readonly cutters?: ReturnType<typeof createCutters> | undefined
  readonly guard?: DefinitionGuard | undefined
  readonly shown?: ((kind: ListKind, list: ServerList) => ServerList) | undefined
}

/** Most rules ask for nothing. */
const NONE: readonly never[] = []

export function openGrant(parts: GrantParts): Grant {
  const { call, sent, target, subject, decision, limiter, cutters, shown } = parts
  const notes = notesOf(decision)
  const obligations = decision?.obligations ?? NONE
  const profiles =
    obligations.length === 0 ? NONE : obligations.flatMap((one) => (one.type === 'redact' ? one.profile : []))
  const cuts = target && cutters?.(target, profiles)
  const results = cuts?.results
  const inspects = parts.guard?.inspectsResults === true && target !== undefined
  const cut = (value: unknown, by: CallRedactor): unknown => {
    const { value: rest, findings } = by.value(value)
    if (rest === value) return rest
    for (const [name, count] of Object.entries(findings)) {
      notes.redacted ??= {}
      notes.redacted[name] = (notes.redacted[name] ?? 0) + count
    }
    return rest
  }
  const finish = (response: JsonRpcResponse): JsonRpcResponse => {
    if (shown !== undefined) return showList(sent.method, response, shown)
    const flagged = inspects ? parts.guard?.inspectResult(target, response.result) : undefined
    if (flagged !== undefined && flagged.length > 0) notes.flagged = flagged
    return results === undefined ? response : cutBody(response, results, cut)
  }
  return {
    message: cutArguments(sent, cuts?.arguments, cut),
    notes,
    detail: detailOf(decision),
    admit() {
      if (limiter === undefined || target === undefined || subject === undefined) return undefined
      const named =
        obligations.length === 0 ? NONE : obligations.flatMap((one) => (one.type === 'limit' ? one.limit : []))
      const tell = (admission: Admission): Admission => {
        if (call.responseHeaders !== undefined) Object.assign(call.responseHeaders, admission.headers)
        if (admission.error !== undefined) throw admission.error
        return admission
      }
      const admission = limiter.admit(subject, target, { named })
      return admission instanceof Promise ? admission.then(tell) : tell(admission)
    },
    present(exchange) {
      if (shown === undefined && results === undefined && !inspects) return exchange
      return mapExchange(exchange, (said) => (results === undefined ? said : cutBody(said, results, cut)), finish)
    },
  }
}

type Cut = (value: unknown, by: CallRedactor) => unknown

function cutArguments(message: JsonRpcRequest, by: CallRedactor | undefined, cut: Cut): JsonRpcRequest {
  const { params } = message
  if (by === undefined || params === undefined) return message
  const given = params['arguments']
  if (!isObject(given)) return message
  const rest = cut(given, by)
  return rest === given ? message : { ...message, params: { ...params, arguments: rest } }
}

/** Results and params, errors with the texts they quote, and questions of the server. */
const BODIES = ['result', 'error', 'params'] as const

function cutBody<T extends JsonRpcMessage>(message: T, by: CallRedactor, cut: Cut): T {
  let rest: T & JsonObject = message
  for (const name of BODIES) {
    const given = rest[name]
    const body = given === undefined ? given : cut(given, by)
    if (body !== given) rest = { ...rest, [name]: body }
  }
  return rest
}

/** The page of a list, less what this caller could not use. */
function showList(
  method: string,
  response: JsonRpcResponse,
  shown: (kind: ListKind, list: ServerList) => ServerList,
): JsonRpcResponse {
  const kind = listKindOf(method)
  const { result } = response
  if (kind === undefined || !isObject(result) || !Array.isArray(result[kind])) return response
  const list = { items: result[kind].filter(isObject), ttlMs: 0, isPublic: result['cacheScope'] === 'public' }
  const { items, isPublic } = shown(kind, list)
  const cacheScope = list.isPublic && !isPublic ? { cacheScope: 'private' } : {}
  return { ...response, result: { ...result, [kind]: items, ...cacheScope } }
}

function notesOf(decision: Decision | undefined): GrantNotes {
  if (decision === undefined) return {}
  const { rule, dryRun } = decision
  return { rule, ...(dryRun && { dryRun: { allowed: dryRun.allowed, rule: dryRun.rule } }) }
}

/** Of several rules that allow, one that keeps bodies out of the log is enough. */
function detailOf(decision: Decision | undefined): Grant['detail'] {
  return decision?.obligations.some((one) => one.type === 'log' && one.detail === 'metadata') === true
    ? 'metadata'
    : 'bodies'
}
