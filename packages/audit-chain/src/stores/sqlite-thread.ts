/**
 * A thread that writes to SQLite files, so that the event loop does not stand still while the disk does: a commit takes
 * milliseconds on most of them. It also does the hashing, so that the event loop has time for calls.
 */
import { Worker } from 'node:worker_threads'
import { AuditError, type AuditErrorCode } from '../errors.ts'
import { HASH_BYTES } from '../hash.ts'
import type { AuditStore, Receipt } from '../store.ts'
import { commitmentsTo } from '../write-draft.ts'
import { packDrafts, type PackedDrafts } from './packed-drafts.ts'

export type SqliteThread = AsyncDisposable & {
  /** The same store, but what is appended is written to the file by the thread. For `createSqliteStore`. */
  writing(store: AuditStore, file: SqliteFile): AuditStore
  /** Closes the thread's handle of a file. Who appends there later opens it again. */
  release(path: string): Promise<void>
}

export type SqliteFile = { readonly path: string; readonly busyTimeoutMs: number }

export type WriteRequest = {
  readonly kind: 'write'
  readonly file: SqliteFile
  readonly origin: string
  readonly drafts: PackedDrafts
  readonly aheadMs: number
}

/** To the thread. `close` is the last. */
export type ThreadRequest = { readonly id: number } & (
  | WriteRequest
  | { readonly kind: 'release'; readonly path: string }
  | { readonly kind: 'close' }
)

/** Where the entries of a batch are: one behind the other from `seq` on, with one time. */
export type Written = { readonly seq: number; readonly at: number; readonly leafHashes: Uint8Array<ArrayBuffer> }

/** From it. `written` for a `write`. */
export type ThreadReply = { readonly id: number } & (
  | { readonly outcome: 'done'; readonly written?: Written }
  | { readonly outcome: 'failed'; readonly code: AuditErrorCode | undefined; readonly message: string }
)

type Pending = { readonly resolve: (written: Written | undefined) => void; readonly reject: (error: unknown) => void }

/** Starts with the first append, and again when it ended. It keeps the process alive only while something is being written. */
export function openSqliteThread(): SqliteThread {
  let thread: Worker | undefined
  let isClosed = false
  let lastId = 0
  const pending = new Map<number, Pending>()
  /** Since when it has had something to do, on the clock of `performance.now()`. */
  let busySince = 0
  const isBehind = (): boolean => pending.size > 0 && performance.now() - busySince > BEHIND_MS

  const onReply = (worker: Worker, reply: ThreadReply): void => {
    const waiting = pending.get(reply.id)
    pending.delete(reply.id)
    if (pending.size === 0) worker.unref()
    if (reply.outcome !== 'failed') return waiting?.resolve(reply.written)
    const { code, message } = reply
    return waiting?.reject(code === undefined ? new Error(message) : new AuditError(code, message))
  }

  const start = (): Worker => {
    // As this is run: from the sources, or from what was built of them.
    const file = import.meta.url.endsWith('.ts') ? './sqlite-thread-main.ts' : './sqlite-thread-main.js'
    // Not what the process was started with, which may be about its own file.
    const worker = new Worker(new URL(file, import.meta.url), { name: 'audit log', execArgv: [] })
    worker.unref()
    worker.on('message', (reply: ThreadReply) => onReply(worker, reply))
    const onEnd = (cause: unknown): void => {
      if (thread !== worker) return
      thread = undefined
      const lost = [...pending.values()]
      pending.clear()
      const message = 'the thread that writes the log ended'
      for (const { reject } of lost) reject(new AuditError('AUDIT_OUTCOME_UNKNOWN', message, { cause }))
    }
    worker.once('error', onEnd)
    worker.once('exit', (code) => onEnd(new Error(`exit code ${code}`)))
    return worker
  }

  const ask = (worker: Worker, request: WriteRequest | { kind: 'release'; path: string } | { kind: 'close' }) =>
    new Promise<Written | undefined>((resolve, reject) => {
      lastId += 1
      if (pending.size === 0) busySince = performance.now()
      pending.set(lastId, { resolve, reject })
      worker.ref()
      const moved = request.kind === 'write' ? [request.drafts.fields.buffer] : []
      worker.postMessage({ ...request, id: lastId } satisfies ThreadRequest, moved)
    })

  const write = (request: WriteRequest): Promise<Written | undefined> => {
    if (isClosed) throw new AuditError('AUDIT_CLOSED', 'the thread that writes the log was closed')
    thread ??= start()
    return ask(thread, request)
  }

  return {
    writing: (store, file) => ({
      ...store,
      maxInFlight: MAX_IN_FLIGHT,
      async appendDrafts(origin, drafts, aheadMs) {
        const ready = isBehind() ? drafts.map((one) => ({ ...one, commit: commitmentsTo(one.fields) })) : drafts
        const written = await write({ kind: 'write', file, origin, drafts: packDrafts(ready), aheadMs })
        if (written === undefined) throw new TypeError('the thread wrote, and does not say where')
        return drafts.map(({ id }, i) => new WrittenReceipt(origin, id, written, i))
      },
    }),
    async release(path) {
      if (thread !== undefined) await ask(thread, { kind: 'release', path })
    },
    async [Symbol.asyncDispose]() {
      isClosed = true
      if (thread === undefined) return
      try {
        // It first writes what it has, and closes its files.
        await ask(thread, { kind: 'close' })
      } catch (error) {
        // When it ended meanwhile, whoever waited for it has heard.
        if (thread !== undefined) throw error
      }
    },
  }
}

/** One is written, one waits for it to be. */
const MAX_IN_FLIGHT = 2

/** A thread that has found no rest for so long gets its batches with their commitments: half of the hashing is done here then. */
const BEHIND_MS = 10

/** Few who append look at the hash, and a view of it costs as much as the rest. */
class WrittenReceipt implements Receipt {
  readonly origin: string
  readonly seq: number
  readonly id: string
  readonly at: number
  readonly #leafHashes: Uint8Array
  readonly #index: number

  constructor(origin: string, id: string, { seq, at, leafHashes }: Written, index: number) {
    this.origin = origin
    this.seq = seq + index
    this.id = id
    this.at = at
    this.#leafHashes = leafHashes
    this.#index = index
  }

  get leafHash(): Uint8Array {
    return this.#leafHashes.subarray(this.#index * HASH_BYTES, (this.#index + 1) * HASH_BYTES)
  }
}
