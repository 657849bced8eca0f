/**
 * Many callers, one transaction: what arrives while a batch is being written goes into the next one.
 *
 * Nobody waits without a reason. An item that comes alone is written at once; after a batch of n, the next one waits for
 * n items, `maxDelayMs` at most. That is group commit without a fixed delay at low load. When the backlog is full,
 * items are refused: a queue in memory that grows is what would be lost.
 */
import { AuditError } from './errors.ts'
import type { AuditLimits } from './limits.ts'

function isOnesFault(error: unknown): boolean {
  return !(error instanceof AuditError) || error.code === 'AUDIT_ID_TAKEN'
}

export type GroupCommit<T, R> = AsyncDisposable & {
  /**
   * Resolves when the item is committed. Aborting takes it back while it still waits in the queue, and has no effect later.
   * @throws AuditError AUDIT_BACKLOG_FULL, AUDIT_CLOSED, and what the store throws
   */
  push(item: T, sizeBytes: number, signal?: AbortSignal): Promise<R>
  readonly outstanding: () => number
}

type Waiting<T, R> = {
  readonly item: T
  readonly sizeBytes: number
  readonly resolve: (result: R) => void
  readonly reject: (error: unknown) => void
}

/**
 * `commit` gets items, `maxBatchEntries` at most, and returns a result for each, in order. With `maxRunning` above one, as many as
 * the last batch had do not wait until that one is written.
 */
export function createGroupCommit<T, R>(
  commit: (items: readonly T[]) => Promise<readonly R[]>,
  limits: AuditLimits,
  maxRunning = 1,
): GroupCommit<T, R> {
  let queue: Waiting<T, R>[] = []
  let outstanding = 0
  let outstandingBytes = 0
  let lastBatch = 1
  let isScheduled = false
  let running = 0
  let isClosed = false
  let timer: NodeJS.Timeout | undefined
  let onIdle: (() => void) | undefined
  let idle: Promise<void> | undefined

  const isDue = (): boolean => queue.length >= Math.min(lastBatch, limits.maxBatchEntries)

  const schedule = (): void => {
    if (isScheduled || running >= maxRunning || (queue.length === 0 && !isClosed)) return
    if (isDue() || (isClosed && running === 0)) {
      isScheduled = true
      // Not a microtask: what else the event loop has at hand may want to come along.
      setImmediate(() => void run())
    } else if (running === 0) {
      timer ??= setTimeout(() => {
        timer = undefined
        lastBatch = 1
        schedule()
      }, limits.maxDelayMs)
    }
  }

  const run = async (): Promise<void> => {
    isScheduled = false
    clearTimeout(timer)
    timer = undefined
    running += 1
    const batch = takeBatch()
    lastBatch = Math.max(1, batch.length)
    const written = commitAll(batch)
    if (queue.length > 0) schedule()
    const settle = await written
    for (const { sizeBytes } of batch) outstandingBytes -= sizeBytes
    outstanding -= batch.length
    running -= 1
    // What waits already is handed over before the callers of these go on: it can be written meanwhile.
    if (maxRunning > 1 && isDue() && !isScheduled) void run()
    settle()
    if (queue.length > 0) schedule()
    else if (running === 0) onIdle?.()
  }

  const takeBatch = (): Waiting<T, R>[] => {
    // Batches that run at the same time share what there is: two of half the size keep both sides busy, one of all only one.
    const maxEntries = Math.min(limits.maxBatchEntries, Math.ceil(outstanding / maxRunning))
    let count = 0
    let sizeBytes = 0
    for (const waiting of queue) {
      sizeBytes += waiting.sizeBytes
      if (count === maxEntries || (count > 0 && sizeBytes > limits.maxBatchBytes)) break
      count += 1
    }
    const batch = queue
    queue = batch.splice(count)
    return batch
  }

  /** Returns what tells the callers. */
  const commitAll = async (batch: readonly Waiting<T, R>[]): Promise<() => void> => {
    if (batch.length === 0) return () => undefined
    try {
      const results = await commit(batch.map(({ item }) => item))
      return () => {
        // By index: an iterator of entries makes an array for each.
        for (let i = 0; i < batch.length; i += 1) batch[i]?.resolve(results[i] as R)
      }
    } catch (error) {
      // Nothing was written. One caller's id, or attachment, must not cost the others their entries: found out one by one.
      if (batch.length > 1 && isOnesFault(error)) {
        for (const waiting of batch) (await commitAll([waiting]))()
        return () => undefined
      }
      return () => {
        for (const { reject } of batch) reject(error)
      }
    }
  }

  const cancel = (waiting: Waiting<T, R>, reason: unknown): void => {
    const at = queue.indexOf(waiting)
    if (at === -1) return
    queue.splice(at, 1)
    outstanding -= 1
    outstandingBytes -= waiting.sizeBytes
    waiting.reject(reason)
    if (queue.length === 0 && running === 0 && !isScheduled) onIdle?.()
  }

  const cancellable = (waiting: Waiting<T, R>, signal: AbortSignal): Waiting<T, R> => {
    signal.throwIfAborted()
    const onAbort = (): void => cancel(own, signal.reason)
    const settle =
      <V>(how: (value: V) => void) =>
      (value: V): void => {
        signal.removeEventListener('abort', onAbort)
        how(value)
      }
    const own = { ...waiting, resolve: settle(waiting.resolve), reject: settle(waiting.reject) }
    signal.addEventListener('abort', onAbort, { once: true })
    return own
  }

  return {
    outstanding: () => outstanding,
    push(item, sizeBytes, signal) {
      return new Promise((resolve, reject) => {
        if (isClosed) throw new AuditError('AUDIT_CLOSED', 'this log is closed')
        const { maxOutstanding, maxOutstandingBytes } = limits
        if (outstanding >= maxOutstanding || (outstanding > 0 && outstandingBytes + sizeBytes > maxOutstandingBytes)) {
          const message = `${outstanding} entries (${outstandingBytes} bytes) wait to be written already`
          throw new AuditError('AUDIT_BACKLOG_FULL', message)
        }
        const waiting = { item, sizeBytes, resolve, reject }
        queue.push(signal === undefined ? waiting : cancellable(waiting, signal))
        outstanding += 1
        outstandingBytes += sizeBytes
        schedule()
      })
    },
    async [Symbol.asyncDispose]() {
      isClosed = true
      if (outstanding === 0) clearTimeout(timer)
      else {
        idle ??= new Promise<void>((resolve) => (onIdle = resolve))
        schedule()
        await idle
      }
    },
  }
}
