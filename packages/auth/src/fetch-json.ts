/**
 * One JSON document over the network, with a limit on everything that the other side decides: how long it takes, how
 * much it sends, and where it sends us (redirects are not followed: a trusted name could point into our network).
 */

/** What is used of the global `fetch`. Whoever wants rules about addresses or a proxy gives one that has them. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export type JsonRequest = {
  readonly url: string
  readonly fetch: Fetch
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly signal?: AbortSignal | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Sent by POST as a form. */
  readonly form?: URLSearchParams | undefined
}

export type JsonReply = { readonly status: number; readonly headers: Headers; readonly body: unknown }

/** @throws Error when there is no answer, or too long a one; `body` is undefined when it is not JSON. */
export async function fetchJson(request: JsonRequest): Promise<JsonReply> {
  const { url, fetch, timeoutMs, form } = request
  const timeout = AbortSignal.timeout(timeoutMs)
  const response = await fetch(url, {
    method: form === undefined ? 'GET' : 'POST',
    redirect: 'manual',
    signal: request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]),
    headers: { accept: 'application/json', ...request.headers },
    ...(form && { body: form }),
  })
  const text = await readText(response, request.maxBytes)
  return { status: response.status, headers: response.headers, body: parse(text) }
}

/**
 * Tokens and keys come only over TLS; plain HTTP is for a server on this machine, and only when configuration says so.
 * @throws TypeError
 */
export function checkHttpsUrl(value: string, what: string, allowLoopback: boolean): URL {
  const url = URL.parse(value)
  if (url === null) throw new TypeError(`${what} is not a URL`)
  if (url.username !== '' || url.password !== '') throw new TypeError(`${what} has credentials in it`)
  if (url.protocol === 'https:') return url
  if (url.protocol === 'http:' && allowLoopback && isLoopback(url.hostname)) return url
  throw new TypeError(`${what} must be https`)
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  if (response.body === null) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  // Leaving the loop by an exception cancels the stream, and with it the connection.
  for await (const chunk of response.body) {
    size += chunk.length
    if (size > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
