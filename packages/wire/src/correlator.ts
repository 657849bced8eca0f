/**
 * Many callers on one connection. Every request gets an id, a progress token and a subscription id of our own, because
 * callers choose theirs without knowing of each other; what comes back gets the caller's again.
 *
 * The adversary is the server on the other end: it may answer twice, answer what nobody asked, or never answer.
 */
import { META_SUBSCRIPTION, META_VERSION } from './era.ts'
import { WireError } from './errors.ts'
import { loadOf, type Load } from './upstream.ts'
import type { Exchange } from './exchange.ts'
import { Mailbox } from './mailbox.ts'
import type { Headers } from './headers.ts'
import { createInFlight, type InFlight } from './in-flight.ts'
import {
  idKey,
  isObject,
  isRequest,
  isResponse,
  metaOf,
  withMeta,
  type JsonObject,
  type JsonRpcId,
  type JsonRpcMessage,
  type JsonRpcNotification,
  type JsonRpcRequest,
  type JsonRpcResponse,
} from './json-rpc.ts'

export type CorrelatorOptions = {
  readonly send: (message: JsonRpcMessage) => void
  /** What belongs to no request: list changes, resource updates, answers nobody waits for. */
  readonly onUnrelated: (message: JsonRpcMessage) => void
  /**
   * A legacy server's questions and log lines don't say which request they belong to. `newest` gives them to the request
   * sent last, which is right when one session owns the connection; `sole` only when exactly one request is in flight.
   */
  readonly attribution: 'newest' | 'sole'
  /** Longest silence of a running request; a question to the client that is still open stops the clock. */
  readonly idleTimeoutMs: number
  readonly maxInFlight: number
  readonly now?: () => number
}

export type RequestOptions = {
  /** Aborting cancels the request at the server. The reason may be the params of the client's `notifications/cancelled`. */
  readonly signal?: AbortSignal | undefined
  /** The headers the request came with, in lower case. Of these only `Mcp-Param-*` ever go on. */
  readonly headers?: Headers | undefined
  /** Longest silence of this request; progress starts it anew. @default the connection's */
  readonly idleTimeoutMs?: number | undefined
  /** Longest life of this request, whatever it says meanwhile. @default none */
  readonly maxTimeoutMs?: number | undefined
  /** No client's: what the server says meanwhile without naming a request is not about this one. */
  readonly isBackground?: boolean | undefined
}

export type Correlator = {
  readonly load: () => Load
  readonly answered: () => number
  request(message: JsonRpcRequest, options?: RequestOptions): Exchange
  /** `size` in characters, as the server sent it. */
  accept(message: JsonRpcMessage, size: number): void
  /** The client's answer to a question of the server. */
  respond(message: JsonRpcResponse): void
  /** Ends one request, by the id it has on this connection. */
  fail(id: number, error: WireError): void
  close(error: WireError): void
}

type Pending = {
  readonly id: number
  readonly request: JsonRpcRequest
  readonly mailbox: Mailbox
  /** Keys of the server's questions that the client has not answered yet. */
  questions: Set<string | number> | undefined
  activeAt: number
  readonly startedAt: number
  readonly idleMs: number
  /** Epoch milliseconds. */
  readonly deadline: number
  readonly isBackground: boolean
}

