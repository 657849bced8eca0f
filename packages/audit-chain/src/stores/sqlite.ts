/**
 * A store in a SQLite file, by node:sqlite. WAL and `synchronous=FULL`: a commit is on the disk before it is acknowledged.
 * `secure_delete=ON`: what is erased is overwritten.
 *
 * Writing is synchronous, which blocks the event loop for about as long as one fsync per batch; the group commit before it
 * makes batches of what came meanwhile. Waiting for another process's lock is not: that would block for as long as it likes.
 */
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { AuditError } from '../errors.ts'
import { dropFields } from '../field-pack.ts'
import type { AuditStore, Erasure, Sealed } from '../store.ts'
import { fromSqlite, isBusy, isReadOnly } from './sqlite-errors.ts'
import { createReader } from './sqlite-reader.ts'
import { keyOf, SQLITE_SCHEMA } from './sqlite-schema.ts'
import { prepareStatements, type Statements } from './sqlite-statements.ts'
import type { SqliteThread } from './sqlite-thread.ts'

export type SqliteStoreOptions = {
  /** As `openSqlite` opens it, or with the same durability. The store does not close it. */
  readonly database: DatabaseSync
  /** How long an append waits for the write lock of another process. @default 2000 */
  readonly busyTimeoutMs?: number
  /** Your own statements in the transaction that writes the entries. What it throws undoes the batch. */
  readonly alongside?: (origin: string, sealed: Sealed) => void
  /** Appends go through it: the event loop does not wait for the disk. Not together with `alongside`. */
  readonly thread?: SqliteThread
}

const BUSY_POLL_MS = 5
/** Processes that start together wait for the one that makes the file and its tables; the only wait that blocks. */
const OPEN_TIMEOUT_MS = 5000

/** Opens or makes a database for a store. @throws AuditError AUDIT_STORE_UNAVAILABLE, AUDIT_STORE_CORRUPT, AUDIT_STORE_BUSY */
export function openSqlite(path: string): DatabaseSync {
  try {
    const database = new DatabaseSync(path, { timeout: OPEN_TIMEOUT_MS, enableForeignKeyConstraints: false })
    // Pages of 8 KiB waste less of what entries leave free than the usual 4: a sixth of the time of large batches.
    database.exec(
      'pragma page_size=8192; pragma journal_mode=wal; pragma synchronous=full; pragma secure_delete=on; pragma wal_autocheckpoint=4000',
    )
    return database
  } catch (error) {
    throw fromSqlite(error)
  }
}

/** Makes the tables when they are missing. @throws AuditError AUDIT_STORE_UNSAFE when the handle could lose commits */
export function createSqliteStore(options: SqliteStoreOptions): AuditStore {
  const { database, busyTimeoutMs = 2000, alongside, thread } = options
  checkDurability(database)
  try {
    makeTables(database)
    // From here on `begin` waits, and lets others run meanwhile.
    database.exec('pragma busy_timeout=0')
  } catch (error) {
    throw fromSqlite(error)
  }
  const statements = prepareStatements(database)
  const reader = createReader(database)
  const led = new Set<string>()

  /** `work` is synchronous: nothing else of this process gets between BEGIN and COMMIT. */
  const transact = async <T>(work: () => T): Promise<T> => {
    const deadline = Date.now() + busyTimeoutMs
    while (!begin(database, Date.now() >= deadline)) await sleep(BUSY_POLL_MS)
    let isCommitting = false
    try {
      const result = work()
      isCommitting = true
      database.exec('commit')
      return result
    } catch (error) {
      if (database.isOpen && database.isTransaction) rollBack(database, error)
      throw fromSqlite(error, isCommitting)
    }
  }

  const store: AuditStore = {
    ...reader,
    async append(origin, seal) {
      await transact(() => {
        const log = statements.openLog(origin)
        const sealed = seal(log.head)
        write(statements, log.key, sealed)
        for (const erasure of sealed.erasures) erase(statements, log.key, erasure)
        alongside?.(origin, sealed)
      })
    },
    async scrub() {
      // Pages of an index that split leave copies of keys in their unused space, which `secure_delete` does not clear.
      await transact(() => database.exec('reindex audit_field_subject'))
      // Until the write-ahead log is copied back and cut, it has the old pages, and with them the old values.
      const deadline = Date.now() + busyTimeoutMs
      for (;;) {
        if (reader.truncateWal()) return
        if (Date.now() >= deadline) break
        await sleep(BUSY_POLL_MS)
      }
      const message = 'somebody is reading the database, so erased values are still in its write-ahead log; scrub again'
      throw new AuditError('AUDIT_ERASE_INCOMPLETE', message)
    },
    async addCheckpoint(origin, { size, note }) {
      await transact(() => statements.insertCheckpoint.run(statements.openLog(origin).key, size, note))
    },
    async setCursor(origin, follower, seq) {
      await transact(() => statements.writeCursor.run(statements.openLog(origin).key, follower, seq))
    },
    // One process writes a SQLite log as a rule. Where a second one publishes too, both sign what they verified themselves.
    async lead(origin) {
      if (led.has(origin)) return undefined
      led.add(origin)
      return {
        async [Symbol.asyncDispose]() {
          led.delete(origin)
        },
      }
    },
  }
  if (thread === undefined) return store
  const path = database.location()
  if (path === null || alongside !== undefined) throw new TypeError('a thread writes to a file, and nothing alongside')
  return thread.writing(store, { path, busyTimeoutMs })
}

