// pnpm --filter @mcp-gateway/audit-chain bench [--entries 120000] [--verify 200000] [--memory 1000000] [--only sqlite,…]
// What a provable log costs against the bare thing: batched INSERTs of the same bytes into the same tables with the same
// durability, measured in turns with it; how fast a chain is verified, whether memory grows meanwhile; and how fast
// a follower delivers to files and to receivers that do nothing but read; and what a meta-log costs.
import { parseArgs } from 'node:util'
import { measureExports } from './exports.ts'
import { measureMeta } from './meta.ts'
import { measurePostgres } from './postgres.ts'
import { measureSqlite } from './sqlite.ts'
import { measureMemory, measureVerification } from './verification.ts'

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '120000' },
    verify: { type: 'string', default: '200000' },
    memory: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: 'sqlite,postgres,verify,memory,exports,meta' },
  },
})
const [entries, verify, memory, rounds] = [values.entries, values.verify, values.memory, values.rounds].map(Number)
const only = values.only.split(',')
const say = (text: string): void => console.log(text)

if (only.includes('sqlite')) await measureSqlite(entries ?? 0, rounds ?? 0, say)
if (only.includes('postgres')) await measurePostgres(Math.min(entries ?? 0, 30_000), rounds ?? 0, say)
if (only.includes('verify')) await measureVerification(verify ?? 0, rounds ?? 0, say)
if (only.includes('memory')) await measureMemory(memory ?? 0, say)
if (only.includes('exports')) await measureExports(Math.min(entries ?? 0, 20_000), say)
if (only.includes('meta')) await measureMeta(Math.min(entries ?? 0, 100_000), say)
