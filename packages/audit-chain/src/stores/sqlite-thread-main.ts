/** What runs in the thread of `sqlite-thread.ts`: for each file a handle and a store of its own. */
import type { DatabaseSync } from 'node:sqlite'
import { parentPort } from 'node:worker_threads'
import { AuditError } from '../errors.ts'
import { HASH_BYTES } from '../hash.ts'
import { seal } from '../seal.ts'
import type { AuditStore, SealedEntry } from '../store.ts'
import { writeDrafts } from '../write-draft.ts'
import { unpackDrafts } from './packed-drafts.ts'
import { createSqliteStore, openSqlite } from './sqlite.ts'
import type { SqliteFile, ThreadReply, ThreadRequest, WriteRequest, Written } from './sqlite-thread.ts'

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

const write = async ({ file, origin, drafts, aheadMs }: WriteRequest): Promise<Written> => {
  const written = writeDrafts(origin, unpackDrafts(drafts))
  let entries: readonly SealedEntry[] = []
  await storeOf(file).append(origin, (head) => {
    const sealed = seal(head, written, Date.now() + aheadMs)
    ;({ entries } = sealed)
    return sealed
  })
  const leafHashes = new Uint8Array(entries.length * HASH_BYTES)
  for (const [i, { leafHash }] of entries.entries()) leafHashes.set(leafHash, i * HASH_BYTES)
  const { seq = 0, at = 0 } = entries[0] ?? {}
  return { seq, at, leafHashes }
}

const release = (path: string): void => {
  files.get(path)?.database.close()
  files.delete(path)
}

const answer = async (request: ThreadRequest): Promise<ThreadReply> => {
  const { id } = request
  try {
    if (request.kind === 'write') return { id, outcome: 'done', written: await write(request) }
    if (request.kind === 'release') release(request.path)
    else {
      await Promise.all(running)
      for (const path of files.keys()) release(path)
    }
    return { id, outcome: 'done' }
  } catch (error) {
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
