/**
 * A server behind Streamable HTTP, in either era. Every request has a response stream of its own, so nothing has to be
 * guessed about what belongs to it.
 *
 * The adversary is the server: redirects are not followed (they could point into the private network), bodies and events
 * have limits, and of what the client sent only the headers built here go out.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { META_VERSION, type Era } from '../era.ts'
import { WireError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { Mailbox } from '../mailbox.ts'
import { mirrorHeaders, type Headers } from '../headers.ts'
import { createInFlight } from '../in-flight.ts'
import {
  idKey,
  isObject,
  isRequest,
  isResponse,
  metaOf,
  type JsonRpcMessage,
  type JsonRpcNotification,
  type JsonRpcRequest,
  type JsonRpcResponse,
} from '../json-rpc.ts'
import { onlyParamHeaders } from '../param-headers.ts'
import { parseUpstream } from '../parse.ts'
import { readEvents } from '../sse.ts'
import { defaultUpstreamLimits, loadOf, type Upstream, type UpstreamEvents, type UpstreamLimits } from '../upstream.ts'
import { createCallClock, type CallClock } from './call-clock.ts'
import { createHttpClient, readText, type Credentials, type HttpReply } from './http-client.ts'

export type HttpUpstreamOptions = UpstreamEvents & {
  readonly url: string
  /** Sent with every request, e.g. the server's own `authorization`. */
  readonly headers?: Readonly<Record<string, string>>
  /** An `authorization` that changes while the connection lives. */
  readonly credentials?: Credentials | undefined
  readonly limits?: Partial<UpstreamLimits>
}

type Running = {
  readonly id: number
  readonly request: JsonRpcRequest
  readonly mailbox: Mailbox
  readonly clock: CallClock
  /** The server's questions that the client has not answered yet. */
  readonly questions: Set<string | number>
}

const MAX_RECONNECTS = 5
const DEFAULT_RETRY_MS = 1000

