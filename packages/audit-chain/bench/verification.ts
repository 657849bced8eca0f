import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { examineLog, openLog } from '@mcp-gateway/audit-chain'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { createChainVerifier } from '@mcp-gateway/audit-chain/verify'
import { call, makeRows, median, ORIGIN, rateOf } from './workload.ts'

export async function measureVerification(count: number, rounds: number, say: (text: string) => void): Promise<void> {
  for (const fields of [false, true]) {
    const leaves = (await makeRows(count, fields)).map(({ leaf }) => leaf)
    const rates = Array.from({ length: rounds }, () => {
      const from = performance.now()
      const verifier = createChainVerifier({ origin: ORIGIN })
      for (const leaf of leaves) verifier.add(leaf)
      const { findings } = verifier.finish()
      if (findings.length > 0) throw new Error(findings[0]?.message)
      return (count / (performance.now() - from)) * 1000
    })
    const bytes = leaves.reduce((sum, leaf) => sum + leaf.length, 0) / count
    say(`verify, one core, ${Math.round(bytes)} bytes an entry: ${Math.round(median(rates))} entries/s`)
  }
}

const MIB = 1024 * 1024

/** Resident size while a whole log is examined in its file: rows, fields, commitments, nodes, chain and tree. */
export async function measureMemory(count: number, say: (text: string) => void): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'audit-chain-bench-'))
  try {
    using database = openSqlite(join(directory, 'audit.db'))
    const store = createSqliteStore({ database })
    await using log = openLog({ store, origin: ORIGIN })
    await rateOf(count, 512, (i) => log.append(call(i, i % 4 === 0)))
    const samples: number[] = []
    let tenth = 0
    const from = performance.now()
    const { findings, size } = await examineLog({
      store,
      origin: ORIGIN,
      onProgress(done) {
        if (done < ((tenth + 1) * count) / 10) return
        tenth += 1
        samples.push(Math.round(process.memoryUsage.rss() / MIB))
      },
    })
    if (findings.length > 0 || size !== count) throw new Error(`${size} entries, ${findings[0]?.message}`)
    const rate = Math.round((count / (performance.now() - from)) * 1000)
    say(
      `memory, examining ${count} entries in SQLite, every fourth with fields: ${rate} entries/s, MiB at each tenth: ${samples.join(' ')}`,
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
}
