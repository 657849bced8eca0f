/**
 * Examining a whole log in its store: every entry, node, head, look-up column, field, erasure and checkpoint against the
 * others and against checkpoints that were kept elsewhere. In one pass, with memory that does not grow with the log.
 *
 * The adversary administers the database. What the store says about itself is never taken as evidence; signatures are.
 */
import { createChainVerifier, type ChainResult } from './chain.ts'
import { parseCheckpoint, verifyCheckpoint, type Checkpoint } from './checkpoint.ts'
import { AuditError } from './errors.ts'
import { createFieldAudit } from './field-audit.ts'
import { createFindingList, type Finding, type FindingList } from './finding.ts'
import { equalBytes } from './hash.ts'
import { createNodeAudit } from './node-audit.ts'
import { MAX_READ, type AuditStore, type Head, type StoredCheckpoint } from './store.ts'
import type { TrustPolicy } from './trust-policy.ts'

export type ExamineOptions = {
  readonly store: AuditStore
  readonly origin: string
  /** Whose signatures count. Without one, only that the log agrees with itself can be shown. */
  readonly policy?: TrustPolicy
  /** Checkpoints of this log that were kept elsewhere, as signed notes. They are what a rewritten log fails at. */
  readonly remembered?: readonly string[]
  readonly signal?: AbortSignal
  /** Told after each piece of at most MAX_READ entries. */
  readonly onProgress?: (done: number, total: number) => void
}

export type Examination = {
  /** Empty: nothing contradicts anything that was looked at. */
  readonly findings: readonly Finding[]
  /** Entries read. */
  readonly size: number
  readonly rootHash: Uint8Array
  /** The largest size that a trusted signature covers: up to here the operator cannot have changed anything since. */
  readonly signedSize: number
  /** The largest size that a checkpoint from elsewhere covers: up to here nobody with this database can have. */
  readonly rememberedSize: number
}

/** @throws AuditError AUDIT_NOT_FOUND when there is no such log, and the AUDIT_STORE_… codes when it cannot be read */
export async function examineLog(options: ExamineOptions): Promise<Examination> {
  const { store, origin, policy, remembered = [], signal, onProgress } = options
  const findings = createFindingList()
  const head = await store.head(origin)
  if (head === undefined) throw new AuditError('AUDIT_NOT_FOUND', `there is no log ${origin} in this store`)
  const elsewhere = readNotes(remembered, origin, policy, findings, 'kept elsewhere')
  const own = policy === undefined ? [] : await readStored(store, origin, policy, findings, signal)
  const nodes = createNodeAudit(store, origin, findings)
  const fields = createFieldAudit(store, origin, findings)
  const chain = createChainVerifier({ origin, findings, checkpoints: [...elsewhere, ...own], onNode: nodes.expect })

  // What is appended meanwhile is not looked at: the head that was read first says where this examination ends.
  for (let next = 0; next < head.size; next += MAX_READ) {
    signal?.throwIfAborted()
    const end = Math.min(next + MAX_READ, head.size)
    const stored = await fields.read(next, end)
    for (const { seq, id, leaf } of await store.entries(origin, next, end)) {
      const entry = chain.add(leaf, seq)
      if (entry === undefined) continue
      if (entry.id !== id) {
        const message = `entry ${seq} is found under the id ${id}, and its own is ${entry.id}`
        findings.add({ code: 'INDEX_CHANGED', origin, seq, id: entry.id, message })
      }
      fields.check(entry, stored.get(seq))
      stored.delete(seq)
    }
    fields.unexpected(stored.values())
    await nodes.compare()
    onProgress?.(end, head.size)
  }
  const result = chain.finish(head)
  checkHead(head, result, origin, findings)
  await reportBeyond(store, origin, head.size, findings)
  await nodes.finish(head.size)
  await fields.finish(head.size)
  const sizes = (checkpoints: readonly Checkpoint[]): number => Math.max(0, ...checkpoints.map(({ size }) => size))
  return {
    findings: findings.list(),
    size: result.size,
    rootHash: result.rootHash,
    signedSize: sizes([...own, ...elsewhere]),
    rememberedSize: sizes(elsewhere),
  }
}