export function createHttpUpstream(options: HttpUpstreamOptions): Upstream {
  const limits = { ...defaultUpstreamLimits, ...options.limits }
  const client = createHttpClient(options.url, options.headers ?? {}, options.credentials)
  const stop = new AbortController()
  const session: { id?: string; version?: string } = {}
  const running = createInFlight<Running>()
  let nextId = 1
  let answered = 0
  const { promise: closed, resolve: setClosed } = Promise.withResolvers<string>()

  /** Ends early, without an error, when the connection is closed. */
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined)

  const sessionHeaders = (): Record<string, string> => ({
    ...(session.id !== undefined && { 'mcp-session-id': session.id }),
    ...(session.version !== undefined && { 'mcp-protocol-version': session.version }),
  })

  const post = async (message: JsonRpcMessage, signal: AbortSignal, extra?: Headers): Promise<HttpReply> => {
    const sent = client.send({
      method: 'POST',
      body: JSON.stringify(message),
      signal,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(eraOfMessage(message) === 'modern' ? mirrorHeaders(message as JsonRpcRequest) : sessionHeaders()),
        ...onlyParamHeaders(extra),
      },
    })
    try {
      return await sent
    } catch (error) {
      // What comes next needs a new handshake; what runs may still end.
      if (!signal.aborted && !(error instanceof WireError))
        setClosed(`the server could not be reached: ${String(error)}`)
      throw error
    }
  }

  /** Posts what has no answer. */
  const postOneWay = async (message: JsonRpcMessage): Promise<void> => {
    const reply = await post(message, stop.signal)
    const text = await readText(reply, limits.maxLineBytes)
    if (reply.status >= 400) throw client.refusal(reply.status, text)
  }

  /** Reads a stream into the mailbox, reconnecting where the server gave us an event to continue from (2025-11-25, resumability). */
  const pump = async (reply: HttpReply, call: Running): Promise<void> => {
    const { mailbox, clock } = call
    let current = reply
    let lastEventId: string | undefined
    let retryMs = DEFAULT_RETRY_MS
    for (let attempt = 0; attempt <= MAX_RECONNECTS; attempt += 1) {
      for await (const event of readEvents(
        current.body,
        limits.maxLineBytes,
        (ms) => (retryMs = Math.min(ms, 30_000)),
      )) {
        lastEventId = event.id ?? lastEventId
        if (call.questions.size === 0) clock.touch()
        deliver(event.data, call)
        if (!mailbox.isOpen()) return
      }
      if (lastEventId === undefined) break
      await pause(retryMs)
      if (!mailbox.isOpen()) return
      current = await client.send({
        method: 'GET',
        signal: stop.signal,
        headers: { accept: 'text/event-stream', ...sessionHeaders(), 'last-event-id': lastEventId },
      })
      if (current.status !== 200) throw client.refusal(current.status, await readText(current, limits.maxLineBytes))
    }
    throw new WireError('WIRE_UPSTREAM_CLOSED', 'the server ended the stream without an answer')
  }

  const deliver = (data: string, call: Running): void => {
    if (data === '') return
    const message = parseUpstream(data, limits.maxDepth)
    if (message === undefined) return options.onDiagnostic(`not JSON-RPC in an event: ${data.slice(0, 200)}`)
    if (isResponse(message)) return settle(message, call)
    if (isRequest(message)) {
      call.questions.add(idKey(message.id))
      call.clock.hold()
    }
    call.mailbox.push(message, data.length)
    return undefined
  }

  const run = async (call: Running, outgoing: JsonRpcRequest, signal: AbortSignal, extra?: Headers): Promise<void> => {
    const reply = await post(outgoing, signal, extra)
    call.clock.touch()
    // A stateless legacy server issues no id; then none is sent.
    const sessionId = reply.headers['mcp-session-id']
    if (outgoing.method === 'initialize' && typeof sessionId === 'string') session.id = sessionId
    if (isEventStream(reply)) return pump(reply, call)
    const text = await readText(reply, limits.maxLineBytes)
    // Whatever its body says: it is about our credentials, and nothing that a client could mend with its own.
    if (reply.status === 401 && options.credentials !== undefined) throw client.refusal(401, text)
    const answer = parseUpstream(text, limits.maxDepth)
    if (
      reply.status === 404 &&
      session.id !== undefined &&
      outgoing.method !== 'initialize' &&
      answer?.['id'] == null
    ) {
      const cause = client.refusal(reply.status, text)
      setClosed("the server's session has expired")
      throw new WireError('WIRE_UPSTREAM_CLOSED', "the server's session has expired", { cause, data: cause.data ?? {} })
    }
    if (answer === undefined || !isResponse(answer)) throw client.refusal(reply.status, text)
    settle(answer, call)
  }

  const settle = (answer: JsonRpcResponse, { mailbox, request }: Running): void => {
    if (request.method === 'initialize' && isObject(answer.result)) {
      const version = answer.result['protocolVersion']
      if (typeof version === 'string') session.version = version
    }
    answered += 1
    mailbox.settle({ ...answer, id: request.id })
  }

  /** The stream for what a legacy server says unasked. 405 means that it has none. */
  const listen = async (): Promise<void> => {
    let lastEventId: string | undefined
    for (let failures = 0; failures < MAX_RECONNECTS && !stop.signal.aborted; failures += 1) {
      try {
        const resume = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
        const reply = await client.send({
          method: 'GET',
          signal: stop.signal,
          headers: { accept: 'text/event-stream', ...sessionHeaders(), ...resume },
        })
        if (reply.status !== 200 || !isEventStream(reply)) return void (await readText(reply, limits.maxLineBytes))
        for await (const event of readEvents(reply.body, limits.maxLineBytes)) {
          failures = 0
          lastEventId = event.id ?? lastEventId
          const message = event.data === '' ? undefined : parseUpstream(event.data, limits.maxDepth)
          if (message !== undefined) options.onMessage(message)
        }
      } catch (error) {
        if (!stop.signal.aborted) options.onDiagnostic(`the server's event stream broke: ${String(error)}`)
      }
      await pause(DEFAULT_RETRY_MS)
    }
  }

  const request: Upstream['request'] = (message, requestOptions = {}): Exchange => {
    const { signal, headers, idleTimeoutMs: idleMs = limits.idleTimeoutMs, maxTimeoutMs } = requestOptions
    if (stop.signal.aborted) throw new WireError('WIRE_NOT_SENT', 'the connection was closed')
    if (running.size() >= limits.maxInFlight) {
      throw new WireError('WIRE_CALL_LIMIT', `${limits.maxInFlight} calls are in flight at this server already`)
    }
    const abort = new AbortController()
    const era = eraOfMessage(message)
    // One legacy session may serve several clients, who choose their ids without knowing of each other.
    const outgoing = era === 'legacy' ? { ...message, id: nextId++ } : message
    const leave = (reason: unknown): void => {
      abort.abort()
      // Closing the response stream is the cancel of 2026-07-28; before, it takes a notification (basic/utilities/cancellation).
      if (era === 'legacy' && message.method !== 'initialize') {
        const given = isObject(reason) && !(reason instanceof Error) ? reason : {}
        const params = { ...given, requestId: outgoing.id }
        postOneWay({ jsonrpc: '2.0', method: 'notifications/cancelled', params }).catch((error: unknown) =>
          options.onDiagnostic(`a cancellation was not delivered: ${String(error)}`),
        )
      }
    }
    const mailbox = new Mailbox(() => leave(signal?.reason))
    signal?.addEventListener(
      'abort',
      () => {
        if (!mailbox.isOpen()) return
        leave(signal.reason)
        mailbox.fail(new WireError('WIRE_CANCELLED', 'the caller cancelled the request'))
      },
      { once: true },
    )
    const isSubscription = message.method === 'subscriptions/listen'
    const clock = createCallClock(isSubscription ? {} : { idleMs, maxMs: maxTimeoutMs }, (ms) => {
      leave({ reason: 'timeout' })
      mailbox.fail(new WireError('WIRE_UPSTREAM_TIMEOUT', `no answer to ${message.method} within ${ms} ms`))
    })
    const call: Running = { id: running.newId(), request: message, mailbox, clock, questions: new Set() }
    running.add(call)
    run(call, outgoing, AbortSignal.any([abort.signal, stop.signal]), headers)
      .catch((error: unknown) => mailbox.fail(asWireError(error)))
      .finally(() => {
        running.drop(call.id)
        clock.stop()
      })
    return mailbox
  }

  const respond = async (message: JsonRpcResponse): Promise<void> => {
    if (message.id != null) {
      const key = idKey(message.id)
      for (const { questions, clock } of running.items())
        if (questions.delete(key) && questions.size === 0) clock.touch()
    }
    await postOneWay(message)
  }

  return {
    transport: 'http',
    closed,
    answered: () => answered,
    load: () => loadOf(running.items().map((call) => call.request)),
    request,
    async notify(message: JsonRpcNotification) {
      await postOneWay(message)
      if (message.method === 'notifications/initialized') void listen()
    },
    respond,
    async [Symbol.asyncDispose]() {
      if (stop.signal.aborted) return
      const farewell =
        session.id === undefined
          ? Promise.resolve()
          : client
              .send({ method: 'DELETE', headers: sessionHeaders(), signal: AbortSignal.timeout(2000) })
              .then((reply) => readText(reply, limits.maxLineBytes))
      await farewell.catch((error: unknown) => options.onDiagnostic(`the session was not ended: ${String(error)}`))
      stop.abort()
      setClosed('the connection was closed')
      await client.close()
    },
  }
}

function eraOfMessage(message: JsonRpcMessage): Era {
  return typeof message['method'] === 'string' && metaOf(message as JsonRpcRequest)?.[META_VERSION] !== undefined
    ? 'modern'
    : 'legacy'
}

function isEventStream(reply: HttpReply): boolean {
  return reply.status === 200 && String(reply.headers['content-type'] ?? '').startsWith('text/event-stream')
}

function asWireError(error: unknown): WireError {
  if (error instanceof WireError) return error
  return new WireError('WIRE_UPSTREAM_CLOSED', `the server could not be reached: ${String(error)}`, { cause: error })
}
