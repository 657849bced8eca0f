/**
 * What a client is told. `RateLimit-Policy` and `RateLimit` are draft-ietf-httpapi-ratelimit-headers-10; the three
 * fields of its draft 06, and the same with `X-`, are what clients in use read. Seconds, rounded up.
 */
import type { RateAnswer } from '../store.ts'
import type { AppliedLimit } from './limit-finder.ts'

export type LimitHeaders = Readonly<Record<string, string>>

export const NO_HEADERS: LimitHeaders = Object.freeze({})

/** `answers` are those of `limits`, in order; `at` is the one that is nearest. */
export function limitHeaders(
  limits: readonly AppliedLimit[],
  answers: readonly RateAnswer[],
  at: number,
): LimitHeaders {
  const nearest = limits[at]
  const answer = answers[at]
  if (nearest === undefined || answer === undefined) return NO_HEADERS
  let policies = nearest.policy
  let current = stateOf(nearest, answer)
  if (limits.length > 1) {
    policies = limits.map(({ policy }) => policy).join(', ')
    current = answers
      .flatMap((one, index) => (limits[index] === undefined ? [] : [stateOf(limits[index], one)]))
      .join(', ')
  }
  const { count } = nearest
  const remaining = String(answer.remaining)
  const reset = String(seconds(answer.resetUs))
  const headers = {
    'RateLimit-Limit': count,
    'RateLimit-Remaining': remaining,
    'RateLimit-Reset': reset,
    'RateLimit-Policy': policies,
    RateLimit: current,
    'X-RateLimit-Limit': count,
    'X-RateLimit-Remaining': remaining,
    'X-RateLimit-Reset': reset,
  }
  return answer.retryAfterUs > 0 ? { ...headers, 'Retry-After': String(seconds(answer.retryAfterUs)) } : headers
}

const NOTHING_NEAR = { remaining: Infinity, retryAfterUs: 0 }

/** A refusing limit is nearer than one with room, and of two that refuse the one that takes longer. -1 when there is none. */
export function nearestOf(answers: readonly RateAnswer[]): number {
  let nearest = -1
  let least: Pick<RateAnswer, 'remaining' | 'retryAfterUs'> = NOTHING_NEAR
  for (let index = 0; index < answers.length; index += 1) {
    const answer = answers[index] as RateAnswer
    const { remaining, retryAfterUs } = answer
    if (remaining > least.remaining || (remaining === least.remaining && retryAfterUs <= least.retryAfterUs)) continue
    nearest = index
    least = answer
  }
  return nearest
}

function stateOf({ limit }: AppliedLimit, { remaining, resetUs }: RateAnswer): string {
  return `"${limit.id}";r=${remaining};t=${seconds(resetUs)}`
}

function seconds(microseconds: number): number {
  return Math.ceil(microseconds / 1_000_000)
}
