import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog, type EntryInput, type SealedEntry } from '@mcp-gateway/audit-chain'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { openSqliteThread, type SqliteThread } from '@mcp-gateway/audit-chain/stores/sqlite-thread'
import { call, makeRows, median, ORIGIN, rateOf } from './workload.ts'

const BATCH = 256
/** Rows that are made beforehand, and written again and again: more of them would fill the memory that the log works in. */
const SAMPLE = 2048

export async function measureSqlite(count: number, rounds: number, say: (text: string) => void): Promise<void> {
  await using thread = openSqliteThread()
  for (const fields of [false, true]) {
    const rows = await makeRows(SAMPLE, fields)
    const bytes = rows.reduce((sum, { leaf, fields }) => sum + leaf.length + (fields?.length ?? 0), 0)
    const what = `sqlite, ${fields ? '4 fields' : 'no fields'}, ${Math.round(bytes / SAMPLE)} bytes`
    const bare: number[] = []
    for (const writer of [undefined, thread]) {
      const [ours, ratios]: [number[], number[]] = [[], []]
      // What a gateway has done for long when its rate matters: compiled its code, and started its thread.
      await inFolder((path) => appends({ path, thread: writer }, count, 512, fields))
      for (let round = 0; round < rounds; round += 1) {
        bare.push(await inFolder(async (path) => bareInserts(path, rows, count)))
        ours.push(await inFolder((path) => appends({ path, thread: writer }, count, 512, fields)))
        ratios.push((ours.at(-1) ?? 0) / (bare.at(-1) ?? 1))
      }
      const alone = await inFolder((path) => appends({ path, thread: writer }, 2000, 1, fields))
      say(
        `${what}: bare INSERT ${Math.round(median(bare))}/s, log${writer ? ' with a thread' : ''} ${Math.round(median(ours))}/s, ` +
          `ratio ${median(ratios).toFixed(2)}; one at a time ${(1000 / alone).toFixed(3)} ms`,
      )
    }
  }
}

type Place = { readonly path: string; readonly thread: SqliteThread | undefined }

async function appends({ path, thread }: Place, count: number, inFlight: number, fields: boolean): Promise<number> {
  using database = openSqlite(path)
  await using log = openLog({ store: createSqliteStore({ database, ...(thread && { thread }) }), origin: ORIGIN })
  // Its files are open from here on, as those of the bare INSERT are.
  await log.append(call(count, fields))
  // Made beforehand, as the rows of the bare INSERT are.
  const calls = Array.from({ length: SAMPLE }, (_, i) => call(i, fields))
  const rate = await rateOf(count, inFlight, (i) => log.append(calls[i % SAMPLE] as EntryInput))
  await thread?.release(path)
  return rate
}

/** The same rows into the same tables, prepared statements, one transaction for 256. */
function bareInserts(path: string, rows: readonly SealedEntry[], count: number): number {
  using database = openSqlite(path)
  createSqliteStore({ database })
  database.exec(`insert into audit_log values (1, '${ORIGIN}', 0, x'', 0, x'')`)
  const entry = database.prepare('insert into audit_entry values ((1 << 40) + ?, ?, ?)')
  const field = database.prepare('insert into audit_field values ((1 << 40) + ?, ?, ?)')
  const from = performance.now()
  for (let at = 0; at < count; at += BATCH) {
    database.exec('begin immediate')
    for (let seq = at; seq < Math.min(at + BATCH, count); seq += 1) {
      const { id, leaf, subject, fields } = rows[seq % SAMPLE] as SealedEntry
      entry.run(seq, idAt(id, at), leaf)
      if (fields !== undefined) field.run(seq, subject ?? null, fields)
    }
    database.exec('commit')
  }
  return (count / (performance.now() - from)) * 1000
}

/** Ids of a batch have one time, and those of the next a later one, as UUIDv7s have. */
function idAt(id: string, at: number): string {
  const time = (Date.UTC(2026, 0) + at).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}${id.slice(13)}`
}

async function inFolder<T>(work: (path: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'audit-chain-bench-'))
  try {
    return await work(join(directory, 'audit.db'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}
