/** What a call was granted: the message that may be forwarded, its place under the limits, and what of the answer is shown. */
import type { Admission, CallRedactor, Decision, Limiter, Redactor, Subject, ToolCall } from '@mcp-gateway/policy'
import { isObject, mapExchange, type Exchange, type ExchangeView, type JsonObject, type JsonRpcMessage, type JsonRpcRequest, type JsonRpcResponse } from '@mcp-gateway/wire' // prettier-ignore
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

export type GrantParts = {
  readonly call: Call
  /** Under the server's own names. */
  readonly sent: JsonRpcRequest
  readonly target?: ToolCall | undefined
  readonly subject?: Subject | undefined
  readonly decision?: Decision | undefined
  readonly limiter?: Limiter | undefined
  /** Undefined when no rule is about arguments and results. */
  readonly redactor?: Redactor | undefined
  readonly guard?: DefinitionGuard | undefined
  readonly shown?: ((kind: ListKind, list: ServerList) => ServerList) | undefined
}

export function openGrant(parts: GrantParts): Grant {
  return new CallGrant(parts)
}

/** Most rules ask for nothing. */
const NONE: readonly never[] = []

/** A class, since one is made for each call, and closures would be made with it. It is also how the caller sees the exchange. */
class CallGrant implements Grant, ExchangeView {
  readonly message: JsonRpcRequest
  readonly notes: GrantNotes
  readonly detail: Grant['detail']
  readonly #parts: GrantParts
  readonly #obligations: Decision['obligations']
  readonly #results: CallRedactor | undefined
  readonly #inspects: boolean

  constructor(parts: GrantParts) {
    const { sent, target, decision, redactor, guard } = parts
    this.#parts = parts
    this.#obligations = decision?.obligations ?? NONE
    this.notes = notesOf(decision)
    this.detail = detailOf(this.#obligations)
    const redactors = target && redactor?.forCall(target.server, target.tool, profilesOf(this.#obligations))
    this.#results = redactors?.results.isActive === true ? redactors.results : undefined
    this.#inspects = guard?.inspectsResults === true && target !== undefined
    this.message = redactors?.arguments.isActive === true ? this.#cutArguments(sent, redactors.arguments) : sent
  }

  admit(): Promise<Disposable> | Disposable | undefined {
    const { limiter, target, subject } = this.#parts
    if (limiter === undefined || target === undefined || subject === undefined) return undefined
    const admission = limiter.admit(subject, target, { named: limitsOf(this.#obligations) })
    return admission instanceof Promise ? admission.then((late) => this.#tell(late)) : this.#tell(admission)
  }

  present(exchange: Exchange): Exchange {
    const isSeenAsItIs = this.#parts.shown === undefined && this.#results === undefined && !this.#inspects
    return isSeenAsItIs ? exchange : mapExchange(exchange, this)
  }

  onMessage(said: JsonRpcMessage): JsonRpcMessage {
    return this.#results === undefined ? said : this.#cutBody(said, this.#results)
  }

  onResponse(response: JsonRpcResponse): JsonRpcResponse {
    const { shown, sent, target, guard } = this.#parts
    if (shown !== undefined) return showList(sent.method, response, shown)
    if (this.#inspects && target !== undefined) {
      const flagged = guard?.inspectResult(target, response.result) ?? NONE
      if (flagged.length > 0) this.notes.flagged = flagged
    }
    return this.#results === undefined ? response : this.#cutBody(response, this.#results)
  }

  #tell(admission: Admission): Admission {
    const { headers, error } = admission
    const list = this.#parts.call.responseHeaders
    if (list !== undefined) putHeaders(list, headers)
    if (error !== undefined) throw error
    return admission
  }

  #cut(value: unknown, by: CallRedactor): unknown {
    const { value: rest, findings } = by.value(value)
    if (rest === value) return rest
    for (const [name, count] of Object.entries(findings)) {
      this.notes.redacted ??= {}
      this.notes.redacted[name] = (this.notes.redacted[name] ?? 0) + count
    }
    return rest
  }

  #cutArguments(message: JsonRpcRequest, by: CallRedactor): JsonRpcRequest {
    const given = message.params?.['arguments']
    if (!isObject(given)) return message
    const rest = this.#cut(given, by)
    return rest === given ? message : { ...message, params: { ...message.params, arguments: rest } }
  }

  #cutBody<T extends JsonRpcMessage>(message: T, by: CallRedactor): T {
    let rest: T & JsonObject = message
    for (const name of BODIES) {
      const given = rest[name]
      const body = given === undefined ? given : this.#cut(given, by)
      if (body !== given) rest = { ...rest, [name]: body }
    }
    return rest
  }
}

/** Results and params, errors with the texts they quote, and questions of the server. */
const BODIES = ['result', 'error', 'params'] as const

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

/** Calls of one batch have one answer: what an earlier one put there gives way. `list` has names and values in turns. */
function putHeaders(list: string[], headers: Readonly<Record<string, string>>): void {
  const before = list.length
  for (const name in headers) {
    const value = headers[name] as string
    let at = 0
    while (at < before && list[at] !== name) at += 2
    if (at < before) list[at + 1] = value
    else list.push(name, value)
  }
}

/** Profiles of redaction that a rule asks for. */
function profilesOf(obligations: Decision['obligations']): readonly string[] {
  return obligations.length === 0 ? NONE : obligations.flatMap((one) => (one.type === 'redact' ? one.profile : []))
}

/** Limits that a rule asks for. */
function limitsOf(obligations: Decision['obligations']): readonly string[] {
  return obligations.length === 0 ? NONE : obligations.flatMap((one) => (one.type === 'limit' ? one.limit : []))
}

/** Of several rules that allow, one that keeps bodies out of the log is enough. */
function detailOf(obligations: Decision['obligations']): Grant['detail'] {
  if (obligations.length === 0) return 'bodies'
  return obligations.some((one) => one.type === 'log' && one.detail === 'metadata') ? 'metadata' : 'bodies'
}
