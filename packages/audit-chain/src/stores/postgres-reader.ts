/** The reading side of the PostgreSQL store. Positions come as float8, exact up to 2^53, because drivers make texts of int8. */
import { AuditError } from '../errors.ts'
import { MAX_READ, type AuditStore, type Head } from '../store.ts'
import { withDeadline } from './deadline.ts'
import type { PostgresClient, PostgresParameter, PostgresRow } from './postgres-client.ts'
import { fromPostgres } from './postgres-errors.ts'

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
>

const LOG = '(select log from audit_log where origin = $1)'

export function createReader(sql: PostgresClient, timeoutMs: number): Reader {
  const query = async <Row>(text: string, parameters: PostgresParameter[]): Promise<readonly Row[]> => {
    try {
      const answer = sql.unsafe(text, parameters, { prepare: true })
      return (await withDeadline(answer, timeoutMs, () => unanswered(timeoutMs))) as readonly Row[]
    } catch (error) {
      throw fromPostgres(error)
    }
  }
  const seqs = async (text: string, parameters: PostgresParameter[]): Promise<number[]> =>
    (await query<{ seq: number }>(text, parameters)).map(({ seq }) => seq)

  return {
    async head(origin) {
      const text = 'select size::float8, last_hash, last_at::float8, nodes from audit_log where origin = $1'
      const [row] = await query<PostgresRow>(text, [origin])
      return row && headOf(row)
    },
    async origins(after = '') {
      const text = `select origin from audit_log where origin > $1 order by origin limit ${MAX_READ}`
      return (await query<{ origin: string }>(text, [after])).map(({ origin }) => origin)
    },
    async entries(origin, from, to) {
      const text = `select seq::float8, id, leaf from audit_entry
        where log = ${LOG} and seq >= $2 and seq < $3 order by seq limit ${MAX_READ}`
      const rows = await query<{ seq: number; id: string; leaf: string }>(text, [origin, String(from), String(to)])
      return rows.map(({ seq, id, leaf }) => ({ seq, id, leaf: Buffer.from(leaf) }))
    },
    async nodes(origin, level, from, to) {
      const text = `select idx::float8, hash from audit_node
        where log = ${LOG} and level = $2 and idx >= $3 and idx < $4 order by idx limit ${MAX_READ}`
      const rows = await query<{ idx: number; hash: Uint8Array }>(text, [
        origin,
        String(level),
        String(from),
        String(to),
      ])
      return rows.map(({ idx, hash }) => ({ level, index: idx, hash }))
    },
    async find(origin, id) {
      return (await seqs(`select seq::float8 from audit_entry where log = ${LOG} and id = $2`, [origin, id]))[0]
    },
    async fields(origin, from, to) {
      const text = `select seq::float8, subject, fields from audit_field
        where log = ${LOG} and seq >= $2 and seq < $3 order by seq limit ${MAX_READ}`
      const rows = await query<{ seq: number; subject: string | null; fields: Uint8Array }>(text, [
        origin,
        String(from),
        String(to),
      ])
      return rows.map((row) => ({ ...row, subject: row.subject ?? undefined }))
    },
    async bySubject(origin, subject, from) {
      const text = `select seq::float8 from audit_field
        where log = ${LOG} and subject = $2 and seq >= $3 order by seq limit ${MAX_READ}`
      return await seqs(text, [origin, subject, String(from)])
    },
    async checkpoints(origin, fromSize) {
      const text = `select size::float8, note from audit_checkpoint
        where log = ${LOG} and size >= $2 order by size limit ${MAX_READ}`
      return [...(await query<{ size: number; note: string }>(text, [origin, String(fromSize)]))]
    },
    async lastCheckpoint(origin) {
      const text = `select size::float8, note from audit_checkpoint where log = ${LOG} order by size desc limit 1`
      return (await query<{ size: number; note: string }>(text, [origin]))[0]
    },
    async cursor(origin, follower) {
      return (
        (
          await seqs(`select seq::float8 from audit_cursor where log = ${LOG} and follower = $2`, [origin, follower])
        )[0] ?? 0
      )
    },
    async cursors(origin) {
      const text = `select follower, seq::float8 from audit_cursor
        where log = ${LOG} order by follower collate "C" limit ${MAX_READ}`
      return [...(await query<{ follower: string; seq: number }>(text, [origin]))]
    },
  }
}

export function unanswered(timeoutMs: number): AuditError {
  return new AuditError('AUDIT_STORE_UNAVAILABLE', `the database did not answer within ${timeoutMs} ms`)
}

export function headOf(row: PostgresRow): Head {
  return {
    size: row['size'] as number,
    lastHash: row['last_hash'] as Uint8Array,
    lastAt: row['last_at'] as number,
    nodes: row['nodes'] as Uint8Array,
  }
}

export function toBytes(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
