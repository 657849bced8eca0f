/**
 * Checking a bundle line by line, in memory that does not grow with it: a whole log with its checkpoints, or entries each
 * with its own proof.
 *
 * The adversary wrote the bundle. Everything in it is believed as far as a checkpoint that a pinned key signed reaches.
 */
import {
  createChainVerifier,
  parseTlogProof,
  readEntry,
  verifyCheckpoint,
  verifyDisclosure,
  verifyEntryProof,
  type ChainVerifier,
  type Checkpoint,
  type VerifiedSignature,
} from '@mcp-gateway/audit-chain/verify'
import { VerifyError, type Finding } from './finding.ts'
import { createHistory, type History } from './history.ts'
import { readLine, type ConsistencyProof, type EntryLine, type Line, type MetaLine } from './line.ts'
import { readLines } from './lines.ts'
import { isQuorum, verifyMeta, type MetaReading } from './meta.ts'
import { describeCheckpoint, reportOf, type CheckpointReport, type Report } from './report.ts'
import type { State } from './state.ts'
import type { Trust } from './trust.ts'

export type BundleOptions = {
  readonly trust: Trust
  readonly state: State
  /** When it must be a certain log's. */
  readonly origin?: string
  /** Whether the meta-log has to have the last checkpoint, under a pinned key. @default false */
  readonly requireMeta?: boolean
  /** Given beside the bundle. */
  readonly proofs?: readonly ConsistencyProof[]
  readonly onProgress?: (lines: number) => void
}

const MAX_FINDINGS = 1000
const MAX_CHECKPOINTS = 4096
const MAX_META_PROOFS = 1024
const PROGRESS_LINES = 100_000

/** Whatever it finds is in the report. */
export async function verifyBundle(chunks: AsyncIterable<Uint8Array>, options: BundleOptions): Promise<Report> {
  const reader = createBundleReader(options)
  let number = 0
  try {
    for await (const lines of readLines(chunks)) {
      for (const line of lines) {
        number += 1
        reader.read(readLine(line), number)
        if (number % PROGRESS_LINES === 0) options.onProgress?.(number)
      }
    }
    if (number === 0) throw new VerifyError('FILE_EMPTY', 'the file is empty')
    reader.finish()
  } catch (error) {
    if (!(error instanceof VerifyError)) throw error
    // Nothing is said about what comes behind: whether entries are missing cannot be known now.
    const isOfFile = error.code === 'FILE_TRUNCATED' || error.code === 'FILE_EMPTY'
    reader.add({ code: error.code, message: error.message, line: isOfFile || number === 0 ? number + 1 : number })
  }
  return reader.report()
}

type BundleReader = {
  read(line: Line, number: number): void
  finish(): void
  add(finding: Finding): void
  readonly report: () => Report
}

