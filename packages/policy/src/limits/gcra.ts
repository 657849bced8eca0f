/**
 * The generic cell rate algorithm (ITU-T I.371): a token bucket whose whole state is one time, the "theoretical arrival
 * time" at which the bucket is full again. In any time t it admits at most `burst + t / interval` calls.
 * Whole microseconds throughout: a double holds them exactly until the year 2255, and with fractions the last call of a
 * burst would be refused now and then.
 */
import type { RateAnswer, RateRequest } from '../store.ts'
import type { Rate } from './limit.ts'

/** Rounded up: never more than configured. */
export function intervalOf({ count, windowMs }: Rate): number {
  return Math.ceil((windowMs * 1000) / count)
}

/** What the bucket answers at `nowUs`, and its state afterwards if the call is counted. */
export function step(
  storedUs: number | undefined,
  { intervalUs, burst }: RateRequest,
  nowUs: number,
): RateAnswer & { readonly nextUs: number } {
  const capacityUs = intervalUs * burst
  // No state is further ahead than a full burst, but for a clock that was set back, or a limit that was lowered.
  const startUs = Math.min(Math.max(storedUs ?? nowUs, nowUs), nowUs + capacityUs)
  const nextUs = startUs + intervalUs
  const waitUs = nextUs - capacityUs - nowUs
  if (waitUs > 0) {
    return { allowed: false, remaining: 0, retryAfterUs: waitUs, resetUs: startUs - nowUs, nextUs: startUs }
  }
  const remaining = Math.floor(-waitUs / intervalUs)
  return { allowed: true, remaining, retryAfterUs: 0, resetUs: nextUs - nowUs, nextUs }
}

/** The answer of a bucket that would have allowed a call that another one refused. */
export function untouched(answer: RateAnswer & { readonly nextUs: number }, request: RateRequest): RateAnswer {
  const { allowed, remaining, retryAfterUs, resetUs } = answer
  if (!allowed) return { allowed, remaining, retryAfterUs, resetUs }
  return { allowed, remaining: remaining + 1, retryAfterUs, resetUs: resetUs - request.intervalUs }
}
