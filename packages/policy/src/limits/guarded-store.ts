/** A store that may die: every question has a timeout, and after a failure nobody waits for it again for a while. */
import type { DayAnswer, DayRequest, LimitStore, RateAnswer, RateRequest, SlotRequest } from '../store.ts'

export type StoreFailure = { readonly error: Error; readonly retryMs: number }

export type Answer<T> =
  | { readonly value: T; readonly degraded: boolean; readonly failure?: undefined }
  | { readonly failure: StoreFailure }

type GuardedStoreOptions = {
  readonly store: LimitStore
  /** Asked instead while `store` is down. */
  readonly local: LimitStore | undefined
  readonly timeoutMs: number
  readonly retryMs: number
  readonly onFailed: (error: Error) => void
  readonly onRecovered: () => void
}

export type GuardedStore = {
  /** At once when the store answers at once. */
  readonly take: (
    requests: readonly RateRequest[],
    signal?: AbortSignal,
  ) => Promise<Answer<readonly RateAnswer[]>> | Answer<readonly RateAnswer[]>
  readonly acquire: (
    requests: readonly SlotRequest[],
    holder: string,
    leaseMs: number,
    signal?: AbortSignal,
  ) => Promise<Answer<number> & { readonly release: () => void }>
  readonly count: (request: DayRequest, signal?: AbortSignal) => Promise<Answer<DayAnswer>> | Answer<DayAnswer>
}

export function createGuardedStore(options: GuardedStoreOptions): GuardedStore {
  const { store, local, timeoutMs, retryMs, onFailed, onRecovered } = options
  let downUntil = 0
  let isDown = false
  let lastError = new Error('the store of limits has not answered')

  const fail = (error: unknown): void => {
    lastError = error instanceof Error ? error : new Error(String(error))
    downUntil = performance.now() + retryMs
    isDown = true
    onFailed(lastError)
  }
  const arrived = <T>(value: T): Answer<T> => {
    if (isDown) onRecovered()
    isDown = false
    return { value, degraded: false }
  }
  const instead = <T>(question: (from: LimitStore) => Promise<T> | T): Promise<Answer<T>> | Answer<T> => {
    if (local === undefined) {
      return { failure: { error: lastError, retryMs: Math.max(Math.ceil(downUntil - performance.now()), 1) } }
    }
    const value = question(local)
    if (value instanceof Promise) return value.then((late) => ({ value: late, degraded: true }))
    return { value, degraded: true }
  }
  const ask = <T>(
    question: (from: LimitStore) => Promise<T> | T,
    signal: AbortSignal | undefined,
    onLate: (value: T) => void,
  ): Promise<Answer<T>> | Answer<T> => {
    signal?.throwIfAborted()
    if (isDown && performance.now() < downUntil) return instead(question)
    const failed = (error: unknown): Promise<Answer<T>> | Answer<T> => {
      signal?.throwIfAborted()
      fail(error)
      return instead(question)
    }
    try {
      const answer = question(store)
      if (!(answer instanceof Promise)) return arrived(answer)
      return withTimeout(answer, timeoutMs, signal, onLate).then(arrived, failed)
    } catch (error) {
      return failed(error)
    }
  }
  return {
    take: (requests, signal) =>
      ask(
        (from) => from.take(requests),
        signal,
        () => {},
      ),
    count: (request, signal) =>
      ask(
        (from) => from.count(request),
        signal,
        () => {},
      ),
    async acquire(requests, holder, leaseMs, signal) {
      const keys = requests.map(({ key }) => key)
      const giveBack = async (to: LimitStore): Promise<void> => {
        try {
          await to.release(keys, holder)
        } catch (error) {
          // The lease ends it; what matters is that somebody hears of the store.
          fail(error)
        }
      }
      const onLate = (full: number): void => void (full < 0 && giveBack(store))
      const answer = await ask((from) => from.acquire(requests, holder, leaseMs), signal, onLate)
      const holding = answer.failure === undefined && answer.degraded && local !== undefined ? local : store
      return { ...answer, release: () => void giveBack(holding) }
    },
  }
}

/** An answer that comes after nobody waits for it any more goes to `onLate`. */
async function withTimeout<T>(
  answer: Promise<T>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  onLate: (value: T) => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  let isOver = false
  const timer = setTimeout(() => reject(new Error(`the store of limits did not answer in ${timeoutMs} ms`)), timeoutMs)
  const onAbort = (): void => reject(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  answer.then((value) => (isOver ? onLate(value) : resolve(value)), reject)
  try {
    return await promise
  } finally {
    isOver = true
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
