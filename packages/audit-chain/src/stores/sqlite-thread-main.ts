/** What runs in the thread of `sqlite-thread.ts`: for each file a handle and a store of its own. */
import type { DatabaseSync } from 'node:sqlite'
import { parentPort } from 'node:worker_threads'
import { AuditError } from '../errors.ts'
import { equalBytes } from '../hash.ts'
import type { AuditStore, Sealed } from '../store.ts'
import { unpackEntries } from './packed-entries.ts'
import { createSqliteStore, openSqlite } from './sqlite.ts'
import type { SqliteFile, ThreadReply, ThreadRequest, WriteRequest } from './sqlite-thread.ts'

class HeadMoved extends Error {}

/** Whoever sealed the entries has these, and no store writes them. */
const NOT_WRITTEN = { leafHash: new Uint8Array(0), at: 0, attachment: undefined }

const port = parentPort
if (port === null) throw new TypeError('sqlite-thread-main is for a worker thread')

const files = new Map<string, { readonly database: DatabaseSync; readonly store: AuditStore }>()
const running = new Set<Promise<void>>()

const storeOf = ({ path, busyTimeoutMs }: SqliteFile): AuditStore => {
  let file = files.get(path)
  if (file === undefined) {
    const database = openSqlite(path)
    file = { database, store: createSqliteStore({ database, busyTimeoutMs }) }
    files.set(path, file)
  }
  return file.store
}

const write = async ({ file, origin, after, entries, nodes, erasures, head }: WriteRequest): Promise<void> => {
  await storeOf(file).append(origin, ({ size, lastHash }): Sealed => {
    if (size !== after.size || !equalBytes(lastHash, after.lastHash)) throw new HeadMoved()
    return { entries: unpackEntries(entries).map((entry) => ({ ...entry, ...NOT_WRITTEN })), nodes, erasures, head }
  })
}

const release = (path: string): void => {
  files.get(path)?.database.close()
  files.delete(path)
}

const answer = async (request: ThreadRequest): Promise<ThreadReply> => {
  const { id } = request
  try {
    if (request.kind === 'write') await write(request)
    else if (request.kind === 'release') release(request.path)
    else {
      await Promise.all(running)
      for (const path of files.keys()) release(path)
    }
    return { id, outcome: 'done' }
  } catch (error) {
    if (error instanceof HeadMoved) return { id, outcome: 'moved' }
    const code = error instanceof AuditError ? error.code : undefined
    return { id, outcome: 'failed', code, message: error instanceof Error ? error.message : String(error) }
  }
}

port.on('message', (request: ThreadRequest) => {
  const done = answer(request).then((reply) => {
    port.postMessage(reply)
    running.delete(done)
    if (request.kind === 'close') port.close()
  })
  // What `close` waits for.
  if (request.kind === 'write') running.add(done)
})
