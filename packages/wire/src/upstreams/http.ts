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
import { createMailbox, type Exchange, type Mailbox } from '../exchange.ts'
import { mirrorHeaders, type Headers } from '../headers.ts'
import {
  isObject,
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
import { defaultUpstreamLimits, type Upstream, type UpstreamEvents, type UpstreamLimits } from '../upstream.ts'
import { createHttpClient, readText, type HttpReply } from './http-client.ts'

export type HttpUpstreamOptions = UpstreamEvents & {
  readonly url: string
  /** Sent with every request, e.g. the server's own `authorization`. */
  readonly headers?: Readonly<Record<string, string>>
  readonly limits?: Partial<UpstreamLimits>
}

const MAX_RECONNECTS = 5
const DEFAULT_RETRY_MS = 1000

export function createHttpUpstream(options: HttpUpstreamOptions): Upstream {
  const limits = { ...defaultUpstreamLimits, ...options.limits }
  const client = createHttpClient(options.url, options.headers ?? {})
  const stop = new AbortController()
  const session: { id?: string; version?: string } = {}
  let inFlight = 0
  const { promise: closed, resolve: setClosed } = Promise.withResolvers<string>()

  /** Ends early, without an error, when the connection is closed. */
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined)

  const sessionHeaders = (): Record<string, string> => ({
    ...(session.id !== undefined && { 'mcp-session-id': session.id }),
    ...(session.version !== undefined && { 'mcp-protocol-version': session.version }),
  })

  const post = (message: JsonRpcMessage, signal: AbortSignal, extra?: Headers): Promise<HttpReply> =>
    client.send({
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

  /** Posts what has no answer. */
  const postOneWay = async (message: JsonRpcMessage): Promise<void> => {
    const reply = await post(message, stop.signal)
    const text = await readText(reply, limits.maxLineBytes)
    if (reply.status >= 400) throw refused(reply.status, text)
  }

  /** Reads a stream into the mailbox, reconnecting where the server gave us an event to continue from (2025-11-25, resumability). */
  const pump = async (
    reply: HttpReply,
    mailbox: Mailbox,
    request: JsonRpcRequest,
    touch: () => void,
  ): Promise<void> => {
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
        touch()
        deliver(event.data, mailbox, request)
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
      if (current.status !== 200) throw refused(current.status, await readText(current, limits.maxLineBytes))
    }
    throw new WireError('WIRE_UPSTREAM_CLOSED', 'the server ended the stream without an answer')
  }

  const deliver = (data: string, mailbox: Mailbox, request: JsonRpcRequest): void => {
    if (data === '') return
    const message = parseUpstream(data, limits.maxDepth)
    if (message === undefined) return options.onDiagnostic(`not JSON-RPC in an event: ${data.slice(0, 200)}`)
    if (isResponse(message)) settle(message, mailbox, request)
    else mailbox.push(message)
    return undefined
  }

  const run = async (
    message: JsonRpcRequest,
    mailbox: Mailbox,
    signal: AbortSignal,
    touch: () => void,
    extra?: Headers,
  ): Promise<void> => {
    const reply = await post(message, signal, extra)
    touch()
    // A stateless legacy server issues no id; then none is sent.
    const sessionId = reply.headers['mcp-session-id']
    if (message.method === 'initialize' && typeof sessionId === 'string') session.id = sessionId
    if (isEventStream(reply)) return pump(reply, mailbox, message, touch)
    const text = await readText(reply, limits.maxLineBytes)
    const answer = parseUpstream(text, limits.maxDepth)
    if (answer === undefined || !isResponse(answer)) throw refused(reply.status, text)
    settle(answer, mailbox, message)
  }

  const settle = (answer: JsonRpcResponse, mailbox: Mailbox, request: JsonRpcRequest): void => {
    if (request.method === 'initialize' && isObject(answer.result)) {
      const version = answer.result['protocolVersion']
      if (typeof version === 'string') session.version = version
    }
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

  const request: Upstream['request'] = (message, { signal, headers } = {}): Exchange => {
    if (stop.signal.aborted) throw new WireError('WIRE_UPSTREAM_CLOSED', 'the connection was closed')
    if (inFlight >= limits.maxInFlight) {
      throw new WireError('WIRE_CALL_LIMIT', `${limits.maxInFlight} calls are in flight at this server already`)
    }
    const abort = new AbortController()
    const leave = (reason: unknown): void => {
      abort.abort()
      // Closing the response stream is the cancel of 2026-07-28; before, it takes a notification (basic/utilities/cancellation).
      if (eraOfMessage(message) === 'legacy' && message.method !== 'initialize') {
        const given = isObject(reason) && !(reason instanceof Error) ? reason : {}
        const params = { ...given, requestId: message.id }
        postOneWay({ jsonrpc: '2.0', method: 'notifications/cancelled', params }).catch((error: unknown) =>
          options.onDiagnostic(`a cancellation was not delivered: ${String(error)}`),
        )
      }
    }
    const mailbox = createMailbox(() => leave(signal?.reason))
    signal?.addEventListener(
      'abort',
      () => {
        if (!mailbox.isOpen()) return
        leave(signal.reason)
        mailbox.fail(new WireError('WIRE_CANCELLED', 'the caller cancelled the request'))
      },
      { once: true },
    )
    const clock = createIdleClock(message.method === 'subscriptions/listen' ? 0 : limits.idleTimeoutMs, () => {
      leave({ reason: 'timeout' })
      mailbox.fail(
        new WireError('WIRE_UPSTREAM_TIMEOUT', `no answer to ${message.method} within ${limits.idleTimeoutMs} ms`),
      )
    })
    inFlight += 1
    run(message, mailbox, AbortSignal.any([abort.signal, stop.signal]), clock.touch, headers)
      .catch((error: unknown) => mailbox.fail(asWireError(error)))
      .finally(() => {
        inFlight -= 1
        clock.stop()
      })
    return mailbox.exchange
  }

  return {
    transport: 'http',
    closed,
    request,
    async notify(message: JsonRpcNotification) {
      await postOneWay(message)
      if (message.method === 'notifications/initialized') void listen()
    },
    respond: postOneWay,
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

function createIdleClock(idleMs: number, onIdle: () => void): { touch: () => void; stop: () => void } {
  if (idleMs === 0) return { touch: () => undefined, stop: () => undefined }
  const timer = setTimeout(onIdle, idleMs).unref()
  return { touch: () => void timer.refresh(), stop: () => clearTimeout(timer) }
}

function eraOfMessage(message: JsonRpcMessage): Era {
  return typeof message['method'] === 'string' && metaOf(message as JsonRpcRequest)?.[META_VERSION] !== undefined
    ? 'modern'
    : 'legacy'
}

function isEventStream(reply: HttpReply): boolean {
  return reply.status === 200 && String(reply.headers['content-type'] ?? '').startsWith('text/event-stream')
}

function refused(status: number, text: string): WireError {
  return new WireError('WIRE_UPSTREAM_REFUSED', `the server answered HTTP ${status}: ${text.slice(0, 200)}`, {
    data: { upstreamStatus: status },
  })
}

function asWireError(error: unknown): WireError {
  if (error instanceof WireError) return error
  return new WireError('WIRE_UPSTREAM_CLOSED', `the server could not be reached: ${String(error)}`, { cause: error })
}