/** Whether the write lock was there. In the same turn as what follows, so that two transactions cannot meet on one handle. */
function begin(database: DatabaseSync, isLastAttempt: boolean): boolean {
  try {
    // Somebody who shares the handle may be in a transaction of their own.
    if (database.isOpen && database.isTransaction && !isLastAttempt) return false
    database.exec('begin immediate')
    return true
  } catch (error) {
    if (!isBusy(error) || isLastAttempt) throw fromSqlite(error)
    return false
  }
}

function rollBack(database: DatabaseSync, cause: unknown): void {
  try {
    database.exec('rollback')
  } catch (error) {
    const message = 'neither commit nor rollback worked'
    throw new AuditError('AUDIT_STORE_FAILED', message, { cause: new AggregateError([cause, error], message) })
  }
}

function write({ insertEntries, insertNode, writeHead }: Statements, log: number, sealed: Sealed): void {
  const { entries, nodes, head } = sealed
  insertEntries(log, entries)
  for (const { level, index, hash } of nodes) insertNode.run(log, level, index, hash)
  writeHead.run(head.size, head.lastHash, head.lastAt, head.nodes, log)
}

function erase(statements: Statements, log: number, { from, to, names }: Erasure): void {
  if (names === undefined) {
    statements.deleteFields.run(keyOf(log, from), keyOf(log, to))
    return
  }
  const keepsSubject = !names.includes('subject')
  for (const { seq, subject, fields } of statements.fieldsIn(log, from, to)) {
    const rest = dropFields(fields, names)
    if (rest === undefined) statements.deleteFields.run(keyOf(log, seq), keyOf(log, seq + 1))
    else statements.replaceFields.run(keepsSubject ? subject : null, rest, keyOf(log, seq))
  }
}

/** With the write lock from the start, since two that read first would both find nothing and then wait for each other. */
function makeTables(database: DatabaseSync): void {
  const count = database.prepare(
    `select count(*) as found from sqlite_master where name in ('audit_cursor', 'audit_log_no_shrink')`,
  )
  const found = count.get()?.['found']
  if (found === 2) return
  database.exec('begin immediate')
  try {
    database.exec(SQLITE_SCHEMA)
    database.exec('commit')
  } catch (error) {
    rollBack(database, error)
    // For an examiner's read-only handle: who drops a trigger, to change what it guards, must not thereby prevent the check.
    if (found === 1 && isReadOnly(error)) return
    throw error
  }
}

function checkDurability(database: DatabaseSync): void {
  const pragma = (name: string): unknown => Object.values(database.prepare(`pragma ${name}`).get() ?? {})[0]
  const mode = pragma('journal_mode')
  if (mode !== 'wal' && mode !== 'delete') throw unsafe(`journal_mode is ${String(mode)}; set it to wal`)
  if (Number(pragma('synchronous')) < 2) throw unsafe('synchronous is not full: a power cut would take commits with it')
  if (pragma('secure_delete') !== 1) throw unsafe('secure_delete is not on: erased values would stay in the file')
}

function unsafe(message: string): AuditError {
  return new AuditError('AUDIT_STORE_UNSAFE', message)
}
