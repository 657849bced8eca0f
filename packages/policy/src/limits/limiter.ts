/**
 * May they now: every limit about a call is asked in one step, and either all of them count it or none. Whoever is
 * limited chooses only the names of tools here; id, roles, tier and address come from those who checked them.
 */
import { randomUUID } from 'node:crypto'
import { PolicyError } from '../errors.ts'
import { createMemoryLimitStore } from '../stores/memory.ts'
import type { LimitStore, RateAnswer } from '../store.ts'
import type { Subject, ToolCall } from '../subject.ts'
import { createDayQuota } from './day-quota.ts'
import { createGuardedStore, type StoreFailure } from './guarded-store.ts'
import { limitHeaders, nearestOf, NO_HEADERS, type LimitHeaders } from './headers.ts'
import { createLimitFinder, type AppliedLimit, type AppliedLimits } from './limit-finder.ts'
import { DEFAULT_LIMITS, type Limit } from './limit.ts'

export type LimiterOptions = {
  /** @default DEFAULT_LIMITS: 10 a minute for each caller, unlimited for the tier `paid` */
  readonly limits?: readonly Limit[]
  /** Calls of all callers of this subject's tenant together, in one UTC day. Undefined: as many as they like. @default nobody is asked */
  readonly quota?: ((subject: Subject) => number | undefined) | undefined
  /** @default a store in memory, which is right for one process only */
  readonly store?: LimitStore
  /**
   * What holds while the store does not answer: `closed` refuses, `open` admits everything, `local` counts in the memory
   * of this process, so that n replicas together admit up to n times the limit. @default 'closed'
   */
  readonly onFailure?: 'closed' | 'open' | 'local'
  /** Told of each failure of the store, and of its recovery. */
  readonly onEvent?: (event: LimiterEvent) => void
  /** How long a store may take. @default 250 */
  readonly timeoutMs?: number
  /** How long a failed store is left alone. @default 1000 */
  readonly retryMs?: number
  /** After this time the place of a call is free again, whatever became of it; longer than any call. @default 600_000 */
  readonly leaseMs?: number
  /** Names the holder of a place; unique across replicas. @default randomUUID */
  readonly newId?: () => string
}

export type LimiterEvent =
  | { readonly type: 'store-failed'; readonly onFailure: 'closed' | 'open' | 'local'; readonly error: Error }
  | { readonly type: 'store-recovered' }

/** Dispose of it when the call is over: that gives its places back. */
export type Admission = {
  readonly allowed: boolean
  /** `limits/<id>`, or `limits/none` when nothing limits this call. */
  readonly rule: string
  readonly reason: string
  /** Whole milliseconds, when it is refused. */
  readonly retryAfterMs?: number
  /** The limit that is nearest, for the response. */
  readonly headers: LimitHeaders
  /** The store did not answer, and `onFailure` decided. */
  readonly degraded: boolean
  /** What `allowed: false` is as an error. */
  readonly error?: PolicyError
  readonly [Symbol.dispose]: () => void
}

export type Limiter = {
  /**
   * At once when the store answers at once, as the one in memory does. Who has other roles, or another tier, is another
   * subject: what is about one is remembered by the object.
   * @param named limits with `applies: named` that obligations of the decision ask for
   * @throws the signal's reason when it is aborted; what was taken from a bucket by then stays taken
   */
  readonly admit: (subject: Subject, call: ToolCall, options?: AdmitOptions) => Promise<Admission> | Admission
}

export type AdmitOptions = { readonly named?: readonly string[]; readonly signal?: AbortSignal }

