/** Limits of one process. Several replicas need the Redis store, or each of them admits the whole limit. */
import { COUNTED, dayOf, refusedUntilTomorrow } from '../limits/day.ts'
import { step, untouched } from '../limits/gcra.ts'
import type { LimitStore, RateAnswer } from '../store.ts'

export type MemoryLimitStoreOptions = {
  /**
   * Buckets that are kept; about 220 bytes each, with a key of 50. When there are more, full ones go first, which changes nothing, then
   * the ones asked for least recently: whoever can make this many callers can reset a limit, and needs a smaller `per`.
   * @default 100_000
   */
  readonly maxKeys?: number
  /** Milliseconds, with fractions; must not go backwards. @default the process's monotonic clock */
  readonly clock?: () => number
  /** Epoch milliseconds, by which days are counted. @default Date.now */
  readonly wallClock?: () => number
}

export type MemoryLimitStore = LimitStore & {
  /** Buckets, days and keys with places that are kept now. */
  readonly size: () => number
}

type Bucket = { fullAtUs: number; movedAt: number }

/** Buckets that one call looks at for a full one to throw away: eviction stays cheap for the caller who causes it. */
const MAX_SWEEP = 64

export function createMemoryLimitStore({
  maxKeys = 100_000,
  clock = () => performance.now(),
  wallClock = Date.now,
}: MemoryLimitStoreOptions = {}): MemoryLimitStore {
  if (!Number.isInteger(maxKeys) || maxKeys < 1) throw new RangeError('maxKeys must be a whole number from 1 on')
  /** Least recently used first, but for what was used in the last few calls. */
  const buckets = new Map<string, Bucket>()
  /** How many buckets have been asked. */
  let turn = 0
  const turnsUntilMoved = Math.floor(maxKeys / 16)
  /** By key, who holds a place until when. Bounded by the calls that are running. */
  const places = new Map<string, Map<string, number>>()
  /** Those of earlier days first. */
  const days = new Map<string, { readonly day: number; calls: number }>()

  const put = (key: string, known: Bucket | undefined, fullAtUs: number, nowUs: number): void => {
    turn += 1
    if (known !== undefined) {
      known.fullAtUs = fullAtUs
      // A Map lays itself out anew after every few that are taken out: to move the key of each call cost more than its count.
      if (turn - known.movedAt < turnsUntilMoved) return
      known.movedAt = turn
      buckets.delete(key)
      buckets.set(key, known)
      return
    }
    if (buckets.size >= maxKeys) evict(buckets, nowUs)
    buckets.set(key, { fullAtUs, movedAt: turn })
  }
  return {
    take(requests) {
      const nowUs = Math.floor(clock() * 1000)
      const [only] = requests
      if (only !== undefined && requests.length === 1) {
        const bucket = buckets.get(only.key)
        const answer = step(bucket?.fullAtUs, only, nowUs)
        put(only.key, bucket, answer.nextUs, nowUs)
        return [answer]
      }
      const answers = requests.map((request) => step(buckets.get(request.key)?.fullAtUs, request, nowUs))
      if (!answers.every(({ allowed }) => allowed)) {
        return answers.flatMap((answer, index): RateAnswer[] => {
          const request = requests[index]
          return request === undefined ? [] : [untouched(answer, request)]
        })
      }
      for (const [index, { key }] of requests.entries()) {
        put(key, buckets.get(key), answers[index]?.nextUs ?? nowUs, nowUs)
      }
      return answers
    },
    acquire(requests, holder, leaseMs) {
      const now = clock()
      for (const { key } of requests) dropExpired(places, key, now)
      const full = requests.findIndex(({ key, limit }) => (places.get(key)?.size ?? 0) >= limit)
      if (full >= 0) return full
      for (const { key } of requests) {
        const holders = places.get(key)
        if (holders === undefined) places.set(key, new Map([[holder, now + leaseMs]]))
        else holders.set(holder, now + leaseMs)
      }
      return -1
    },
    release(keys, holder) {
      for (const key of keys) {
        const holders = places.get(key)
        holders?.delete(holder)
        if (holders?.size === 0) places.delete(key)
      }
    },
    count({ key, limit }) {
      const now = wallClock()
      const day = dayOf(now)
      let known = days.get(key)
      if (known?.day !== day) {
        days.delete(key)
        const [oldest] = days.size >= maxKeys ? days.keys() : []
        if (oldest !== undefined) days.delete(oldest)
        days.set(key, (known = { day, calls: 0 }))
      }
      if (known.calls >= limit) return refusedUntilTomorrow(now)
      known.calls += 1
      return COUNTED
    },
    size: () => buckets.size + places.size + days.size,
  }
}

function evict(buckets: Map<string, Bucket>, nowUs: number): void {
  let seen = 0
  let dropped = false
  for (const [key, { fullAtUs }] of buckets) {
    if (fullAtUs <= nowUs) dropped = buckets.delete(key)
    if (++seen >= MAX_SWEEP) break
  }
  const oldest = buckets.keys().next()
  if (!dropped && oldest.done !== true) buckets.delete(oldest.value)
}

function dropExpired(places: Map<string, Map<string, number>>, key: string, now: number): void {
  const holders = places.get(key)
  if (holders === undefined) return
  for (const [holder, until] of holders) if (until <= now) holders.delete(holder)
  if (holders.size === 0) places.delete(key)
}
