/** One legacy session on the client's side: its streams, its running requests, its backend. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context, SessionBackend } from '../backend.ts'
import { LEGACY_VERSIONS } from '../era.ts'
import { WireError } from '../errors.ts'
import { responseOf } from '../exchange.ts'
import { single } from '../headers.ts'
import {
  idKey,
  isObject,
  isRequest,
  isResponse,
  type JsonRpcId,
  type JsonRpcMessage,
  type JsonRpcRequest,
  type JsonRpcResponse,
} from '../json-rpc.ts'
import { failureResponse, sendEmpty, type DescribeFailure, type Failure } from './http-reply.ts'
import { createLegacyStream, type LegacyStream, type StreamLimits } from './legacy-stream.ts'

export type LegacySession<C extends Context> = {
  readonly id: string
  readonly principal: string
  readonly isBusy: () => boolean
  /** The response to `initialize`; the session lives only when it is a result. */
  initialize(message: JsonRpcRequest, context: C): Promise<JsonRpcResponse>
  post(
    body: JsonRpcMessage | readonly JsonRpcMessage[],
    req: IncomingMessage,
    res: ServerResponse,
    context: C,
  ): Promise<void>
  /** The client opens or resumes a stream with GET. */
  listen(req: IncomingMessage, res: ServerResponse, context: C): void
  /** To the client, outside of any request. */
  send(message: JsonRpcMessage): void
  dispose(): Promise<void>
}

export type LegacySessionOptions<C extends Context> = {
  readonly id: string
  readonly principal: string
  readonly backend: SessionBackend<C>
  readonly limits: StreamLimits
  readonly describeFailure: DescribeFailure<C>
}

/** Ended event streams that stay readable for a client that lost its connection. */
const MAX_ENDED_STREAMS = 16

/** Without a response: the client has taken the request back. */
type Answered = { readonly response?: JsonRpcResponse; readonly failure?: Failure }

export function createLegacySession<C extends Context>(options: LegacySessionOptions<C>): LegacySession<C> {
  const { backend, limits } = options
  const running = new Map<string | number, AbortController>()
  const streams = new Map<string, LegacyStream>()
  const ended: string[] = []
  let version = ''
  let nextStream = 1
  const primes = (): boolean => version >= '2025-11-25'
  let standalone: LegacyStream | undefined

  const standaloneStream = (): LegacyStream => {
    standalone ??= createLegacyStream('0', primes(), limits)
    streams.set('0', standalone)
    return standalone
  }

  /** Runs one request on its stream, whether or not the client stays connected: only its `notifications/cancelled` ends it. */
  const run = async (message: JsonRpcRequest, stream: LegacyStream, context: C): Promise<Answered> => {
    const key = idKey(message.id)
    const abort = new AbortController()
    running.set(key, abort)
    try {
      const exchange = backend.request(message, context, { signal: abort.signal })
      return { response: await responseOf(exchange, (said) => stream.send(said)) }
    } catch (error) {
      // basic/utilities/cancellation: a cancelled request is not answered.
      if (abort.signal.aborted) return {}
      const failure = options.describeFailure(error, context)
      return { response: failureResponse(failure, message.id), failure }
    } finally {
      running.delete(key)
    }
  }

  const cancel = (params: unknown): void => {
    const id = isObject(params) ? params['requestId'] : undefined
    if (id !== undefined) running.get(idKey(id as JsonRpcId))?.abort(params)
  }

  const oneWay = async (message: JsonRpcMessage, context: C): Promise<void> => {
    if (isResponse(message)) await backend.respond(message, context)
    else if (message.method === 'notifications/cancelled') cancel(message.params)
    else await backend.notify(message, context)
  }

  const checkVersion = (req: IncomingMessage): void => {
    const header = single(req.headers, 'mcp-protocol-version')
    if (header !== undefined && !LEGACY_VERSIONS.includes(header)) {
      throw new WireError('WIRE_UNSUPPORTED_PROTOCOL_VERSION', `unsupported protocol version: ${header}`, {
        data: { supported: LEGACY_VERSIONS, requested: header },
      })
    }
  }

  const answer = async (
    requests: readonly JsonRpcRequest[],
    isBatch: boolean,
    res: ServerResponse,
    context: C,
  ): Promise<void> => {
    for (const { id } of requests) {
      if (running.has(idKey(id))) throw new WireError('WIRE_DUPLICATE_REQUEST_ID', 'a request with this id is running')
    }
    const stream = createLegacyStream(String(nextStream++), primes(), limits)
    streams.set(stream.id, stream)
    stream.attach(res, { startNow: false, headers: context.responseHeaders })
    const answers = await Promise.all(requests.map((request) => run(request, stream, context)))
    const given = answers.flatMap(({ response }) => response ?? [])
    const challenge = answers.find(({ failure }) => failure?.challenge !== undefined)?.failure
    if (given.length === 0) stream.finish(undefined)
    else stream.finish(isBatch ? given : given[0], challenge)
    if (!stream.hasStarted()) streams.delete(stream.id)
    else {
      ended.push(stream.id)
      if (ended.length > MAX_ENDED_STREAMS) streams.delete(ended.shift() as string)
    }
  }

  return {
    id: options.id,
    principal: options.principal,
    isBusy: () => running.size > 0 || standalone?.isAttached() === true,
    async initialize(message, context) {
      const exchange = backend.request(message, context, {})
      let next = await exchange.next()
      for (; !next.done; next = await exchange.next()) standaloneStream().send(next.value)
      const { result } = next.value
      if (isObject(result) && typeof result['protocolVersion'] === 'string') version = result['protocolVersion']
      return next.value
    },
    async post(body, req, res, context) {
      checkVersion(req)
      const messages = Array.isArray(body) ? (body as readonly JsonRpcMessage[]) : [body as JsonRpcMessage]
      if (Array.isArray(body) && version !== '2025-03-26') {
        throw new WireError('WIRE_INVALID_MESSAGE', `batches are not part of protocol version ${version}`)
      }
      for (const message of messages) if (!isRequest(message)) await oneWay(message, context)
      const requests = messages.filter(isRequest)
      if (requests.length === 0) sendEmpty(res, 202, context.responseHeaders)
      else await answer(requests, Array.isArray(body), res, context)
    },
    listen(req, res, { responseHeaders: headers }) {
      checkVersion(req)
      const last = single(req.headers, 'last-event-id')
      if (last === undefined) {
        const stream = standaloneStream()
        if (stream.isAttached())
          throw new WireError('WIRE_STREAM_CONFLICT', 'this session has its event stream already')
        return stream.attach(res, { startNow: true, headers })
      }
      const [, id, seq] = /^(\d{1,9})_(\d{1,15})$/.exec(last) ?? []
      const stream = id === undefined ? undefined : streams.get(id)
      if (stream === undefined)
        throw new WireError('WIRE_INVALID_MESSAGE', 'Last-Event-ID names no stream of this session')
      return stream.attach(res, { startNow: true, headers, after: Number(seq) })
    },
    send: (message) => standaloneStream().send(message),
    async dispose() {
      for (const abort of running.values()) abort.abort()
      for (const stream of streams.values()) stream.finish(undefined)
      streams.clear()
      await backend[Symbol.asyncDispose]()
    },
  }
}
