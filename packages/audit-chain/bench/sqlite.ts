import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog, type SealedEntry } from '@mcp-gateway/audit-chain'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { openSqliteThread, type SqliteThread } from '@mcp-gateway/audit-chain/stores/sqlite-thread'
import { call, makeRows, median, ORIGIN, rateOf } from './workload.ts'

const BATCH = 256

export async function measureSqlite(count: number, rounds: number, say: (text: string) => void): Promise<void> {
  await using thread = openSqliteThread()
  for (const fields of [false, true]) {
    const rows = await makeRows(count, fields)
    const bytes = rows.reduce((sum, { leaf, fields }) => sum + leaf.length + (fields?.length ?? 0), 0)
    const [bare, ours, ratios]: [number[], number[], number[]] = [[], [], []]
    // What a gateway has done for long when its rate matters: compiled, and started its thread.
    await inFolder((path) => appends({ path, thread }, count, 512, fields))
    for (let round = 0; round < rounds; round += 1) {
      bare.push(await inFolder(async (path) => bareInserts(path, rows)))
      ours.push(await inFolder((path) => appends({ path, thread }, count, 512, fields)))
      ratios.push((ours.at(-1) ?? 0) / (bare.at(-1) ?? 1))
    }
    const alone = await inFolder((path) => appends({ path, thread }, 2000, 1, fields))
    const what = fields ? '4 fields' : 'no fields'
    say(
      `sqlite, ${what}, ${Math.round(bytes / count)} bytes: bare INSERT ${Math.round(median(bare))}/s, log ${Math.round(median(ours))}/s, ` +
        `ratio ${median(ratios).toFixed(2)}; one at a time ${(1000 / alone).toFixed(3)} ms`,
    )
  }
}

type Place = { readonly path: string; readonly thread: SqliteThread }

async function appends({ path, thread }: Place, count: number, inFlight: number, fields: boolean): Promise<number> {
  using database = openSqlite(path)
  await using log = openLog({ store: createSqliteStore({ database, thread }), origin: ORIGIN })
  const rate = await rateOf(count, inFlight, (i) => log.append(call(i, fields)))
  await thread.release(path)
  return rate
}

/** The same rows into the same tables, prepared statements, one transaction for 256. */
function bareInserts(path: string, rows: readonly SealedEntry[]): number {
  using database = openSqlite(path)
  createSqliteStore({ database })
  database.exec(`insert into audit_log values (1, '${ORIGIN}', 0, x'', 0, x'')`)
  const entry = database.prepare('insert into audit_entry values ((1 << 40) + ?, ?, ?)')
  const field = database.prepare('insert into audit_field values ((1 << 40) + ?, ?, ?)')
  const from = performance.now()
  for (let at = 0; at < rows.length; at += BATCH) {
    database.exec('begin immediate')
    for (const { seq, id, leaf, subject, fields } of rows.slice(at, at + BATCH)) {
      entry.run(seq, id, leaf)
      if (fields !== undefined) field.run(seq, subject ?? null, fields)
    }
    database.exec('commit')
  }
  return (rows.length / (performance.now() - from)) * 1000
}

async function inFolder<T>(work: (path: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'audit-chain-bench-'))
  try {
    return await work(join(directory, 'audit.db'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}
