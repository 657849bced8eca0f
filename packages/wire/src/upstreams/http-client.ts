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

/** What is sent as `Authorization` and may change while the connection lives. */
export type Credentials = {
  /** The header's whole value, `Bearer …`. Rejects when there is none to be had, or `signal` is aborted. */
  get(signal: AbortSignal): Promise<string>
  /** The server has answered 401 to this value: `get` should find another. */
  refused(value: string): void
}

export type HttpClient = {
  /**
   * With credentials, a 401 is answered by one more attempt: it says that nothing of the request was done (RFC 9110 §15.5.2).
   * Rejects with WIRE_UPSTREAM_CREDENTIALS when there are none.
   */
  send(request: HttpSend): Promise<HttpReply>
  /** What a status of 400 and more becomes. Of `text`, which a careless server repeats the credentials in, these are left out. */
  refusal(status: number, text: string): WireError
  close(): Promise<void>
}

const CONNECT_TIMEOUT_MS = 10_000
const MAX_CONNECTIONS = 256
/** Of a refusal's body that is read so that its connection can be used again. */
const MAX_REFUSAL_BYTES = 65_536

export function createHttpClient(
  url: string,
  ownHeaders: Readonly<Record<string, string>>,
  credentials?: Credentials,
): HttpClient {
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
  const attempt = async ({ method, headers, body, signal, url: other }: HttpSend, authorization?: string) => {
    const { undici, dispatcher } = await (agent ??= open())
    // Redirects are not followed: what is in these headers is for this origin only.
    return undici.request(other ?? url, {
      dispatcher,
      method,
      headers: { ...ownHeaders, ...headers, ...(authorization !== undefined && { authorization }) },
      signal,
      ...(body !== undefined && { body }),
    })
  }
  let last: string | undefined
  const authorization = async (signal: AbortSignal): Promise<string | undefined> => {
    try {
      return (last = await credentials?.get(signal))
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new WireError('WIRE_UPSTREAM_CREDENTIALS', `there are no credentials for the server: ${reason}`, { cause })
    }
  }
  return {
    async send(request) {
      const value = credentials && (await authorization(request.signal))
      let reply = await attempt(request, value)
      if (reply.statusCode === 401 && credentials !== undefined && value !== undefined) {
        await reply.body.dump({ limit: MAX_REFUSAL_BYTES, signal: request.signal })
        credentials.refused(value)
        reply = await attempt(request, await authorization(request.signal))
      }
      return { status: reply.statusCode, headers: reply.headers, body: reply.body }
    },
    refusal(status, text) {
      const data = { upstreamStatus: status }
      // Without any of our own, a 401 is no more than a refusal: some servers say so to a method they don't know.
      if (status === 401 && credentials !== undefined) {
        const message = 'the server does not take the credentials of the gateway (HTTP 401)'
        return new WireError('WIRE_UPSTREAM_UNAUTHORIZED', message, { data })
      }
      const token = last?.slice(last.indexOf(' ') + 1)
      const said = (token === undefined ? text : text.replaceAll(token, '[REDACTED]')).slice(0, 200)
      return new WireError('WIRE_UPSTREAM_REFUSED', `the server answered HTTP ${status}: ${said}`, { data })
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
