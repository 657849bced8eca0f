/**
 * One event stream of a legacy session that outlives its connection (2025-11-25, basic/transports, resumability):
 * every event has an id, a window of events is kept, and a client that comes back with `Last-Event-ID` gets the rest.
 * As long as nothing has been sent, a response may still go out as plain JSON.
 */
import type { ServerResponse } from 'node:http'
import type { JsonRpcMessage } from '../json-rpc.ts'
import { formatEvent, KEEP_ALIVE_COMMENT } from '../sse.ts'
import { sendJson, startEvents, type Failure, type ResponseHeaders } from './http-reply.ts'

export type StreamLimits = {
  /** Events kept for a client that comes back. */
  readonly maxEvents: number
  /** Characters kept for it. */
  readonly maxEventChars: number
  /** Bytes that may wait for a slow client before its connection is cut; it can resume. */
  readonly maxUnreadBytes: number
  readonly keepAliveMs: number
}

export const defaultStreamLimits: StreamLimits = {
  maxEvents: 1000,
  maxEventChars: 4 * 1024 * 1024,
  maxUnreadBytes: 16 * 1024 * 1024,
  keepAliveMs: 15_000,
}

export type LegacyStream = {
  readonly id: string
  readonly isAttached: () => boolean
  readonly hasStarted: () => boolean
  /** A connection for the stream. `after` is the last event its client has seen; without it, what was never delivered follows. */
  attach(res: ServerResponse, options: AttachOptions): void
  send(message: JsonRpcMessage): void
  /** The end: as JSON when nothing was sent before, else as the last event. */
  /** `challenge`: the failure in it that has one, whose status is then the answer's, unless the stream has begun. */
  finish(body: JsonRpcMessage | readonly JsonRpcMessage[] | undefined, challenge?: Failure): void
}

export type AttachOptions = {
  readonly startNow: boolean
  readonly headers?: ResponseHeaders
  readonly after?: number
}

type StoredEvent = { readonly seq: number; readonly text: string }

/** `priming`: clients of 2025-11-25 and later get an empty first event, so that they can resume before the first message. */
export function createLegacyStream(id: string, priming: boolean, limits: StreamLimits): LegacyStream {
  let events: StoredEvent[] = []
  let storedChars = 0
  let nextSeq = 1
  let delivered = 0
  let started = false
  let finished = false
  let connection: ServerResponse | undefined
  let keepAlive: NodeJS.Timeout | undefined
  let responseHeaders: ResponseHeaders

  const detach = (res: ServerResponse): void => {
    if (connection !== res) return
    connection = undefined
    clearInterval(keepAlive)
  }

  const start = (res: ServerResponse): void => {
    started = true
    startEvents(res, responseHeaders)
    res.flushHeaders()
    if (priming) res.write(`id: ${id}_${nextSeq - 1}\ndata: \n\n`)
    keepAlive = setInterval(() => res.write(KEEP_ALIVE_COMMENT), limits.keepAliveMs).unref()
  }

  const write = (res: ServerResponse, event: StoredEvent): void => {
    res.write(event.text)
    delivered = event.seq
    if (res.writableLength > limits.maxUnreadBytes) {
      detach(res)
      res.destroy()
    }
  }

  const store = (message: JsonRpcMessage): StoredEvent => {
    const event = { seq: nextSeq, text: formatEvent(message, `${id}_${nextSeq}`) }
    nextSeq += 1
    events.push(event)
    storedChars += event.text.length
    while (events.length > limits.maxEvents || (storedChars > limits.maxEventChars && events.length > 1)) {
      storedChars -= events.shift()?.text.length ?? 0
    }
    return event
  }

  const send = (message: JsonRpcMessage): void => {
    const event = store(message)
    if (connection === undefined) {
      started = true
      return
    }
    if (!started) start(connection)
    write(connection, event)
  }

  return {
    id,
    isAttached: () => connection !== undefined,
    hasStarted: () => started,
    attach(res, { startNow, headers, after }) {
      responseHeaders = headers
      const previous = connection
      connection = res
      res.once('close', () => detach(res))
      if (previous !== undefined) previous.end()
      if (startNow || after !== undefined) {
        clearInterval(keepAlive)
        start(res)
        for (const event of events) if (event.seq > (after ?? delivered)) write(res, event)
        if (finished) res.end()
      }
    },
    send,
    finish(body, challenge) {
      finished = true
      if (connection !== undefined && !started && body !== undefined) {
        if (challenge?.challenge !== undefined) connection.setHeader('www-authenticate', challenge.challenge)
        sendJson(connection, challenge?.status ?? 200, body, responseHeaders)
        events = []
        return
      }
      if (body !== undefined) for (const message of Array.isArray(body) ? body : [body]) send(message as JsonRpcMessage)
      if (connection !== undefined) {
        if (!started) start(connection)
        connection.end()
      }
    },
  }
}
