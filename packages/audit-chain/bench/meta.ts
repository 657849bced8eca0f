// What one more checkpoint costs a meta-log in SQLite, and how fast all of them are compared with the logs they are of.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMetaLog, examineMetaLog, openLog } from '@mcp-gateway/audit-chain'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { call } from './workload.ts'

const CHECKPOINTS = 50
const BETWEEN = 10

export async function measureMeta(count: number, say: (text: string) => void): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'audit-chain-meta-'))
  try {
    using logs = openSqlite(join(home, 'logs.db'))
    using over = openSqlite(join(home, 'meta.db'))
    const [store, metaStore] = [createSqliteStore({ database: logs }), createSqliteStore({ database: over })]
    await using meta = createMetaLog({ store: metaStore, origin: 'meta' })
    const names = Array.from({ length: Math.ceil(count / CHECKPOINTS / BETWEEN) }, (_, i) => `log/${i}`)
    let recordMs = 0
    for (let size = BETWEEN; size <= CHECKPOINTS * BETWEEN; size += BETWEEN) {
      for (const origin of names) {
        await using log = openLog({ store, origin })
        await Promise.all(Array.from({ length: BETWEEN }, (_, i) => log.append(call(i, false))))
        const rootHash = await log.rootHash(size)
        const from = performance.now()
        await meta.record({ origin, size, rootHash })
        recordMs += performance.now() - from
      }
    }
    const recorded = names.length * CHECKPOINTS
    say(`meta-log, SQLite: ${(recordMs / recorded).toFixed(2)} ms to record one of ${recorded} checkpoints`)
    const from = performance.now()
    const { findings } = await examineMetaLog({ store: metaStore, origin: 'meta', storeOf: async () => store })
    if (findings.length > 0) throw new Error(findings[0]?.message)
    const ms = Math.round(performance.now() - from)
    say(
      `meta-log: ${ms} ms to compare ${recorded} checkpoints with the ${recorded * BETWEEN} entries of ${names.length} logs`,
    )
  } finally {
    rmSync(home, { recursive: true })
  }
}
