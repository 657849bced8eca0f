import { openLog, type SealedEntry } from '@mcp-gateway/audit-chain'
import { createPostgresStore, migratePostgres } from '@mcp-gateway/audit-chain/stores/postgres'
import type postgres from 'postgres'
import { startPostgres } from '../test/support/postgres.ts'
import { call, makeRows, median, ORIGIN, rateOf } from './workload.ts'

const BATCH = 256

export async function measurePostgres(count: number, rounds: number, say: (text: string) => void): Promise<void> {
  const server = await startPostgres()
  if (typeof server === 'string') return say(`postgres: ${server}`)
  await using running = server
  let databases = 0
  const fresh = async (): Promise<postgres.Sql> => {
    databases += 1
    const sql = running.connect(await running.createDatabase(`bench_${databases}`))
    await migratePostgres(sql)
    return sql
  }
  for (const fields of [false, true]) {
    const rows = await makeRows(count, fields)
    const [bare, ours, ratios]: [number[], number[], number[]] = [[], [], []]
    for (let round = 0; round < rounds; round += 1) {
      bare.push(await bareInserts(await fresh(), rows))
      ours.push(await appends(await fresh(), count, 512, fields))
      ratios.push((ours.at(-1) ?? 0) / (bare.at(-1) ?? 1))
    }
    const alone = await appends(await fresh(), 1000, 1, fields)
    say(
      `postgres, ${fields ? '4 fields' : 'no fields'}: bare INSERT ${Math.round(median(bare))}/s, log ${Math.round(median(ours))}/s, ` +
        `ratio ${median(ratios).toFixed(2)}; one at a time ${(1000 / alone).toFixed(3)} ms`,
    )
  }
}

async function appends(sql: postgres.Sql, count: number, inFlight: number, fields: boolean): Promise<number> {
  await using log = openLog({ store: await createPostgresStore({ sql }), origin: ORIGIN })
  return await rateOf(count, inFlight, (i) => log.append(call(i, fields)))
}

/** The same rows into the same tables as postgres.js inserts lists of rows, one transaction for 256. */
async function bareInserts(sql: postgres.Sql, rows: readonly SealedEntry[]): Promise<number> {
  await sql`insert into audit_log (origin, size, last_hash, last_at, nodes) values (${ORIGIN}, 0, '', 0, '')`
  const from = performance.now()
  for (let at = 0; at < rows.length; at += BATCH) {
    const batch = rows.slice(at, at + BATCH)
    const entries = batch.map(({ seq, id, leaf }) => ({ log: 1, seq, id, leaf: Buffer.from(leaf).toString() }))
    const kept = batch.flatMap(({ seq, subject = null, fields }) =>
      fields ? [{ log: 1, seq, subject, fields: Buffer.from(fields) }] : [],
    )
    await sql.begin(async (tx) => {
      await Promise.all([
        tx`insert into audit_entry ${tx(entries)}`,
        ...(kept.length > 0 ? [tx`insert into audit_field ${tx(kept)}`] : []),
      ])
    })
  }
  return (rows.length / (performance.now() - from)) * 1000
}
