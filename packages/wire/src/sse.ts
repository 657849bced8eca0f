/** Server-sent events, read from a server and written to a client. */
import { createParser } from 'eventsource-parser'
import { WireError } from './errors.ts'
import type { JsonRpcMessage } from './json-rpc.ts'

export type SseEvent = {
  readonly event: string | undefined
  readonly data: string
  readonly id: string | undefined
}

/**
 * The events of a body. The adversary is a server that sends one event without end: past `maxEventLength` characters
 * without a complete event the stream fails.
 */
export async function* readEvents(
  body: AsyncIterable<Uint8Array>,
  maxEventLength: number,
  onRetry?: (retryMs: number) => void,
): AsyncGenerator<SseEvent, void, void> {
  const ready: SseEvent[] = []
  let pendingLength = 0
  const parser = createParser({
    onEvent: (event) => {
      ready.push({ event: event.event, data: event.data, id: event.id })
      pendingLength = 0
    },
    ...(onRetry && { onRetry }),
  })
  const decoder = new TextDecoder()
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true })
    pendingLength += text.length
    parser.feed(text)
    yield* ready.splice(0)
    if (pendingLength > maxEventLength) {
      throw new WireError('WIRE_UPSTREAM_PROTOCOL', `an event exceeds ${maxEventLength} characters`)
    }
  }
}

/** One message as an event. JSON has no raw newline, so one data line is enough. */
export function formatEvent(message: JsonRpcMessage, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: message\ndata: ${JSON.stringify(message)}\n\n`
}

export const KEEP_ALIVE_COMMENT = ': keep-alive\n\n'

/** Names and values in turns. `X-Accel-Buffering` keeps nginx from holding events back (basic/transports/streamable-http). */
export const SSE_HEADERS: readonly string[] = Object.entries({
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}).flat()
