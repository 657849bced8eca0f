/** Entries as they are read: by page, newest first, with who and what as far as it is not erased. */
import { setImmediate as breathe } from 'node:timers/promises'
import { MAX_READ, type AuditLog, type AuditStore } from '@mcp-gateway/audit-chain'
import { readEntry, type Entry } from '@mcp-gateway/audit-chain/verify'

export type LedgerReader = { readonly log: AuditLog; readonly store: AuditStore }

/** An entry with whose data its fields are; undefined when there are none, or no more. */
export type ReadRow = { readonly seq: number; readonly entry: Entry; readonly subject: string | undefined }

export type LedgerRow = {
  readonly seq: number
  readonly id: string
  readonly type: string
  readonly at: string
  readonly consumer?: string
  readonly keyId?: string
  readonly requestId?: string
  readonly arguments?: string
  readonly response?: string
  /** Method, server, name, status, code, latencyMs, requestBytes and so on. */
  readonly facts: NonNullable<Entry['facts']>
}

/** Entries of [from, to), in order. The event loop turns between pages: calls matter more than whoever reads. */
export async function* readPages({ log, store }: LedgerReader, from: number, to: number): AsyncGenerator<ReadRow[]> {
  for (let next = from; next < to; next += MAX_READ) {
    yield await readPage({ log, store }, next, Math.min(next + MAX_READ, to))
    await breathe()
  }
}

export async function readPage({ log, store }: LedgerReader, from: number, to: number): Promise<ReadRow[]> {
  const subjects = new Map((await store.fields(log.origin, from, to)).map(({ seq, subject }) => [seq, subject]))
  const rows = await store.entries(log.origin, from, to)
  return rows.map(({ seq, leaf }) => ({ seq, entry: readEntry(leaf), subject: subjects.get(seq) }))
}

/** `withBodies`: arguments and responses, which only auditors see. */
export async function describeRow(
  log: AuditLog,
  { seq, entry, subject }: ReadRow,
  withBodies: boolean,
): Promise<LedgerRow> {
  const { id, type, ts, facts = {} } = entry
  const fields = new Map(
    entry.commit === undefined
      ? []
      : (await log.disclose(seq)).map(({ name, value }) => [name, Buffer.from(value).toString('utf8')]),
  )
  const { keyId, requestId } = JSON.parse(fields.get('request') ?? '{}') as Partial<Record<string, string>>
  const bodies = { arguments: fields.get('arguments') ?? fields.get('argumentsHash'), response: fields.get('response') ?? fields.get('responseHash') } // prettier-ignore
  return {
    seq,
    id,
    type,
    at: ts,
    ...(subject !== undefined && { consumer: subject }),
    ...(keyId !== undefined && { keyId }),
    ...(requestId !== undefined && { requestId }),
    facts,
    ...(withBodies && bodies.arguments !== undefined && { arguments: bodies.arguments }),
    ...(withBodies && bodies.response !== undefined && { response: bodies.response }),
  }
}
