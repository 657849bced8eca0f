/** HTTP to one server: undici's pool without its body timeout, which would end a quiet event stream after five minutes. */
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { WireError } from '../errors.ts'

export type HttpReply = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable
}

export type HttpSend = {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
  /** Another address on the same origin, for the deprecated HTTP+SSE transport. */
  readonly url?: string
}

export type HttpClient = { send(request: HttpSend): Promise<HttpReply>; close(): Promise<void> }

const CONNECT_TIMEOUT_MS = 10_000
const MAX_CONNECTIONS = 256

export function createHttpClient(url: string, ownHeaders: Readonly<Record<string, string>>): HttpClient {
  // Loaded on first use: a gateway with stdio servers only starts without it.
  let agent: Promise<{ undici: typeof import('undici'); dispatcher: Dispatcher }> | undefined
  const open = async () => {
    const undici = await import('undici')
    const dispatcher = new undici.Agent({
      connections: MAX_CONNECTIONS,
      bodyTimeout: 0,
      headersTimeout: 0,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    })
    return { undici, dispatcher }
  }
  return {
    async send({ method, headers, body, signal, url: other }) {
      const { undici, dispatcher } = await (agent ??= open())
      const reply = await undici.request(other ?? url, {
        dispatcher,
        method,
        headers: { ...ownHeaders, ...headers },
        signal,
        ...(body !== undefined && { body }),
      })
      return { status: reply.statusCode, headers: reply.headers, body: reply.body }
    },
    async close() {
      if (agent !== undefined) await (await agent).dispatcher.destroy()
    },
  }
}

/** The whole body as text, refused when it is longer than `maxBytes`. */
export async function readText(reply: HttpReply, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of reply.body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) {
      reply.body.destroy()
      throw new WireError('WIRE_UPSTREAM_PROTOCOL', `the server's answer exceeds ${maxBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
