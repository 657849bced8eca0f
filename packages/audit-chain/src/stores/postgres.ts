/**
 * A store in PostgreSQL, for one or many processes. A batch is one transaction: lock the head of the log, number and hash,
 * insert, move the head. The row lock makes the order, the primary key (log, seq) makes a fork impossible.
 *
 * The inserts are sent together, without waiting for one another: a batch costs three round trips, whatever its size.
 */
import { AuditError } from '../errors.ts'
import { dropFields } from '../field-pack.ts'
import { emptyHead } from '../head.ts'
import type { AuditStore, Erasure, Head, Sealed } from '../store.ts'
import {
  hexLines,
  lines,
  type PostgresClient,
  type PostgresParameter,
  type PostgresQueries,
  type PostgresRow,
} from './postgres-client.ts'
import { withDeadline } from './deadline.ts'
import { fromPostgres } from './postgres-errors.ts'
import { createReader, headOf, toBytes, unanswered } from './postgres-reader.ts'

export { grantPostgres, migratePostgres, POSTGRES_SCHEMA, rewriteErased } from './postgres-schema.ts'
export type { PostgresClient, PostgresParameter, PostgresQueries, PostgresRow } from './postgres-client.ts'

export type PostgresStoreOptions = {
  /** A client of `postgres` (postgres.js), connected as the role of `grantPostgres`. The store does not end it. */
  readonly sql: PostgresClient
  /** How long an append waits for the head of the log. @default 5000 */
  readonly lockTimeoutMs?: number
  /**
   * How long anything here may take. A client that cannot reach its server may try for ever, and an entry that waits for
   * that is neither logged nor refused. @default 15000
   */
  readonly timeoutMs?: number
  /** Your own statements in the transaction that writes the entries. What it throws undoes the batch. */
  readonly alongside?: (transaction: PostgresQueries, origin: string, sealed: Sealed) => Promise<void>
}

/** A commit must not be acknowledged by a server that has not written it. */
const UNSAFE = new Set(['off'])

/** @throws AuditError AUDIT_STORE_UNSAFE when the server could lose commits, AUDIT_STORE_UNAVAILABLE */
export async function createPostgresStore(options: PostgresStoreOptions): Promise<AuditStore> {
  const { sql, lockTimeoutMs = 5000, timeoutMs = 15_000, alongside } = options
  await checkDurability(sql, timeoutMs)

  const transact = async (work: (transaction: PostgresQueries) => Promise<void>): Promise<void> => {
    let isCommitting = false
    let isLate = false
    const transaction = sql.begin(async (transaction) => {
      await work(transaction)
      // Its caller was told that nothing is written: so nothing is.
      if (isLate) throw new AuditError('AUDIT_STORE_UNAVAILABLE', 'too late')
      isCommitting = true
    })
    try {
      await withDeadline(transaction, timeoutMs, () => {
        isLate = true
        const code = isCommitting ? 'AUDIT_OUTCOME_UNKNOWN' : 'AUDIT_STORE_UNAVAILABLE'
        return new AuditError(code, `the database did not answer within ${timeoutMs} ms`)
      })
    } catch (error) {
      throw fromPostgres(error, isCommitting)
    }
  }

  /** The row is made outside of the transaction that uses it, so that two first appends do not wait for each other twice. */
  const lock = async (transaction: PostgresQueries, origin: string): Promise<{ log: string; head: Head }> => {
    const select =
      'select log::text, size::float8, last_hash, last_at::float8, nodes from audit_log where origin = $1 for update'
    const [, rows] = await Promise.all([
      run(transaction, `select set_config('lock_timeout', $1, true)`, [String(lockTimeoutMs)]),
      run(transaction, select, [origin]),
    ])
    const row = rows[0] ?? (await create(transaction, origin, select))
    return { log: row['log'] as string, head: headOf(row) }
  }

  return {
    ...createReader(sql, timeoutMs),
    async append(origin, seal) {
      await transact(async (transaction) => {
        const { log, head } = await lock(transaction, origin)
        const sealed = seal(head)
        await Promise.all(write(transaction, log, sealed))
        for (const erasure of sealed.erasures) await erase(transaction, log, erasure)
        await alongside?.(transaction, origin, sealed)
      })
    },
    // Dead rows are the owner's to remove: `rewriteErased`.
    scrub: async () => {},
    async addCheckpoint(origin, { size, note }) {
      await transact(async (transaction) => {
        const { log } = await lock(transaction, origin)
        const query = 'insert into audit_checkpoint (log, size, note) values ($1, $2, $3) on conflict do nothing'
        await run(transaction, query, [log, String(size), note])
      })
    },
    async setCursor(origin, follower, seq) {
      await transact(async (transaction) => {
        const { log } = await lock(transaction, origin)
        const query = `insert into audit_cursor (log, follower, seq) values ($1, $2, $3)
          on conflict (log, follower) do update set seq = excluded.seq`
        await run(transaction, query, [log, follower, String(seq)])
      })
    },
    async lead(origin) {
      try {
        return await tryLock(sql, origin)
      } catch (error) {
        throw fromPostgres(error)
      }
    },
  }
}

