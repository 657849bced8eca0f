/**
 * Going through a log entry by entry, in constant memory: is every entry what its successor, the tree and the signed
 * checkpoints say? Pure: bytes in, findings out.
 *
 * The adversary has the whole database and this code, and can re-hash everything. Against that, only checkpoints that were
 * kept elsewhere help; without one, all that is shown is that the log agrees with itself.
 */
import type { Checkpoint } from './checkpoint.ts'
import { readEntry, type Entry } from './entry.ts'
import { AuditError } from './errors.ts'
import { createFindingList, type Finding, type FindingCode, type FindingList } from './finding.ts'
import { equalBytes, genesisHash, leafHash } from './hash.ts'
import { createRange, type CompactRange } from './range.ts'

export type ChainOptions = {
  readonly origin: string
  /** Verified checkpoints of this log; each is compared when the log has its size. */
  readonly checkpoints?: readonly Checkpoint[]
  /** Every perfect subtree of 2^level leaves that is complete, for comparing stored ones. */
  readonly onNode?: (level: number, index: number, hash: Uint8Array) => void
  readonly findings?: FindingList
}

export type ChainResult = {
  readonly findings: readonly Finding[]
  /** Entries seen. */
  readonly size: number
  /** Of the entries seen; meaningless when some were missing, which is a finding then. */
  readonly rootHash: Uint8Array
  readonly lastHash: Uint8Array
  readonly nodes: readonly Uint8Array[]
  /** `ts` of the last readable entry, or an empty text. */
  readonly lastTime: string
}

export type ChainVerifier = {
  /** The next entry, at its position in the store. Returns what could be read of it. */
  add(leaf: Uint8Array, seq?: number): Entry | undefined
  /** One more checkpoint to compare with, of the size that was reached or a larger one. */
  expect(checkpoint: Checkpoint): void
  /** `head`: what the store says that the end is. */
  finish(head?: { readonly size: number; readonly lastHash: Uint8Array }): ChainResult
}

export function createChainVerifier(options: ChainOptions): ChainVerifier {
  const { origin, onNode, findings = createFindingList() } = options
  const range = createRange()
  const checkpoints = createCheckpointWatch(options.checkpoints ?? [], origin, findings)
  let lastHash: Uint8Array = genesisHash(origin)
  let lastHex = Buffer.from(lastHash).toString('hex')
  let lastTime = ''
  let next = 0
  let hasGaps = false
  /** Position of an entry whose `prev` is not its predecessor's hash; who of the two was changed, the next one tells. */
  let brokenAt: number | undefined

  const found = (code: FindingCode, seq: number, message: string, entry?: Entry): void =>
    findings.add({ code, origin, seq, ...(entry && { id: entry.id }), message })

  const checkLink = (entry: Entry | undefined, seq: number): void => {
    const isLinked = entry === undefined || entry.prev === lastHex
    if (brokenAt !== undefined) {
      // Two broken links in a row have the entry between them in common; one alone has its predecessor changed.
      const changed = entry !== undefined && isLinked ? brokenAt - 1 : brokenAt
      reportBreak(brokenAt, changed)
      brokenAt = undefined
    } else if (!isLinked) {
      brokenAt = seq
    }
  }

  const reportBreak = (at: number, changed: number): void => {
    if (at === 0 || changed < 0)
      found('ENTRY_CHANGED', 0, 'entry 0 does not begin this log: its `prev` is not the genesis hash')
    else
      found(
        'ENTRY_CHANGED',
        changed,
        `entry ${changed} was changed: entry ${at} records another hash for entry ${at - 1}`,
      )
  }

  const read = (leaf: Uint8Array, seq: number): Entry | undefined => {
    try {
      return readEntry(leaf)
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
      found('ENTRY_MALFORMED', seq, `entry ${seq}: ${error.message}`)
      return undefined
    }
  }

  const checkContent = (entry: Entry, seq: number): void => {
    if (entry.seq !== seq) found('ENTRY_MISPLACED', seq, `at position ${seq} stands entry ${entry.seq}`, entry)
    if (entry.log !== origin) found('ENTRY_MISPLACED', seq, `entry ${seq} belongs to the log ${entry.log}`, entry)
    if (entry.ts < lastTime)
      found('CLOCK_VIOLATED', seq, `entry ${seq} is of ${entry.ts}, the one before of ${lastTime}`, entry)
    else if (entry.clk === 'held' && entry.ts !== lastTime) {
      found('CLOCK_VIOLATED', seq, `entry ${seq} says that its time was held, and it is a new one`, entry)
    }
    lastTime = entry.ts
  }

  return {
    add(leaf, seq = next) {
      if (seq > next) {
        const which = seq === next + 1 ? `entry ${next} is` : `entries ${next} to ${seq - 1} are`
        found('ENTRY_MISSING', next, `${which} missing`)
        hasGaps = true
        brokenAt = undefined
      }
      const entry = read(leaf, seq)
      if (entry !== undefined) checkContent(entry, seq)
      // After a gap the predecessor is unknown, so there is nothing to compare with.
      if (seq === next) checkLink(entry, seq)
      const hash = leafHash(leaf)
      lastHash = hash
      lastHex = hash.toString('hex')
      next = seq + 1
      range.append(hash, hasGaps ? undefined : onNode)
      if (!hasGaps) checkpoints.pass(range)
      return entry
    },
    expect(checkpoint) {
      checkpoints.expect(checkpoint, range)
    },
    finish(head) {
      if (brokenAt !== undefined)
        reportBreak(brokenAt, brokenAt - (head && equalBytes(head.lastHash, lastHash) ? 1 : 0))
      if (head !== undefined && head.size > next) {
        found(
          'ENTRY_MISSING',
          next,
          `entries ${next} to ${head.size - 1} are missing: the head of the log counts ${head.size}`,
        )
      } else if (head !== undefined && head.size < next) {
        found('ENTRY_UNKNOWN', head.size, `entries from ${head.size} on lie behind the end of the log`)
      } else if (head !== undefined && !equalBytes(head.lastHash, lastHash) && brokenAt === undefined) {
        found(
          'ENTRY_CHANGED',
          next - 1,
          `entry ${next - 1} was changed: the head of the log records another hash for it`,
        )
      }
      if (!hasGaps) checkpoints.finish(next)
      return { findings: findings.list(), size: next, rootHash: range.root(), lastHash, nodes: range.nodes(), lastTime }
    },
  }
}

