/**
 * Examining a meta-log: itself, as any log, and every checkpoint in it against the log it names. This is what finds a log
 * that was replaced by an older copy together with all that was remembered beside it.
 *
 * The adversary administers the databases. Entries are hashed from their bytes; no stored hash and no signature of a log that
 * is named here is believed.
 */
import type { Checkpoint } from './checkpoint.ts'
import { AuditError } from './errors.ts'
import { examineLog, type Examination, type ExamineOptions } from './examine.ts'
import { createFindingList, type Finding, type FindingList } from './finding.ts'
import { equalBytes, leafHash } from './hash.ts'
import { readMetaEntry } from './meta-entry.ts'
import { createRange, type CompactRange } from './range.ts'
import { MAX_READ, type AuditStore } from './store.ts'

export type ExamineMetaOptions = Omit<ExamineOptions, 'origin'> & {
  /** Of the meta-log. */
  readonly origin: string
  /** Where the log of this name is; undefined when it is nowhere, which is a finding. */
  readonly storeOf: (origin: string) => Promise<AuditStore | undefined>
  /** The one log to compare. Others are neither read nor named. @default every log that it names */
  readonly only?: string
  /** Logs that it may name. @default 100_000 */
  readonly maxLogs?: number
}

export type MetaExamination = Examination & {
  /** Logs that were compared, with the largest size that is recorded of each. */
  readonly recorded: ReadonlyMap<string, number>
}

/** A log, read as far as the newest checkpoint of it. */
type Walk = {
  readonly store: AuditStore
  readonly range: CompactRange
  /** What the meta-log recorded last. */
  recorded: number
  /** Said once: what follows a contradiction contradicts too. */
  isBroken: boolean
}

/** @throws AuditError AUDIT_NOT_FOUND when there is no such meta-log, and the AUDIT_STORE_… codes when it cannot be read */
export async function examineMetaLog(options: ExamineMetaOptions): Promise<MetaExamination> {
  const { store, origin, storeOf, only, signal, maxLogs = 100_000, ...rest } = options
  const findings = createFindingList()
  const own = await examineLog({ ...rest, store, origin, ...(signal && { signal }) })
  // Beside another's log nothing is said of the others, whose names and sizes stand in these messages.
  for (const finding of own.findings) findings.add(only === undefined ? finding : withoutNames(finding, origin))
  const walks = new Map<string, Walk | undefined>()

  const walkOf = async (name: string, seq: number): Promise<Walk | undefined> => {
    if (walks.has(name)) return walks.get(name)
    if (walks.size >= maxLogs) throw new AuditError('AUDIT_BACKLOG_FULL', `${origin} names more than ${maxLogs} logs`)
    const found = await storeOf(name)
    const walk = found && { store: found, range: createRange(), recorded: 0, isBroken: false }
    if (walk === undefined) {
      const message = `the log ${name} is not there, and entry ${seq} of the meta-log has a checkpoint of it`
      findings.add({ code: 'LOG_MISSING', origin: name, message })
    }
    walks.set(name, walk)
    return walk
  }

  for (let next = 0; next < own.size; next += MAX_READ) {
    signal?.throwIfAborted()
    for (const { seq, leaf } of await store.entries(origin, next, Math.min(next + MAX_READ, own.size))) {
      const stated = read(leaf, seq, origin, findings)
      if (stated === undefined || (only !== undefined && stated.origin !== only)) continue
      const walk = await walkOf(stated.origin, seq)
      if (walk !== undefined && !walk.isBroken) await compare(walk, stated, seq, findings, signal)
    }
  }
  const recorded = new Map(Array.from(walks, ([name, walk]) => [name, walk?.recorded ?? 0]))
  return { ...own, findings: findings.list(), recorded }
}

async function compare(
  walk: Walk,
  { origin, size, rootHash }: Checkpoint,
  seq: number,
  findings: FindingList,
  signal: AbortSignal | undefined,
): Promise<void> {
  const contradict = (code: Finding['code'], message: string): void => {
    walk.isBroken = true
    findings.add({ code, origin, message: `log ${origin}, size ${size}, entry ${seq} of the meta-log: ${message}` })
  }
  if (size <= walk.recorded)
    return contradict('SIZE_SHRUNK', `size ${walk.recorded} was recorded before, and a log only grows`)
  const from = walk.recorded
  await advance(walk, origin, size, signal)
  const reached = walk.range.size()
  if (reached < size) return contradict('ROLLED_BACK', `entries ${reached} to ${size - 1} are gone`)
  walk.recorded = size
  if (equalBytes(walk.range.root(), rootHash)) return undefined
  return contradict('HISTORY_REWRITTEN', `entries ${from} to ${size - 1} are not those that were recorded`)
}

/** Ends before `to` where the log does, or has a gap. */
async function advance({ store, range }: Walk, origin: string, to: number, signal?: AbortSignal): Promise<void> {
  while (range.size() < to) {
    signal?.throwIfAborted()
    const from = range.size()
    for (const { seq, leaf } of await store.entries(origin, from, Math.min(from + MAX_READ, to))) {
      if (seq !== range.size()) return
      range.append(leafHash(leaf))
    }
    if (range.size() === from) return
  }
}

function read(leaf: Uint8Array, seq: number, origin: string, findings: FindingList): Checkpoint | undefined {
  try {
    return readMetaEntry(leaf)
  } catch (error) {
    if (!(error instanceof AuditError)) throw error
    findings.add({ code: 'ENTRY_MALFORMED', origin, seq, message: `entry ${seq} of the meta-log: ${error.message}` })
    return undefined
  }
}

function withoutNames({ code, seq }: Finding, origin: string): Finding {
  const where = seq === undefined ? '' : ` at entry ${seq}`
  return { code, origin, ...(seq !== undefined && { seq }), message: `the meta-log is not what was written${where}` }
}
