/** The reading side of the SQLite store. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import {
  MAX_READ,
  type AuditStore,
  type StoredCheckpoint,
  type StoredCursor,
  type StoredEntry,
  type TileNode,
} from '../store.ts'
import { fromSqlite } from './sqlite-errors.ts'
import { MAX_ENTRIES } from './sqlite-schema.ts'
import { headOf, type FieldRow } from './sqlite-statements.ts'

type Reader = Pick<
  AuditStore,
  | 'head'
  | 'origins'
  | 'entries'
  | 'nodes'
  | 'find'
  | 'fields'
  | 'bySubject'
  | 'checkpoints'
  | 'lastCheckpoint'
  | 'cursor'
  | 'cursors'
> & {
  /** Whether the write-ahead log could be emptied. */
  truncateWal(): boolean
}

export function createReader(database: DatabaseSync): Reader {
  /** Rows, or one of ours instead of SQLite's errors. */
  const query = <Row>(sql: string): ((...values: SQLInputValue[]) => Row[]) => {
    const statement = database.prepare(sql)
    return (...values) => {
      try {
        return statement.all(...values) as Row[]
      } catch (error) {
        throw fromSqlite(error)
      }
    }
  }
  const log = '(select log from audit_log where origin = ?1)'
  const first = `(select log * ${MAX_ENTRIES} from audit_log where origin = ?1)`
  /** Entries [?2, ?3) of the log ?1. */
  const inRange = `key >= ${first} + ?2 and key < ${first} + min(?3, ${MAX_ENTRIES})`
  const head = query<Parameters<typeof headOf>[0]>(`select * from audit_log where origin = ?`)
  const origins = query<{ origin: string }>(
    `select origin from audit_log where origin > ? order by origin limit ${MAX_READ}`,
  )
  const entries = query<StoredEntry>(
    `select seq, id, leaf from audit_entry where ${inRange} order by key limit ${MAX_READ}`,
  )
  const nodes = query<TileNode>(
    `select level, idx as "index", hash from audit_node
     where log = ${log} and level = ?2 and idx >= ?3 and idx < ?4 order by idx limit ${MAX_READ}`,
  )
  const byId = query<{ seq: number }>(`select seq from audit_entry where id = ?2 and log = ${log}`)
  const fields = query<FieldRow>(
    `select seq, subject, fields from audit_field where ${inRange} order by key limit ${MAX_READ}`,
  )
  const bySubject = query<{ seq: number }>(
    `select seq from audit_field
     where subject = ?2 and key >= ${first} + ?3 and key < ${first} + ${MAX_ENTRIES} order by key limit ${MAX_READ}`,
  )
  const checkpoints = query<StoredCheckpoint>(
    `select size, note from audit_checkpoint where log = ${log} and size >= ?2 order by size limit ${MAX_READ}`,
  )
  const lastCheckpoint = query<StoredCheckpoint>(
    `select size, note from audit_checkpoint where log = ${log} order by size desc limit 1`,
  )
  const cursor = query<{ seq: number }>(`select seq from audit_cursor where log = ${log} and follower = ?2`)
  const cursors = query<StoredCursor>(
    `select follower, seq from audit_cursor where log = ${log} order by follower limit ${MAX_READ}`,
  )
  const checkpointWal = query<{ busy: number }>('pragma wal_checkpoint(truncate)')

  return {
    async head(origin) {
      const [row] = head(origin)
      return row && headOf(row)
    },
    origins: async (after = '') => origins(after).map(({ origin }) => origin),
    entries: async (origin, from, to) => entries(origin, from, to),
    nodes: async (origin, level, from, to) => nodes(origin, level, from, to),
    find: async (origin, id) => byId(origin, id)[0]?.seq,
    async fields(origin, from, to) {
      return fields(origin, from, to).map((row) => ({ ...row, subject: row.subject ?? undefined }))
    },
    bySubject: async (origin, subject, from) => bySubject(origin, subject, from).map(({ seq }) => seq),
    checkpoints: async (origin, fromSize) => checkpoints(origin, fromSize),
    lastCheckpoint: async (origin) => lastCheckpoint(origin)[0],
    cursor: async (origin, follower) => cursor(origin, follower)[0]?.seq ?? 0,
    cursors: async (origin) => cursors(origin),
    truncateWal: () => checkpointWal()[0]?.busy === 0,
  }
}
