/** The deprecated HTTP+SSE transport of 2024-11-05: one event stream down, posts to the address its first event names. */
import { createCorrelator } from '../correlator.ts'
import { WireError } from '../errors.ts'
import type { JsonRpcMessage } from '../json-rpc.ts'
import { parseUpstream } from '../parse.ts'
import { readEvents } from '../sse.ts'
import { defaultUpstreamLimits, type Upstream, type UpstreamEvents, type UpstreamLimits } from '../upstream.ts'
import { createHttpClient, readText } from './http-client.ts'

export type SseUpstreamOptions = UpstreamEvents & {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly attribution: 'newest' | 'sole'
  readonly limits?: Partial<UpstreamLimits>
}

/** Opens the stream at once; requests wait until the server has named its address. */
export function createSseUpstream(options: SseUpstreamOptions): Upstream {
  const limits = { ...defaultUpstreamLimits, ...options.limits }
  const client = createHttpClient(options.url, options.headers ?? {})
  const stop = new AbortController()
  const endpoint = Promise.withResolvers<string>()
  endpoint.promise.catch(() => undefined)
  const { promise: closed, resolve: setClosed } = Promise.withResolvers<string>()

  const post = async (message: JsonRpcMessage): Promise<void> => {
    const reply = await client.send({
      method: 'POST',
      url: await endpoint.promise,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(message),
      signal: stop.signal,
    })
    const text = await readText(reply, limits.maxLineBytes)
    if (reply.status >= 400) {
      throw new WireError('WIRE_UPSTREAM_REFUSED', `the server answered HTTP ${reply.status}: ${text.slice(0, 200)}`)
    }
  }
  const correlator = createCorrelator({
    send: (message) => {
      post(message).catch((error: unknown) => end(`a message could not be sent: ${String(error)}`))
    },
    onUnrelated: options.onMessage,
    attribution: options.attribution,
    idleTimeoutMs: limits.idleTimeoutMs,
    maxInFlight: limits.maxInFlight,
  })
  const end = (reason: string): void => {
    const error = new WireError('WIRE_UPSTREAM_CLOSED', reason)
    endpoint.reject(error)
    correlator.close(error)
    stop.abort()
    setClosed(reason)
  }

  const listen = async (): Promise<void> => {
    const reply = await client.send({ method: 'GET', headers: { accept: 'text/event-stream' }, signal: stop.signal })
    if (reply.status !== 200) throw new Error(`HTTP ${reply.status}`)
    for await (const event of readEvents(reply.body, limits.maxLineBytes)) {
      if (event.event === 'endpoint') endpoint.resolve(sameOrigin(event.data, options.url))
      else {
        const message = parseUpstream(event.data, limits.maxDepth)
        if (message === undefined) options.onDiagnostic(`not JSON-RPC in an event: ${event.data.slice(0, 200)}`)
        else correlator.accept(message, event.data.length)
      }
    }
    throw new Error('the server ended its event stream')
  }
  listen().catch((error: unknown) => end(String(error)))

  return {
    transport: 'sse',
    closed,
    load: correlator.load,
    answered: correlator.answered,
    request: (message, requestOptions) => correlator.request(message, requestOptions),
    notify: post,
    respond: async (message) => correlator.respond(message),
    async [Symbol.asyncDispose]() {
      end('the connection was closed')
      await client.close()
    },
  }
}

/** The adversary is a server that names an address elsewhere, to have our credentials posted there. */
function sameOrigin(address: string, base: string): string {
  const url = new URL(address, base)
  if (url.origin !== new URL(base).origin) {
    throw new WireError('WIRE_UPSTREAM_PROTOCOL', `the server named an address on another origin: ${url.origin}`)
  }
  return url.href
}