function checkHead(head: Head, result: ChainResult, origin: string, findings: FindingList): void {
  if (head.size !== result.size) return
  if (!equalBytes(head.nodes, Buffer.concat(result.nodes))) {
    const message = 'the tree nodes in the head of the log are not those of its entries'
    findings.add({ code: 'HEAD_CHANGED', origin, message })
  }
  const lastAt = result.lastTime === '' ? 0 : Date.parse(result.lastTime)
  if (head.lastAt !== lastAt) {
    const message = 'the time in the head of the log is not that of its last entry'
    findings.add({ code: 'HEAD_CHANGED', origin, message })
  }
}

/** Rows that only a forger, or a head that was set back, leaves behind the end. */
async function reportBeyond(store: AuditStore, origin: string, size: number, findings: FindingList): Promise<void> {
  const [beyond] = await store.entries(origin, size, Number.MAX_SAFE_INTEGER)
  // The log may have grown, and then the head has too.
  if (beyond === undefined || ((await store.head(origin))?.size ?? size) > beyond.seq) return
  const message = `entry ${beyond.seq} lies behind the end of the log, whose head counts ${size}`
  findings.add({ code: 'ENTRY_UNKNOWN', origin, seq: beyond.seq, id: beyond.id, message })
}

function readNotes(
  notes: readonly string[],
  origin: string,
  policy: TrustPolicy | undefined,
  findings: FindingList,
  where: string,
): Checkpoint[] {
  return notes.flatMap((note) => {
    if (policy === undefined) {
      // Kept by the reader, so the reader knows where it is from; its signature adds nothing to that.
      const checkpoint = parseCheckpoint(note)
      if (checkpoint.origin === origin) return [checkpoint]
      findings.add({
        code: 'ORIGIN_UNEXPECTED',
        origin,
        message: `a checkpoint ${where} is about ${checkpoint.origin}`,
      })
      return []
    }
    // The quorum is asked for where a checkpoint is accepted, not where the log's own are read back.
    const reading = verifyCheckpoint(note, { ...policy, isQuorum: () => true }, origin)
    for (const finding of reading.findings) {
      findings.add({ ...finding, origin, message: `a checkpoint ${where}: ${finding.message}` })
    }
    return reading.checkpoint === undefined ? [] : [reading.checkpoint]
  })
}

/** Stored checkpoints that are looked at; of a longer list an even choice, the last one always. */
const MAX_CHECKPOINTS = 10_000

async function readStored(
  store: AuditStore,
  origin: string,
  policy: TrustPolicy,
  findings: FindingList,
  signal: AbortSignal | undefined,
): Promise<Checkpoint[]> {
  let chosen: Checkpoint[] = []
  let stride = 1
  let seen = 0
  let last: StoredCheckpoint | undefined
  for (let from = 0; ; from = (last?.size ?? 0) + 1) {
    signal?.throwIfAborted()
    const page = await store.checkpoints(origin, from)
    if (page.length === 0) break
    for (const stored of page) {
      last = stored
      seen += 1
      if (seen % stride !== 0) continue
      chosen.push(...readOne(stored))
      if (chosen.length < MAX_CHECKPOINTS) continue
      chosen = chosen.filter((_, i) => i % 2 === 1)
      stride *= 2
    }
  }
  if (last !== undefined && chosen.at(-1)?.size !== last.size) chosen.push(...readOne(last))
  return chosen

  function readOne({ size, note }: StoredCheckpoint): Checkpoint[] {
    const where = `stored for size ${size}`
    return readNotes([note], origin, policy, findings, where).filter((checkpoint) => {
      if (checkpoint.size === size) return true
      const message = `the checkpoint ${where} was signed for ${checkpoint.size}`
      findings.add({ code: 'INDEX_CHANGED', origin, message })
      return true
    })
  }
}