function createBundleReader(options: BundleOptions): BundleReader {
  const { trust, state, origin: expected, proofs = [], requireMeta = false } = options
  // Witnesses cosign the log or the meta-log over it: they are counted at the end, when both were read.
  const policy = { ...trust.policy, isQuorum: () => true }
  const findings: Finding[] = []
  const count = { entries: 0, proofs: 0, fields: 0, checkpoints: 0, dropped: 0 }
  let origin: string | undefined
  let remembered: Checkpoint | undefined
  let history: History = createHistory(undefined)
  let chain: ChainVerifier | undefined
  /** Met before the first entry of a whole log, or beside proofs. */
  const early: { checkpoint: Checkpoint; note: string }[] = []
  let metaLine: { readonly line: MetaLine; readonly number: number } | undefined
  let meta: MetaReading | undefined
  /** Of the meta-log, and given in the bundle. */
  const metaProofs: ConsistencyProof[] = []
  let signed: { checkpoint: Checkpoint; signatures: readonly VerifiedSignature[]; note: string } | undefined

  const add = (finding: Finding): void => {
    if (findings.length < MAX_FINDINGS) findings.push(finding)
    else count.dropped += 1
  }
  const addAll = (found: readonly Finding[], line: number): void => {
    for (const finding of found) add({ ...finding, line })
  }

  const begin = (name: string): void => {
    origin = name
    const isTrusted = trust.policy.logs.some((key) => key.name === name)
    if (!isTrusted || (expected !== undefined && expected !== name)) {
      const message = isTrusted
        ? `it is about ${name}, not about ${expected}`
        : `no pinned key is that of the log ${name}`
      add({ code: 'ORIGIN_UNEXPECTED', origin: name, message, line: 1 })
    }
    remembered = state.last(name)
    history = createHistory(remembered)
    for (const proof of proofs) addProof(proof, name)
  }
  const addProof = (proof: ConsistencyProof, log: string): void => {
    if (proof.log === undefined || proof.log === log) history.addProof(proof)
    else if (metaProofs.length < MAX_META_PROOFS) metaProofs.push(proof)
  }

  const readCheckpoint = (note: string, log: string, line: number): void => {
    count.checkpoints += 1
    if (count.checkpoints > MAX_CHECKPOINTS)
      throw new VerifyError('LINE_MALFORMED', `more than ${MAX_CHECKPOINTS} checkpoints`)
    const { checkpoint, signatures, findings: found } = verifyCheckpoint(note, policy, log)
    const unreadable = found.find(({ code }) => code === 'NOTE_MALFORMED')
    if (unreadable !== undefined) throw new VerifyError('NOTE_MALFORMED', unreadable.message)
    addAll(found, line)
    if (checkpoint === undefined) return
    if (checkpoint.size < count.entries) {
      const message = `a checkpoint of size ${checkpoint.size} stands behind entry ${count.entries - 1}`
      return add({ code: 'LINE_MALFORMED', line, message })
    }
    chain?.expect(checkpoint)
    if (chain === undefined) early.push({ checkpoint, note })
    hold(checkpoint, signatures, note)
  }
  const hold = (checkpoint: Checkpoint, signatures: readonly VerifiedSignature[], note: string): void => {
    const isLarger = signed === undefined || checkpoint.size > signed.checkpoint.size
    // The same one with more witnesses is worth more.
    const isBetter = checkpoint.size === signed?.checkpoint.size && signatures.length > signed.signatures.length
    if (isLarger || isBetter) signed = { checkpoint, signatures, note }
  }

  const startChain = (log: string): ChainVerifier => {
    const checkpoints = early.map(({ checkpoint }) => checkpoint)
    if (remembered !== undefined) checkpoints.push(remembered)
    return createChainVerifier({ origin: log, checkpoints, findings: { add, list: () => [] } })
  }

  const readWholeLog = ({ leaf, fields }: EntryLine, log: string, line: number): void => {
    if (count.proofs > 0) throw new VerifyError('LINE_MALFORMED', 'entries with and without a proof are mixed')
    chain ??= startChain(log)
    const entry = chain.add(leaf)
    count.entries += 1
    if (entry !== undefined) readFields({ leaf, fields }, line)
  }

  const readProven = (text: string, { leaf, fields }: EntryLine, log: string, line: number): void => {
    if (count.entries > 0) throw new VerifyError('LINE_MALFORMED', 'entries with and without a proof are mixed')
    const note = checkpointOf(text)
    const { entry, checkpoint, signatures, findings: found } = verifyEntryProof(text, leaf, policy)
    const where = entry ?? positionOf(leaf)
    addAll(
      found.map((finding) => ({ ...where, ...finding })),
      line,
    )
    count.proofs += 1
    if (entry === undefined || checkpoint === undefined) return
    if (entry.log !== log) {
      add({
        code: 'ENTRY_MISPLACED',
        seq: entry.seq,
        id: entry.id,
        line,
        message: `it belongs to the log ${entry.log}`,
      })
      return
    }
    readFields({ leaf, fields }, line)
    addAll(history.meet(checkpoint, note), line)
    hold(checkpoint, signatures, note)
  }

  const readFields = ({ leaf, fields }: Pick<EntryLine, 'leaf' | 'fields'>, line: number): void => {
    for (const field of fields) {
      const found = verifyDisclosure(leaf, field)
      if (found.length === 0) count.fields += 1
      else
        addAll(
          found.map((finding) => ({ ...positionOf(leaf), ...finding })),
          line,
        )
    }
  }

  const finishWholeLog = (verifier: ChainVerifier, log: string): void => {
    const { size } = verifier.finish()
    if (signed === undefined) {
      add({ code: 'CHECKPOINT_MISSING', origin: log, message: 'no checkpoint by a pinned key covers these entries' })
    } else if (signed.checkpoint.size < size) {
      const { size: last } = signed.checkpoint
      const message = `entries ${last} to ${size - 1} stand behind the last checkpoint, which has size ${last}`
      add({ code: 'ENTRY_UNSIGNED', origin: log, seq: last, message })
    } else if (findings.length === 0) history.confirm(signed.checkpoint, signed.note)
  }

  const finishMeta = (): void => {
    if (metaLine !== undefined && signed !== undefined) {
      meta = verifyMeta(metaLine.line, signed.checkpoint, { trust, state, proofs: metaProofs })
      addAll(meta.findings, metaLine.number)
    }
    if (requireMeta && metaLine === undefined)
      add({ code: 'META_MISSING', message: 'the meta-log is asked for, and the bundle has no proof of it' })
    if (requireMeta && meta?.takenKey !== undefined)
      add({ code: 'KEY_MISSING', message: `the key of the meta-log is not pinned: the bundle says ${meta.takenKey}` })
    if (signed === undefined || isQuorum(trust.policy, signed.signatures) || meta?.isQuorum === true) return
    const message =
      'neither the checkpoint nor one of a pinned meta-log that has it is cosigned by the quorum of the policy'
    add({ code: 'QUORUM_MISSING', origin: signed.checkpoint.origin, message })
  }

  return {
    add,
    read(line, number) {
      if (line.kind === 'head') {
        if (number !== 1) throw new VerifyError('LINE_MALFORMED', 'a second head')
        return begin(line.origin)
      }
      if (origin === undefined) throw new VerifyError('LINE_MALFORMED', 'the first line is no head')
      if (line.kind === 'checkpoint') return readCheckpoint(line.note, origin, number)
      if (line.kind === 'consistency') return addProof(line.proof, origin)
      if (line.kind === 'meta') {
        if (metaLine !== undefined) throw new VerifyError('LINE_MALFORMED', 'a second proof of a meta-log')
        metaLine = { line, number }
        return
      }
      if (line.proof === undefined) return readWholeLog(line, origin, number)
      return readProven(line.proof, line, origin, number)
    },
    finish() {
      if (origin === undefined) return
      // Without any entry it is an empty log, or one that lost them all.
      if (count.proofs === 0) finishWholeLog(chain ?? startChain(origin), origin)
      else for (const { checkpoint, note } of early) for (const finding of history.meet(checkpoint, note)) add(finding)
      finishMeta()
      if (findings.length > 0) return
      const latest = history.latest()
      if (latest?.note !== undefined) state.keep(origin, latest.note)
      meta?.keep?.()
    },
    report() {
      const dropped = `${count.dropped} more findings are not listed`
      const all =
        count.dropped === 0 ? findings : [...findings, { code: 'TOO_MANY_FINDINGS' as const, message: dropped }]
      const checkpoint: CheckpointReport | undefined =
        signed && describeCheckpoint(signed.checkpoint, signed.signatures)
      const { entries, proofs, fields } = count
      const pinned = [...trust.pinned]
      if (expected !== undefined) pinned.push(`origin ${expected}`)
      if (remembered !== undefined) pinned.push(`remembered checkpoint of size ${remembered.size}`)
      if (meta?.remembered !== undefined)
        pinned.push(`remembered checkpoint of the meta-log, of size ${meta.remembered.size}`)
      const taken =
        origin === undefined ? [] : ['entries, fields, proofs and checkpoints; no key of the log is read from it']
      if (origin !== undefined && remembered === undefined)
        taken.push('the history before this run: nothing was remembered')
      if (meta?.takenKey !== undefined)
        taken.push(
          `key of the meta-log ${meta.takenKey}: not pinned, so it shows only that the bundle agrees with itself`,
        )
      return reportOf({ origin, entries, proofs, fields, checkpoint, meta: meta?.report, pinned, taken, findings: all })
    },
  }
}

/** @throws VerifyError PROOF_MALFORMED */
function checkpointOf(text: string): string {
  try {
    return parseTlogProof(text).checkpoint
  } catch (error) {
    throw new VerifyError('PROOF_MALFORMED', error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** What an entry says of itself, to name it in a finding. */
function positionOf(leaf: Uint8Array): { seq?: number; id?: string } {
  try {
    const { seq, id } = readEntry(leaf)
    return { seq, id }
  } catch {
    return {}
  }
}
