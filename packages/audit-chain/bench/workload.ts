// One call as the reference describes it: public facts, and consumer, arguments, response and address as erasable fields.
import { openLog, type EntryInput, type SealedEntry } from '@mcp-gateway/audit-chain'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'

const FACTS = {
  errorCode: null,
  gw: '3f9a0c2d',
  latencyMs: 12,
  proof: 'f0'.repeat(32),
  region: 'eu',
  reqBytes: 412,
  resBytes: 2031,
  server: { digest: `sha512:${'ab'.repeat(64)}`, name: 'io.github.foo/srv', version: '1.2.3' },
  status: 'ok',
  tool: 'search',
}

export const ORIGIN = 'gw.example.com/audit/eu/8f3c'

/** `fields`: with four erasable fields of some 300 bytes together, or with none. */
export function call(i: number, fields: boolean): EntryInput {
  const input = { type: 'tool.call', facts: { ...FACTS, latencyMs: i % 1000 } }
  if (!fields) return input
  const [args, response] = [`{"query":"${'q'.repeat(90)}${i}"}`, `{"content":"${'r'.repeat(150)}${i}"}`]
  return { ...input, subject: `consumer-${i % 50}`, fields: { args, clientIp: '192.0.2.17', response } }
}

/** The rows that a log of `count` calls has, made beforehand: what a bare INSERT writes. */
export async function makeRows(count: number, fields: boolean): Promise<SealedEntry[]> {
  const rows: SealedEntry[] = []
  const store = createMemoryStore({ alongside: (_origin, { entries }) => rows.push(...entries) })
  await using log = openLog({ store, origin: ORIGIN, limits: { maxOutstanding: count, maxOutstandingBytes: 2 ** 40 } })
  await Promise.all(Array.from({ length: count }, (_, i) => log.append(call(i, fields))))
  return rows
}

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

/** Runs `work` on `count` items, `inFlight` at a time; items per second. */
export async function rateOf(count: number, inFlight: number, work: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0
  const from = performance.now()
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1
      await work(next - 1)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return (count / (performance.now() - from)) * 1000
}