type CheckpointWatch = {
  expect(checkpoint: Checkpoint, range: CompactRange): void
  pass(range: CompactRange): void
  finish(size: number): void
}

/** Compares roots as the log reaches the size of each checkpoint. */
function createCheckpointWatch(given: readonly Checkpoint[], origin: string, findings: FindingList): CheckpointWatch {
  const bySize = (a: Checkpoint, b: Checkpoint): number => b.size - a.size
  /** The nearest last. */
  const waiting = given.filter(({ size }) => size > 0).sort(bySize)
  let confirmed = 0

  const pass = (range: CompactRange): void => {
    const size = range.size()
    for (let next = waiting.at(-1); next?.size === size; next = waiting.at(-1)) {
      waiting.pop()
      if (equalBytes(next.rootHash, range.root())) {
        confirmed = size
        continue
      }
      const message = `entries ${confirmed} to ${size - 1} are not those that the checkpoint of size ${size} was signed for`
      findings.add({ code: 'HISTORY_REWRITTEN', origin, seq: confirmed, message })
    }
  }
  return {
    pass,
    expect(checkpoint, range) {
      if (checkpoint.size < range.size()) throw new RangeError(`size ${checkpoint.size} was passed`)
      // Asked for again after a failure, and waiting still.
      if (waiting.some(({ size, rootHash }) => size === checkpoint.size && equalBytes(rootHash, checkpoint.rootHash)))
        return
      waiting.push(checkpoint)
      waiting.sort(bySize)
      pass(range)
    },
    finish(size) {
      const [last] = waiting
      if (last === undefined || last.size === size) return
      const message = `entries ${size} to ${last.size - 1} are gone: a checkpoint of size ${last.size} was signed`
      findings.add({ code: 'ROLLED_BACK', origin, seq: size, message })
    },
  }
}

/** All of it at once, for logs that are at hand as a list. */
export function verifyChain(leaves: Iterable<Uint8Array>, options: ChainOptions): ChainResult {
  const verifier = createChainVerifier(options)
  for (const leaf of leaves) verifier.add(leaf)
  return verifier.finish()
}
