/** Tokens for servers behind us, kept for as long as they are good: one request to the endpoint at a time and subject. */
import { hash } from 'node:crypto'
import type { Caller } from '../caller.ts'
import type { UpstreamToken } from './token-endpoint.ts'

/** On whose behalf. */
export type TokenSubject = {
  readonly caller: Caller
  /** The token that the caller came with, verified. It is sent to the configured token endpoint and nowhere else. */
  readonly token: string
}

export type TokenRequest = { readonly subject?: TokenSubject | undefined; readonly signal?: AbortSignal | undefined }

export interface TokenSource {
  /** @throws AuthError AUTH_UPSTREAM_UNAVAILABLE, AUTH_UPSTREAM_REFUSED, AUTH_UPSTREAM_SUBJECT_MISSING */
  readonly token: (request?: TokenRequest) => Promise<UpstreamToken>
  /** After the server has refused this token: the next one is fetched. A newer one, which somebody else has fetched, stays. */
  readonly forget: (refused: string, subject?: TokenSubject) => void
}

export type TokenSourceOptions = {
  readonly request: (subject: TokenSubject | undefined) => Promise<UpstreamToken>
  readonly clock?: (() => number) | undefined
  /** So long before its end a token is not used any more: the call has to arrive too. @default 30 s */
  readonly marginMs?: number | undefined
  /** Subjects remembered at a time; the one not asked for the longest is forgotten. @default 1000 */
  readonly maxSubjects?: number | undefined
  /** After a failure, how long its subject is told the same without asking again. @default 1 s */
  readonly retryAfterMs?: number | undefined
}

type Entry = { readonly pending: Promise<UpstreamToken>; usableUntil: number; token?: string }

export function createTokenSource(options: TokenSourceOptions): TokenSource {
  const { request, clock = Date.now, marginMs = 30_000, maxSubjects = 1000, retryAfterMs = 1000 } = options
  const entries = new Map<string, Entry>()

  const start = (subject: TokenSubject | undefined): Entry => {
    const entry: Entry = { pending: request(subject), usableUntil: Infinity }
    entry.pending.then(
      ({ token, expiresAt }) => {
        entry.token = token
        // A caller's token may end before the one that was got for it, and with it the right to use that.
        entry.usableUntil = Math.min(expiresAt, subject?.caller.expiresAt ?? Infinity) - marginMs
      },
      () => {
        // An endpoint that is down, or says no, is not asked anew by every call.
        entry.usableUntil = clock() + retryAfterMs
      },
    )
    return entry
  }

  return {
    async token({ subject, signal } = {}) {
      signal?.throwIfAborted()
      const key = keyOf(subject)
      const known = entries.get(key)
      const entry = known !== undefined && clock() < known.usableUntil ? known : start(subject)
      entries.delete(key)
      entries.set(key, entry)
      const [oldest] = entries.keys()
      if (entries.size > maxSubjects && oldest !== undefined) entries.delete(oldest)
      return until(entry.pending, signal)
    },
    forget(refused, subject) {
      const key = keyOf(subject)
      if (entries.get(key)?.token === refused) entries.delete(key)
    },
  }
}

/** With the token itself: one that may less must not be answered with what one got that may more. */
function keyOf(subject: TokenSubject | undefined): string {
  if (subject === undefined) return ''
  return hash('sha256', JSON.stringify([subject.caller.tenantId, subject.caller.id, subject.token]), 'base64')
}

/** The request is shared: whoever gives up waiting must not end it for the others. */
function until<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', onAbort))
}