export function createLimiter(options: LimiterOptions = {}): Limiter {
  const { limits = DEFAULT_LIMITS, onFailure = 'closed', leaseMs = 600_000, newId = randomUUID } = options
  const find = createLimitFinder(limits)
  const store = createGuardedStore({
    store: options.store ?? createMemoryLimitStore(),
    local: onFailure === 'local' ? createMemoryLimitStore() : undefined,
    timeoutMs: options.timeoutMs ?? 250,
    retryMs: options.retryMs ?? 1000,
    onFailed: (error) => options.onEvent?.({ type: 'store-failed', onFailure, error }),
    onRecovered: () => options.onEvent?.({ type: 'store-recovered' }),
  })
  const failed = (failure: StoreFailure): Admission => (onFailure === 'open' ? waveThrough() : refuseFailed(failure))
  const spend = options.quota && createDayQuota({ perDay: options.quota, store, failed })
  const rated = ({ rated: limits }: AppliedLimits, taken: Taken | undefined, isDegraded = false): Admission => {
    if (taken?.failure) return failed(taken.failure)
    return conclude(limits, taken?.value ?? NO_ANSWERS, isDegraded || taken?.degraded === true)
  }
  /** Places first: a call that finds none takes nothing from its buckets. */
  const admitHeld = async (found: AppliedLimits, signal: AbortSignal | undefined): Promise<Admission> => {
    const slots = found.limits.filter((one) => one.concurrent !== undefined)
    const requests = slots.map(({ key, concurrent = 0 }) => ({ key, limit: concurrent }))
    const acquired = await store.acquire(requests, newId(), leaseMs, signal)
    if (acquired.failure) return failed(acquired.failure)
    const full = slots[acquired.value]
    if (full !== undefined) return refuseConcurrent(full, acquired.degraded)
    const giveBack = once(() => acquired.release())
    try {
      const taken = found.requests.length > 0 ? await store.take(found.requests, signal) : undefined
      const admission = rated(found, taken, acquired.degraded)
      if (admission.allowed) return { ...admission, [Symbol.dispose]: giveBack }
      giveBack()
      return admission
    } catch (error) {
      giveBack()
      throw error
    }
  }

  const admit: Limiter['admit'] = (subject, call, { named = NONE_NAMED, signal } = NO_OPTIONS) => {
    const found = find(subject, call, named)
    if (found.holdsPlaces) return admitHeld(found, signal)
    if (found.requests.length === 0) return rated(found, undefined)
    const taken = store.take(found.requests, signal)
    return taken instanceof Promise ? taken.then((late) => rated(found, late)) : rated(found, taken)
  }
  if (spend === undefined) return { admit }
  return {
    admit(subject, call, asked) {
      const admission = admit(subject, call, asked)
      if (admission instanceof Promise) return admission.then((late) => spend(late, subject, asked?.signal))
      return spend(admission, subject, asked?.signal)
    },
  }
}

type Taken = Awaited<ReturnType<ReturnType<typeof createGuardedStore>['take']>>

const NO_ANSWERS: readonly RateAnswer[] = []
const NONE_NAMED: readonly string[] = []
const NO_OPTIONS: AdmitOptions = {}

function conclude(limits: readonly AppliedLimit[], answers: readonly RateAnswer[], degraded: boolean): Admission {
  const nearest = nearestOf(answers)
  const headers = limitHeaders(limits, answers, nearest)
  const first = limits[0]
  const limit = limits[nearest]
  const answer = answers[nearest]
  if (limit === undefined || answer === undefined || answer.allowed) {
    const reason = first === undefined ? 'no limit is about this call' : 'within the limits'
    const rule = first?.rule ?? 'limits/none'
    return { allowed: true, rule, reason, headers, degraded, [Symbol.dispose]: nothingHeld }
  }
  const retryAfterMs = Math.ceil(answer.retryAfterUs / 1000)
  const { rule } = limit
  const reason = `the limit "${limit.limit.id}" is reached; try again in ${retryAfterMs} ms`
  const error = new PolicyError('POLICY_RATE_LIMITED', reason, { rule, retryAfterMs })
  return { allowed: false, rule, reason, retryAfterMs, headers, degraded, error, [Symbol.dispose]: nothingHeld }
}

function nothingHeld(): void {}

/** Nobody knows when another call ends; a second is a guess that keeps clients from asking at once. */
const CONCURRENT_RETRY_MS = 1000

function refuseConcurrent({ limit, rule }: AppliedLimit, degraded: boolean): Admission {
  const reason = `the limit "${limit.id}" of ${limit.concurrent} calls at the same time is reached`
  const error = new PolicyError('POLICY_CONCURRENCY_LIMITED', reason, { rule, retryAfterMs: CONCURRENT_RETRY_MS })
  const headers = { 'Retry-After': '1' }
  return {
    allowed: false,
    rule,
    reason,
    retryAfterMs: CONCURRENT_RETRY_MS,
    headers,
    degraded,
    error,
    [Symbol.dispose]: nothingHeld,
  }
}

function refuseFailed({ error: cause, retryMs }: StoreFailure): Admission {
  const rule = 'limits/store-failed'
  const reason = 'limits cannot be checked at the moment'
  const error = new PolicyError('POLICY_LIMIT_STORE_UNAVAILABLE', reason, { rule, retryAfterMs: retryMs, cause })
  const headers = { 'Retry-After': String(Math.ceil(retryMs / 1000)) }
  return {
    allowed: false,
    rule,
    reason,
    retryAfterMs: retryMs,
    headers,
    degraded: true,
    error,
    [Symbol.dispose]: nothingHeld,
  }
}

function waveThrough(giveBack: () => void = () => {}): Admission {
  const reason = 'limits cannot be checked at the moment, and the gateway is configured to go on without them'
  return {
    allowed: true,
    rule: 'limits/store-failed',
    reason,
    headers: NO_HEADERS,
    degraded: true,
    [Symbol.dispose]: giveBack,
  }
}

function once(action: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    action()
  }
}
