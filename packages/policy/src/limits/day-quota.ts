/**
 * How many calls a tenant may make in a UTC day. Not a bucket, which fills again by the hour and so admits up to twice its
 * count in a day: this is a number that somebody has paid for. It is asked last, so that only calls that are admitted count.
 */
import { hash } from 'node:crypto'
import { PolicyError } from '../errors.ts'
import type { DayAnswer } from '../store.ts'
import type { Subject } from '../subject.ts'
import type { Answer, GuardedStore, StoreFailure } from './guarded-store.ts'
import type { Admission } from './limiter.ts'

type DayQuotaOptions = {
  readonly perDay: (subject: Subject) => number | undefined
  readonly store: GuardedStore
  /** What holds while the store does not answer. */
  readonly failed: (failure: StoreFailure) => Admission
}

type Spend = (admission: Admission, subject: Subject, signal: AbortSignal | undefined) => Promise<Admission> | Admission

/** A longer name is replaced by its digest. */
const MAX_KEY_CHARS = 512

export function createDayQuota({ perDay, store, failed }: DayQuotaOptions): Spend {
  const conclude = (admission: Admission, limit: number, answer: Answer<DayAnswer>): Admission => {
    if (answer.failure !== undefined) return instead(admission, failed(answer.failure))
    const { value, degraded } = answer
    if (!value.allowed) return instead(admission, refuse(limit, value.retryAfterMs, degraded))
    return degraded && !admission.degraded ? { ...admission, degraded } : admission
  }
  return (admission, subject, signal) => {
    const limit = admission.allowed ? perDay(subject) : undefined
    if (limit === undefined) return admission
    try {
      const answer = store.count({ key: keyOf(subject.tenantId ?? ''), limit }, signal)
      if (!(answer instanceof Promise)) return conclude(admission, limit, answer)
      return answer.then(
        (late) => conclude(admission, limit, late),
        (error: unknown) => giveUp(admission, error),
      )
    } catch (error) {
      return giveUp(admission, error)
    }
  }
}

function instead(admission: Admission, other: Admission): Admission {
  if (other.allowed) return { ...other, [Symbol.dispose]: admission[Symbol.dispose] }
  admission[Symbol.dispose]()
  return other
}

/** The caller is gone; what it held must not stay held. */
function giveUp(admission: Admission, error: unknown): never {
  admission[Symbol.dispose]()
  throw error
}

function keyOf(tenantId: string): string {
  return tenantId.length <= MAX_KEY_CHARS ? `t:${tenantId}` : `h:${hash('sha256', tenantId)}`
}

function refuse(limit: number, retryAfterMs: number, degraded: boolean): Admission {
  const rule = 'quotas/calls-per-day'
  const reason = `this tenant has made its ${limit} calls of today (UTC); try again in ${retryAfterMs} ms`
  const seconds = String(Math.ceil(retryAfterMs / 1000))
  const headers = {
    'RateLimit-Limit': String(limit),
    'RateLimit-Remaining': '0',
    'RateLimit-Reset': seconds,
    'RateLimit-Policy': `"calls-per-day";q=${limit};w=86400`,
    RateLimit: `"calls-per-day";r=0;t=${seconds}`,
    'Retry-After': seconds,
  }
  const error = new PolicyError('POLICY_QUOTA_REACHED', reason, { rule, retryAfterMs })
  return { allowed: false, rule, reason, retryAfterMs, headers, degraded, error, [Symbol.dispose]: () => {} }
}
