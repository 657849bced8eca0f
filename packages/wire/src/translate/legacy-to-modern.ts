/**
 * A legacy client in front of a modern server: the session lives here, the server sees single requests. What it asks for with
 * `input_required` becomes a question to the client on the call's own stream (MCP 2026-07-28, basic/mrtr).
 */
import { randomUUID } from 'node:crypto'
import type { Peer } from '../backend.ts'
import type { Connection } from '../connection.ts'
import type { RequestOptions } from '../correlator.ts'
import { META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_SUBSCRIPTION, META_VERSION, MODERN_VERSIONS, negotiateVersion } from '../era.ts' // prettier-ignore
import { WireError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Headers } from '../headers.ts'
import { answerAlone, type ServerProfile } from '../handshake.ts'
import { isObject, isRequest, resultResponse, withMeta, type JsonObject, type JsonRpcMessage, type JsonRpcNotification, type JsonRpcRequest, type JsonRpcResponse } from '../json-rpc.ts' // prettier-ignore
import { isLogLevel } from '../log-levels.ts'
import { untilSent } from '../resend.ts'
import { legacyResponse, withoutMeta } from './legacy-results.ts'
import { createSubscriptions } from './subscriptions.ts'

export type LegacyToModernOptions = {
  /** The server as it is now; asked for every request, because a session outlives the connections behind it. */
  readonly connection: () => Connection | Promise<Connection>
  readonly peer: Pick<Peer, 'send'>
  /** `Mcp-Param-*` for a request: a legacy client doesn't send them. */
  readonly headers?: (message: JsonRpcRequest) => Headers | Promise<Headers>
  /** What went wrong where nobody waits for an answer. */
  readonly onDiagnostic: (text: string) => void
  /** What `initialize` answers when the server does not say who it is. */
  readonly serverName: string
}

export type LegacyToModern = AsyncDisposable & {
  request(message: JsonRpcRequest, options: RequestOptions): Exchange
  notify(message: { readonly method: string }): Promise<void>
  respond(message: JsonRpcResponse): Promise<void>
  /** `_meta` that stands for this session in a modern request. */
  readonly meta: () => JsonObject
}

/** The SDK's own shim gives up after as many. */
const MAX_ROUNDS = 8
/** Of a person, not of a machine. */
const ANSWER_TIMEOUT_MS = 600_000

type Waiting = { readonly settle: (response: JsonRpcResponse) => void }