export function createCorrelator(options: CorrelatorOptions): Correlator {
  const now = options.now ?? Date.now
  const pending = createInFlight<Pending>()
  let answered = 0
  let sweep: NodeJS.Timeout | undefined
  let sweepMs = Number.POSITIVE_INFINITY
  let closed: WireError | undefined

  const cancel = (entry: Pending, reason: unknown): void => {
    if (!pending.drop(entry.id)) return
    // basic/lifecycle: a client MUST NOT cancel its initialize request.
    if (entry.request.method !== 'initialize') options.send(cancelled(entry, reason))
  }

  /** Looks for what is overdue often enough for the shortest timeout there is. */
  const watch = (timeoutMs: number): void => {
    const everyMs = Math.min(1000, timeoutMs / 4)
    if (everyMs >= sweepMs) return
    sweepMs = everyMs
    clearInterval(sweep)
    sweep = setInterval(expire, everyMs).unref()
  }

  const expire = (): void => {
    const at = now()
    for (const entry of pending.items()) {
      const waitsForClient = entry.questions !== undefined && entry.questions.size > 0
      const isSilent = entry.activeAt + entry.idleMs < at && !waitsForClient
      const isOver = entry.deadline < at
      if ((!isSilent && !isOver) || isSubscription(entry)) continue
      cancel(entry, 'timeout')
      const limit = isOver ? `the ${entry.deadline - entry.startedAt} ms it may take` : `${entry.idleMs} ms`
      entry.mailbox.fail(new WireError('WIRE_UPSTREAM_TIMEOUT', `no answer to ${entry.request.method} within ${limit}`))
    }
  }

  const request = (message: JsonRpcRequest, requestOptions: RequestOptions = {}): Exchange => {
    const { signal, idleTimeoutMs: idleMs = options.idleTimeoutMs, maxTimeoutMs, isBackground = false } = requestOptions
    if (closed) throw new WireError('WIRE_NOT_SENT', closed.message)
    if (pending.size() >= options.maxInFlight) {
      throw new WireError('WIRE_CALL_LIMIT', `${options.maxInFlight} calls are in flight at this server already`)
    }
    const id = pending.newId()
    const mailbox = new Mailbox(() => cancel(entry, signal?.reason))
    const startedAt = now()
    const deadline = maxTimeoutMs === undefined ? Number.POSITIVE_INFINITY : startedAt + maxTimeoutMs
    const entry: Pending = { id, request: message, mailbox, questions: undefined, activeAt: startedAt, startedAt, idleMs, deadline, isBackground } // prettier-ignore
    pending.add(entry)
    watch(maxTimeoutMs === undefined ? idleMs : Math.min(idleMs, maxTimeoutMs))
    signal?.addEventListener(
      'abort',
      () => {
        if (!mailbox.isOpen()) return
        cancel(entry, signal.reason)
        mailbox.fail(new WireError('WIRE_CANCELLED', 'the caller cancelled the request'))
      },
      { once: true },
    )
    options.send(outbound(message, id))
    return mailbox
  }

  const accept = (message: JsonRpcMessage, size: number): void => {
    if (isResponse(message)) {
      const entry = message.id == null ? soleOf(pending) : pending.get(message.id as number)
      if (entry === undefined) return options.onUnrelated(message)
      pending.drop(entry.id)
      answered += 1
      entry.mailbox.settle(inboundResponse(message, entry.request))
      return undefined
    }
    const entry = ownerOf(message, pending, options.attribution)
    if (entry === undefined) return options.onUnrelated(message)
    entry.activeAt = now()
    if (isRequest(message)) (entry.questions ??= new Set()).add(idKey(message.id))
    entry.mailbox.push(inboundMessage(message, entry.request), size)
    return undefined
  }

  const respond = (message: JsonRpcResponse): void => {
    if (message.id != null) {
      const key = idKey(message.id)
      for (const entry of pending.items()) if (entry.questions?.delete(key)) entry.activeAt = now()
    }
    options.send(message)
  }

  return {
    answered: () => answered,
    load: () => loadOf(pending.items().map((entry) => entry.request)),
    request,
    accept,
    respond,
    fail(id, error) {
      const entry = pending.get(id)
      if (entry === undefined) return
      pending.drop(id)
      entry.mailbox.fail(error)
    },
    close(error) {
      closed ??= error
      clearInterval(sweep)
      for (const entry of pending.items()) {
        pending.drop(entry.id)
        entry.mailbox.fail(error)
      }
    },
  }
}

/** The request that a server's notification or question belongs to. */
function ownerOf(
  message: JsonRpcRequest | JsonRpcNotification,
  pending: InFlight<Pending>,
  attribution: 'newest' | 'sole',
): Pending | undefined {
  const subscription = metaOf(message)?.[META_SUBSCRIPTION]
  if (subscription !== undefined) return pending.get(subscription as number)
  if (message.method === 'notifications/progress') return pending.get(message.params?.['progressToken'] as number)
  if (!isRequest(message) && message.method !== 'notifications/message') return undefined
  const owner = attribution === 'sole' ? soleOf(pending) : newestOf(pending)
  return owner?.isBackground === true ? undefined : owner
}

function newestOf(pending: InFlight<Pending>): Pending | undefined {
  let newest: Pending | undefined
  for (const entry of pending.items()) {
    if (!isSubscription(entry) && (newest === undefined || !entry.isBackground || newest.isBackground)) newest = entry
  }
  return newest
}

function soleOf(pending: InFlight<Pending>): Pending | undefined {
  let only: Pending | undefined
  for (const entry of pending.items()) {
    if (isSubscription(entry)) continue
    if (only !== undefined) return undefined
    only = entry
  }
  return only
}

/** What belongs to a subscription says so. */
function isSubscription({ request }: Pending): boolean {
  return request.method === 'subscriptions/listen'
}

function outbound(message: JsonRpcRequest, id: number): JsonRpcRequest {
  const token = metaOf(message)?.['progressToken']
  return token === undefined ? { ...message, id } : withMeta({ ...message, id }, { progressToken: id })
}

function inboundResponse(message: JsonRpcResponse, request: JsonRpcRequest): JsonRpcResponse {
  const { result } = message
  if (isObject(result) && isObject(result['_meta']) && META_SUBSCRIPTION in result['_meta']) {
    const meta = { ...result['_meta'], [META_SUBSCRIPTION]: request.id }
    return { ...message, id: request.id, result: { ...result, _meta: meta } }
  }
  return { ...message, id: request.id }
}

function inboundMessage(message: JsonRpcMessage, request: JsonRpcRequest): JsonRpcMessage {
  const meta = metaOf(message as JsonObject)
  if (meta !== undefined && META_SUBSCRIPTION in meta) return withMeta(message, { [META_SUBSCRIPTION]: request.id })
  if (message['method'] !== 'notifications/progress') return message
  const token = metaOf(request)?.['progressToken']
  return { ...message, params: { ...(message['params'] as JsonObject), progressToken: token } }
}

function cancelled({ id, request }: Pending, reason: unknown): JsonRpcNotification {
  const given: JsonObject = isObject(reason) && !(reason instanceof Error) ? reason : {}
  const version = metaOf(request)?.[META_VERSION]
  const meta = version === undefined ? {} : { _meta: { ...(given['_meta'] as JsonObject), [META_VERSION]: version } }
  const why = typeof reason === 'string' ? { reason } : {}
  return {
    jsonrpc: '2.0',
    method: 'notifications/cancelled',
    params: { ...why, ...given, ...meta, requestId: id satisfies JsonRpcId },
  }
}