async function create(transaction: PostgresQueries, origin: string, select: string): Promise<PostgresRow> {
  const { lastHash, nodes } = emptyHead(origin)
  const insert = `insert into audit_log (origin, size, last_hash, last_at, nodes) values ($1, 0, $2, 0, $3)
    on conflict do nothing`
  await run(transaction, insert, [origin, toBytes(lastHash), toBytes(nodes)])
  const [row] = await run(transaction, select, [origin])
  if (row === undefined) throw new AuditError('AUDIT_STORE_FAILED', `the head of ${origin} could not be made`)
  return row
}

function write(transaction: PostgresQueries, log: string, { entries, nodes, head }: Sealed): PromiseLike<unknown>[] {
  const kept = entries.filter(({ fields }) => fields !== undefined)
  const queries = [
    run(transaction, 'update audit_log set size = $2, last_hash = $3, last_at = $4, nodes = $5 where log = $1', [
      log,
      String(head.size),
      toBytes(head.lastHash),
      String(head.lastAt),
      toBytes(head.nodes),
    ]),
    run(
      transaction,
      `insert into audit_entry (log, seq, id, leaf)
       select $1, $2::bigint + n - 1, id, leaf
       from unnest(string_to_array($3, E'\\n'), string_to_array($4, E'\\n')) with ordinality as t (id, leaf, n)`,
      [
        log,
        String(entries[0]?.seq ?? head.size),
        lines(entries.map(({ id }) => id)),
        lines(entries.map(({ leaf }) => toBytes(leaf).toString())),
      ],
    ),
  ]
  if (kept.length > 0) {
    const insert = `insert into audit_field (log, seq, subject, fields)
      select $1, seq::bigint, nullif(subject, ''), decode(fields, 'hex')
      from unnest(string_to_array($2, E'\\n'), string_to_array($3, E'\\n'), string_to_array($4, E'\\n')) as t (seq, subject, fields)`
    queries.push(
      run(transaction, insert, [
        log,
        lines(kept.map(({ seq }) => String(seq))),
        lines(kept.map(({ subject }) => subject ?? '')),
        hexLines(kept.map(({ fields }) => fields as Uint8Array)),
      ]),
    )
  }
  for (const { level, index, hash } of nodes) {
    const insert = 'insert into audit_node (log, level, idx, hash) values ($1, $2, $3, $4)'
    queries.push(run(transaction, insert, [log, String(level), String(index), toBytes(hash)]))
  }
  return queries
}

async function erase(transaction: PostgresQueries, log: string, { from, to, names }: Erasure): Promise<void> {
  const remove = 'delete from audit_field where log = $1 and seq >= $2 and seq < $3'
  if (names === undefined) {
    await run(transaction, remove, [log, String(from), String(to)])
    return
  }
  const keepsSubject = !names.includes('subject')
  for (let next = from; next < to;) {
    const page = `select seq::float8, subject, fields from audit_field
      where log = $1 and seq >= $2 and seq < $3 order by seq limit 1000`
    const rows = await run(transaction, page, [log, String(next), String(to)])
    if (rows.length === 0) return
    for (const row of rows) {
      const seq = row['seq'] as number
      const rest = dropFields(row['fields'] as Uint8Array, names)
      const update = 'update audit_field set subject = $3, fields = $4 where log = $1 and seq = $2'
      if (rest === undefined) await run(transaction, remove, [log, String(seq), String(seq + 1)])
      else
        await run(transaction, update, [
          log,
          String(seq),
          keepsSubject ? (row['subject'] as string | null) : null,
          rest,
        ])
      next = seq + 1
    }
  }
}

/** Session locks end with the connection, so a process that dies gives up its lead. */
async function tryLock(sql: PostgresClient, origin: string): Promise<AsyncDisposable | undefined> {
  const connection = await sql.reserve()
  const key = `hashtextextended($1, 6962)`
  try {
    const [row] = await run(connection, `select pg_try_advisory_lock(${key}) as got`, [origin])
    if (row?.['got'] !== true) {
      connection.release()
      return undefined
    }
  } catch (error) {
    connection.release()
    throw error
  }
  return {
    async [Symbol.asyncDispose]() {
      try {
        await run(connection, `select pg_advisory_unlock(${key})`, [origin])
      } catch (error) {
        throw fromPostgres(error)
      } finally {
        connection.release()
      }
    },
  }
}

async function checkDurability(sql: PostgresClient, timeoutMs: number): Promise<void> {
  try {
    const query = `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit`
    const [row] = await withDeadline(run(sql, query), timeoutMs, () => unanswered(timeoutMs))
    if (!UNSAFE.has(row?.['fsync'] as string) && !UNSAFE.has(row?.['commit'] as string)) return
  } catch (error) {
    throw fromPostgres(error)
  }
  throw new AuditError(
    'AUDIT_STORE_UNSAFE',
    'fsync or synchronous_commit is off: a power cut would take commits with it',
  )
}

function run(
  queries: PostgresQueries,
  query: string,
  parameters: PostgresParameter[] = [],
): Promise<readonly PostgresRow[]> {
  return Promise.resolve(queries.unsafe(query, parameters, { prepare: true }))
}