export function openLegacyToModern(options: LegacyToModernOptions): LegacyToModern {
  const waiting = new Map<string, Waiting>()
  let nextQuestion = 1
  let client: { readonly info: unknown; readonly capabilities: JsonObject } = { info: undefined, capabilities: {} }
  let logLevel: string | undefined

  const meta = (): JsonObject => ({
    [META_VERSION]: MODERN_VERSIONS[0],
    ...(client.info !== undefined && { [META_CLIENT_INFO]: client.info }),
    [META_CLIENT_CAPABILITIES]: client.capabilities,
    ...(logLevel !== undefined && { [META_LOG_LEVEL]: logLevel }),
  })
  const subscriptions = createSubscriptions({
    connection: options.connection,
    meta,
    onNotification: (message) => options.peer.send(withoutSubscription(message)),
    onDiagnostic: options.onDiagnostic,
  })

  const initialize = async (params: JsonObject): Promise<JsonObject> => {
    const { profile } = await options.connection()
    client = {
      info: params['clientInfo'],
      capabilities: isObject(params['capabilities']) ? params['capabilities'] : {},
    }
    return initializeResult(params, profile, options.serverName)
  }

  const local = async ({ method, params = {} }: JsonRpcRequest): Promise<JsonObject | undefined> => {
    switch (method) {
      case 'initialize':
        return initialize(params)
      case 'ping':
        return {}
      case 'logging/setLevel':
        if (!isLogLevel(params['level'])) throw new WireError('WIRE_INVALID_PARAMS', 'level is not a log level')
        logLevel = params['level']
        return {}
      case 'resources/subscribe':
        await subscriptions.subscribe(String(params['uri']))
        return {}
      case 'resources/unsubscribe':
        subscriptions.unsubscribe(String(params['uri']))
        return {}
      default:
        return undefined
    }
  }

  /** Asks the client on the stream of its call and waits for all answers. */
  async function* ask(
    inputRequests: JsonObject,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<JsonRpcMessage, JsonObject, void> {
    const entries = Object.entries(inputRequests).map(([key, request]) => {
      const id = `input-${nextQuestion++}`
      const { promise, resolve } = Promise.withResolvers<JsonRpcResponse>()
      waiting.set(id, { settle: resolve })
      return { key, id, promise, request: isObject(request) ? request : {} }
    })
    try {
      for (const { id, request } of entries) yield { ...legacyQuestion(request), jsonrpc: '2.0', id }
      const answers = await within(Promise.all(entries.map(({ promise }) => promise)), signal)
      return Object.fromEntries(
        answers.map(({ result, error }, at) => {
          if (error !== undefined) {
            throw new WireError('WIRE_CLIENT_REFUSED', `the client refused to answer: ${error.message}`)
          }
          return [entries[at]?.key ?? '', result]
        }),
      )
    } finally {
      for (const { id } of entries) waiting.delete(id)
    }
  }

  async function* call(message: JsonRpcRequest, { signal }: RequestOptions): Exchange {
    let params: JsonObject = message.params ?? {}
    const headers = await options.headers?.(message)
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const request = withMeta({ ...message, params }, meta())
      const start = async () => {
        const { upstream } = await options.connection()
        return { upstream, exchange: upstream.request(request, { signal, headers }) }
      }
      const { upstream, exchange } = await untilSent(start)
      const response = yield* answeringPings(exchange, upstream)
      const { result } = response
      if (!isObject(result) || result['resultType'] !== 'input_required') return legacyResponse(response)
      const inputRequests = isObject(result['inputRequests']) ? result['inputRequests'] : {}
      const inputResponses = yield* ask(inputRequests, signal)
      const { requestState } = result
      params = {
        ...message.params,
        ...(Object.keys(inputResponses).length > 0 && { inputResponses }),
        ...(requestState !== undefined && { requestState }),
      }
    }
    throw new WireError('WIRE_UPSTREAM_PROTOCOL', `the server asked for input more than ${MAX_ROUNDS} times`)
  }

  return {
    meta,
    async *request(message, requestOptions) {
      const result = await local(message)
      return result === undefined ? yield* call(message, requestOptions) : resultResponse(message.id, result)
    },
    async notify({ method }) {
      // `notifications/roots/list_changed` has no counterpart: a modern server asks for roots when it needs them.
      if (method === 'notifications/initialized') await subscriptions.start()
    },
    async respond(message) {
      if (typeof message.id === 'string') waiting.get(message.id)?.settle(message)
    },
    async [Symbol.asyncDispose]() {
      subscriptions.close()
    },
  }
}

/** A modern server has no questions outside of results; one that pings all the same is answered. */
async function* answeringPings(exchange: Exchange, upstream: Connection['upstream']): Exchange {
  for (;;) {
    const next = await exchange.next()
    if (next.done) return next.value
    if (isRequest(next.value)) await upstream.respond(answerAlone(next.value))
    else yield next.value
  }
}

function initializeResult(params: JsonObject, profile: ServerProfile, serverName: string): JsonObject {
  const { capabilities, instructions, serverInfo } = profile
  return {
    protocolVersion: negotiateVersion(params['protocolVersion']),
    capabilities: { ...capabilities, logging: capabilities['logging'] ?? {} },
    serverInfo: serverInfo ?? { name: serverName, version: '0.0.0' },
    ...(instructions !== undefined && { instructions }),
  }
}

/** 2025-11-25 wants an id in a question that leads to a web page; 2026-07-28 has none. */
function legacyQuestion(request: JsonObject): JsonObject {
  const { params } = request
  if (!isObject(params) || params['mode'] !== 'url' || params['elicitationId'] !== undefined) return request
  return { ...request, params: { ...params, elicitationId: randomUUID() } }
}

function withoutSubscription(message: JsonRpcNotification): JsonRpcNotification {
  return message.params === undefined ? message : { ...message, params: withoutMeta(message.params, META_SUBSCRIPTION) }
}

/** The value, unless the client cancels its call or lets the time run out. */
async function within<T>(value: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new WireError('WIRE_CLIENT_REFUSED', `no answer from the client within ${ANSWER_TIMEOUT_MS} ms`)),
    ANSWER_TIMEOUT_MS,
  ).unref()
  const onAbort = (): void => reject(new WireError('WIRE_CANCELLED', 'the caller cancelled the request'))
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted === true) onAbort()
  try {
    return await Promise.race([value, promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
