/**
 * What a client is told. `RateLimit-Policy` and `RateLimit` are draft-ietf-httpapi-ratelimit-headers-10; the three
 * fields of its draft 06, and the same with `X-`, are what clients in use read. Seconds, rounded up.
 */
import type { RateAnswer } from '../store.ts'
import type { AppliedLimit } from './limit-finder.ts'

export type LimitHeaders = Readonly<Record<string, string>>

export function limitHeaders(
  states: readonly { readonly limit: AppliedLimit; readonly answer: RateAnswer }[],
): LimitHeaders {
  // A refusing limit is nearer than one with room, and of two that refuse the one that takes longer.
  const [nearest] = states.toSorted(
    (a, b) => a.answer.remaining - b.answer.remaining || b.answer.retryAfterUs - a.answer.retryAfterUs,
  )
  if (nearest?.limit.rate === undefined) return {}
  const { count } = nearest.limit.rate
  const { remaining, resetUs } = nearest.answer
  const policies = states.flatMap(({ limit: { limit, rate } }) =>
    rate === undefined ? [] : [`"${limit.id}";q=${rate.count};w=${Math.ceil(rate.windowMs / 1000)}`],
  )
  const current = states.map(
    ({ limit: { limit }, answer }) => `"${limit.id}";r=${answer.remaining};t=${seconds(answer.resetUs)}`,
  )
  const waitUs = Math.max(...states.map(({ answer }) => answer.retryAfterUs))
  return {
    'RateLimit-Limit': String(count),
    'RateLimit-Remaining': String(remaining),
    'RateLimit-Reset': String(seconds(resetUs)),
    'RateLimit-Policy': policies.join(', '),
    RateLimit: current.join(', '),
    'X-RateLimit-Limit': String(count),
    'X-RateLimit-Remaining': String(remaining),
    'X-RateLimit-Reset': String(seconds(resetUs)),
    ...(waitUs > 0 && { 'Retry-After': String(seconds(waitUs)) }),
  }
}

function seconds(microseconds: number): number {
  return Math.ceil(microseconds / 1_000_000)
}
