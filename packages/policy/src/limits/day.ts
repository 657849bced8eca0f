/** A day as quotas count it: from midnight to midnight, UTC. */
import type { DayAnswer } from '../store.ts'

const DAY_MS = 86_400_000

/** Days since 1970-01-01. */
export function dayOf(epochMs: number): number {
  return Math.floor(epochMs / DAY_MS)
}

export const COUNTED: DayAnswer = Object.freeze({ allowed: true, retryAfterMs: 0 })

export function refusedUntilTomorrow(epochMs: number): DayAnswer {
  return { allowed: false, retryAfterMs: Math.ceil((dayOf(epochMs) + 1) * DAY_MS - epochMs) }
}
