/**
 * Where limits are counted. An adapter keeps these guarantees, and `@mcp-gateway/policy/testing` checks them:
 * 1. `take` and `acquire` are atomic over all their keys, also between processes: they count all of them or none.
 * 2. Time is the store's, one for all replicas.
 * 3. A key that nobody asks for any more goes away by itself.
 * 4. A store that cannot answer rejects; it never guesses.
 * 5. `count` never allows more calls of one UTC day than the limit, whatever is restarted or killed meanwhile, unless the store
 *    is memory and gone with it. What a dead process had set aside is lost to the day.
 */

/** One bucket: a call every `intervalUs` on average, `burst` of them at once. Microseconds, whole numbers. */
export type RateRequest = { readonly key: string; readonly intervalUs: number; readonly burst: number }

export type RateAnswer = {
  readonly allowed: boolean
  /** Calls that could follow at once. */
  readonly remaining: number
  /** Until this bucket allows one; 0 when it does now. */
  readonly retryAfterUs: number
  /** Until the bucket is full again. */
  readonly resetUs: number
}

/** Room for `limit` calls at the same time. */
export type SlotRequest = { readonly key: string; readonly limit: number }

/** One more call of a UTC day; the limit may be another one than with the last call. */
export type DayRequest = { readonly key: string; readonly limit: number }

export type DayAnswer = {
  readonly allowed: boolean
  /** Until the next day begins; 0 when it is allowed. */
  readonly retryAfterMs: number
}

export interface LimitStore {
  /** Takes one from every bucket when all of them allow it, otherwise from none. One answer for each, in order. */
  readonly take: (requests: readonly RateRequest[]) => Promise<readonly RateAnswer[]> | readonly RateAnswer[]
  /**
   * Holds a place under every key for `holder`, or under none. -1 when it does, otherwise the index of the key that is
   * full. A place whose holder died is free after `leaseMs`.
   */
  readonly acquire: (requests: readonly SlotRequest[], holder: string, leaseMs: number) => Promise<number> | number
  /** Gives places back; what is not held is no failure. */
  readonly release: (keys: readonly string[], holder: string) => Promise<void> | void
  /** Counts a call of today, when there is one left. */
  readonly count: (request: DayRequest) => Promise<DayAnswer> | DayAnswer
}
