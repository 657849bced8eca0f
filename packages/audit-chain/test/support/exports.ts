// A log with entries as a hostile caller would make them, and a follower that is killed now and then.
import { createFollower, openLog, type AuditStore, type FollowedEntry, type Sink } from '@mcp-gateway/audit-chain'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'

export const ORIGIN = 'gw.example.com/audit/eu/8f3c'
export const PRODUCT = { vendor: 'MCP Gateway', name: 'mcp-gateway', version: '1.2.3' } as const

export async function append(store: AuditStore, count: number, from = 0): Promise<void> {
  await using log = openLog({ store, origin: ORIGIN })
  const numbers = Array.from({ length: count }, (_, i) => from + i)
  await Promise.all(
    numbers.map((i) =>
      log.append({
        type: 'tool.call',
        facts: { i, name: `search|=\n"${i}"`, status: i % 2 === 0 ? 'served' : 'failed' },
        subject: `agent-${i % 3}`,
        fields: { arguments: `{"q":"=1+${i}\\n"}` },
      }),
    ),
  )
}

export async function logOf(count: number): Promise<AuditStore> {
  const store = createMemoryStore()
  await append(store, count)
  return store
}

export async function entriesOf(store: AuditStore): Promise<FollowedEntry[]> {
  const all: FollowedEntry[] = []
  const handle = async (entries: readonly FollowedEntry[]): Promise<void> => void all.push(...entries)
  await createFollower({ store, origin: ORIGIN, name: `peek-${Math.random()}`, handle }).catchUp(never)
  return all
}

export const never: AbortSignal = new AbortController().signal

/** Follows until everything is delivered, or the time is over. What goes wrong is tried again. */
export async function follow(store: AuditStore, sink: Sink, { maxBatch = 10, seconds = 20 } = {}): Promise<string[]> {
  const errors: string[] = []
  const stop = new AbortController()
  const follower = createFollower({ store, origin: ORIGIN, name: 'export', maxBatch, handle: sink.write })
  const running = follower.run({
    pollMs: 5,
    maxWaitMs: 50,
    signal: stop.signal,
    onError: (error) => errors.push(error instanceof Error ? error.message : String(error)),
  })
  const until = Date.now() + seconds * 1000
  while ((await lagOf(store)) > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 5))
  stop.abort()
  await running
  return errors
}

async function lagOf(store: AuditStore): Promise<number> {
  return ((await store.head(ORIGIN))?.size ?? 0) - (await store.cursor(ORIGIN, 'export'))
}

/** As far as `batches` batches; then the process is gone after it has delivered one more and before it has noted it. */
export async function followAndDie(store: AuditStore, sink: Sink, batches: number, maxBatch = 10): Promise<void> {
  let noted = 0
  const dying: AuditStore = {
    ...store,
    async setCursor(...args) {
      if (noted === batches) throw new Error('killed')
      noted += 1
      await store.setCursor(...args)
    },
  }
  const follower = createFollower({ store: dying, origin: ORIGIN, name: 'export', maxBatch, handle: sink.write })
  await follower.catchUp(never).catch(() => undefined)
}

/** Which positions arrived, and whether each id came with one position only: then a repetition can be told. */
export function arrived(records: readonly { readonly seq: number; readonly id: string }[]): {
  readonly seqs: number[]
  readonly repeated: number
  readonly isMarked: boolean
} {
  const bySeq = new Map(records.map(({ seq, id }) => [seq, id]))
  return {
    seqs: [...bySeq.keys()].sort((a, b) => a - b),
    repeated: records.length - bySeq.size,
    isMarked: records.every(({ seq, id }) => bySeq.get(seq) === id),
  }
}

export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
