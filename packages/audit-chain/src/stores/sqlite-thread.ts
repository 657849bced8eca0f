/**
 * A thread that writes to SQLite files, so that the event loop does not stand still while the disk does: a commit takes
 * milliseconds on most of them. Entries are sealed here, behind those that the thread was given last, and it writes them if
 * they follow what the log has then. If not, since another process wrote in between or the batch before them failed, they
 * are sealed again, here and under the lock.
 */
import { Worker } from 'node:worker_threads'
import { AuditError, type AuditErrorCode } from '../errors.ts'
import { emptyHead } from '../head.ts'
import type { AuditStore, Erasure, Head, TileNode } from '../store.ts'
import { packEntries, type PackedEntries } from './packed-entries.ts'

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
  /** What the entries follow. */
  readonly after: Head
  readonly entries: PackedEntries
  readonly nodes: readonly TileNode[]
  readonly erasures: readonly Erasure[]
  readonly head: Head
}

/** To the thread. `close` is the last. */
export type ThreadRequest = { readonly id: number } & (
  | WriteRequest
  | { readonly kind: 'release'; readonly path: string }
  | { readonly kind: 'close' }
)

/** From it. `moved`: the log has another head, and nothing was written. */
export type ThreadReply = { readonly id: number } & (
  | { readonly outcome: 'done' | 'moved' }
  | { readonly outcome: 'failed'; readonly code: AuditErrorCode | undefined; readonly message: string }
)

type Pending = { readonly resolve: (outcome: 'done' | 'moved') => void; readonly reject: (error: unknown) => void }

/** Starts with the first append, and again when it ended. It keeps the process alive only while something is being written. */
export function openSqliteThread(): SqliteThread {
  let thread: Worker | undefined
  let isClosed = false
  let lastId = 0
  const pending = new Map<number, Pending>()

  const onReply = (worker: Worker, reply: ThreadReply): void => {
    const waiting = pending.get(reply.id)
    pending.delete(reply.id)
    if (pending.size === 0) worker.unref()
    if (reply.outcome !== 'failed') return waiting?.resolve(reply.outcome)
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
    new Promise<'done' | 'moved'>((resolve, reject) => {
      lastId += 1
      pending.set(lastId, { resolve, reject })
      worker.ref()
      const moved = request.kind === 'write' ? [request.entries.bytes.buffer] : []
      worker.postMessage({ ...request, id: lastId } satisfies ThreadRequest, moved)
    })

  const write = (request: WriteRequest): Promise<'done' | 'moved'> => {
    if (isClosed) throw new AuditError('AUDIT_CLOSED', 'the thread that writes the log was closed')
    thread ??= start()
    return ask(thread, request)
  }

  return {
    writing(store, file) {
      /** Of each log, the head that it has when all is written that the thread was given. */
      const heads = new Map<string, Head>()
      return {
        ...store,
        maxInFlight: MAX_IN_FLIGHT,
        async append(origin, seal) {
          const after = heads.get(origin) ?? (await store.head(origin)) ?? emptyHead(origin)
          const { entries, nodes, erasures, head } = seal(after)
          heads.set(origin, head)
          const batch = { entries: packEntries(entries), nodes, erasures, head: copyOf(head) }
          try {
            const outcome = await write({ kind: 'write', file, origin, after: copyOf(after), ...batch })
            if (outcome === 'done') return
          } catch (error) {
            heads.delete(origin)
            throw error
          }
          heads.delete(origin)
          await store.append(origin, seal)
        },
      }
    },
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

/** A clone of a small buffer takes along the whole pool that it is a part of. */
function copyOf(head: Head): Head {
  return { ...head, lastHash: new Uint8Array(head.lastHash), nodes: new Uint8Array(head.nodes) }
}
