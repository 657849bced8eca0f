/**
 * Entries to a URL: signed, at least once. Delivered means that the receiver said 2xx.
 *
 * The adversaries: whoever can reach the receiver and would make entries up (the signature), replay them (its time), or
 * bend the way (https, no redirects); and an entry that the receiver cannot take, which must not stop the log.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { AuditError } from '../errors.ts'
import type { FollowedEntry } from '../follower.ts'
import { formatJsonl } from '../formats/jsonl.ts'
import { waitFor } from '../pause.ts'
import type { RecordFormat, Sink } from '../sink.ts'
import { piecesOf } from './pieces.ts'
import { createRecordFile } from './record-file.ts'

export type WebhookSinkOptions = {
  /** https, but for loopback. */
  readonly url: string
  /** Shared with the receiver; see {@link verifyWebhook}. */
  readonly secret: string
  /** Where entries go that are refused for good: JSON lines, `{"at","status","record"}`. */
  readonly deadLetterFile: string
  /** Records without line breaks; the body is one a line. @default formatJsonl */
  readonly record?: RecordFormat
  readonly headers?: Readonly<Record<string, string>>
  /** Of one request; a larger batch is several. @default 1 MiB */
  readonly maxBodyBytes?: number
  /** @default 10 seconds */
  readonly timeoutMs?: number
  /** Refusals of one entry before it is put aside. @default 3 */
  readonly maxAttempts?: number
  /** Before the second attempt, and twice as long before each further one. @default 1 second */
  readonly retryDelayMs?: number
  /** How long a `Retry-After` is obeyed at most. @default 5 minutes */
  readonly maxRetryAfterMs?: number
  /** @default globalThis.fetch */
  readonly fetch?: typeof globalThis.fetch
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
}

type Piece = { readonly text: string }

export function createWebhookSink(options: WebhookSinkOptions): Sink {
  const { secret, deadLetterFile, headers = {}, record = formatJsonl, clock = Date.now } = options
  const { maxBodyBytes = 1_048_576, timeoutMs = 10_000, maxRetryAfterMs = 300_000 } = options
  const { maxAttempts = 3, retryDelayMs = 1000, fetch = globalThis.fetch } = options
  const url = checkedUrl(options.url)
  if (secret === '') throw new TypeError('a webhook needs a secret')
  const dead = createRecordFile({ path: deadLetterFile, lineEnd: '\n', quotes: 'none' })
  /** Not before this time, as the receiver asked. */
  let notBefore = 0

  /** The status of a refusal, or undefined when it was delivered. */
  const post = async (pieces: readonly Piece[], signal: AbortSignal): Promise<number | undefined> => {
    if (notBefore > clock()) await waitFor(notBefore - clock(), signal)
    signal.throwIfAborted()
    const body = pieces.map(({ text }) => `${text}\n`).join('')
    const batch = createHash('sha256').update(body).digest('hex')
    const sent = { 'content-type': 'application/x-ndjson', ...headers, 'idempotency-key': batch, 'x-mcp-signature': signWebhook(secret, body, clock()) } // prettier-ignore
    let response: Response
    try {
      const timeout = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      response = await fetch(url, { method: 'POST', headers: sent, body, redirect: 'manual', signal: timeout })
      // Nothing in it is for us, and it may be long.
      await response.body?.cancel()
    } catch (error) {
      signal.throwIfAborted()
      throw new AuditError('AUDIT_SINK_FAILED', `${url.host} did not answer`, { cause: error })
    }
    if (response.ok) return undefined
    if (isAboutEntries(response.status)) return response.status
    notBefore = clock() + Math.min(retryAfterMs(response.headers.get('retry-after'), clock()), maxRetryAfterMs)
    throw new AuditError('AUDIT_SINK_FAILED', `${url.host} answered ${response.status}`)
  }

  /** Halves what is refused until the entry stands alone that is to blame. */
  const deliver = async (pieces: readonly Piece[], signal: AbortSignal): Promise<void> => {
    let status = await post(pieces, signal)
    if (status === undefined) return
    if (pieces.length > 1) {
      const middle = Math.ceil(pieces.length / 2)
      await deliver(pieces.slice(0, middle), signal)
      await deliver(pieces.slice(middle), signal)
      return
    }
    for (let attempt = 1; attempt < maxAttempts; attempt += 1) {
      await waitFor(retryDelayMs * 2 ** (attempt - 1), signal)
      status = await post(pieces, signal)
      if (status === undefined) return
    }
    const at = new Date(clock()).toISOString()
    await dead.append(pieces.map(({ text }) => JSON.stringify({ at, status, record: text })))
  }

  return {
    async write(entries: readonly FollowedEntry[], signal) {
      const pieces = entries.map((entry): Piece => ({ text: record(entry) }))
      for (const piece of piecesOf(pieces, maxBodyBytes)) await deliver(piece, signal)
    },
    deadLetters: dead.count,
    [Symbol.asyncDispose]: dead[Symbol.asyncDispose],
  }
}

/** The value of `X-MCP-Signature`: `t=<epoch seconds>,v1=<HMAC-SHA256 of "t.body" in hex>`. */
export function signWebhook(secret: string, body: string, at: number): string {
  const seconds = Math.floor(at / 1000)
  return `t=${seconds},v1=${macOf(secret, seconds, body).toString('hex')}`
}

export type VerifyWebhookOptions = {
  readonly secret: string
  /** Exactly as it was received. */
  readonly body: string
  /** The value of `X-MCP-Signature`. */
  readonly signature: string
  /** Epoch milliseconds. */
  readonly now: number
  /** How old, or how far ahead, the signature may be. @default 5 minutes */
  readonly toleranceMs?: number
}

/** For receivers. */
export function verifyWebhook({ secret, body, signature, now, toleranceMs = 300_000 }: VerifyWebhookOptions): boolean {
  const [, seconds = '', mac = ''] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(signature) ?? []
  if (mac === '' || Math.abs(now - Number(seconds) * 1000) > toleranceMs) return false
  return timingSafeEqual(macOf(secret, Number(seconds), body), Buffer.from(mac, 'hex'))
}

function macOf(secret: string, seconds: number, body: string): Buffer {
  return createHmac('sha256', secret).update(`${seconds}.${body}`).digest()
}

/**
 * A refusal of what was sent. Not so what is about who sends, where to, or when: then every entry would be refused, and the
 * whole log be put aside because of a wrong secret.
 */
function isAboutEntries(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 403, 404, 405, 407, 408, 410, 421, 425, 429].includes(status)
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfterMs(value: string | null, now: number): number {
  if (value === null) return 0
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isFinite(ms) && ms > 0 ? ms : 0
}

function checkedUrl(text: string): URL {
  const url = URL.parse(text)
  const isLoopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url?.hostname ?? '')
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback)) return url
  throw new TypeError('a webhook has an https:// URL, or http:// on loopback')
}
