// A process that appends as fast as it can and prints the position of each entry that was acknowledged. It is killed.
// writer.ts sqlite <path> <origin> | sqlite-thread <path> <origin> | postgres <url> <origin> [count]
import { writeSync } from 'node:fs'
import { openLog, type AuditStore } from '@mcp-gateway/audit-chain'
import { createPostgresStore } from '@mcp-gateway/audit-chain/stores/postgres'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { openSqliteThread } from '@mcp-gateway/audit-chain/stores/sqlite-thread'
import postgres from 'postgres'

const [kind, where = '', origin = '', count = 'Infinity'] = process.argv.slice(2)

const makeStore = async (): Promise<AuditStore> => {
  if (kind === 'postgres') return await createPostgresStore({ sql: postgres(where, { max: 2 }), lockTimeoutMs: 60_000 })
  const thread = kind === 'sqlite-thread' ? openSqliteThread() : undefined
  return createSqliteStore({ database: openSqlite(where), busyTimeoutMs: 20_000, ...(thread && { thread }) })
}

const log = openLog({ store: await makeStore(), origin, limits: { maxBatchEntries: 256, maxOutstanding: 4096 } })
let left = Number(count)

/** Synchronous: what the other side has read was acknowledged, and nothing is lost in a buffer of ours. */
const print = (line: string): void => {
  for (;;) {
    try {
      return void writeSync(1, line)
    } catch (error) {
      // Node makes the pipe of a process with threads non-blocking.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

const work = async (worker: number): Promise<void> => {
  for (let i = 0; left > 0; i += 1) {
    left -= 1
    const fields = i % 4 === 0 ? { args: `${process.pid} ${worker} ${i}` } : {}
    const { seq, id } = await log.append({ type: 'tool.call', facts: { i, pid: process.pid, worker }, fields })
    print(`${seq} ${id}\n`)
  }
}
await Promise.all(Array.from({ length: 64 }, (_, worker) => work(worker)))
await log[Symbol.asyncDispose]()
process.exit(0)
