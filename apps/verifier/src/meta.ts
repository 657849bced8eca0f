/**
 * The meta-log's part of a bundle: that the checkpoint, under which everything in the bundle stands, is an entry of a log that
 * others watch. Witnesses cosign that one alone, so their quorum is asked for there.
 *
 * The adversary wrote the bundle. Under a pinned key its word is the meta-log's; under the key that came with it, it shows
 * that the bundle agrees with itself, and is reported as that.
 */
import {
  parseTlogProof,
  readEntry,
  readMetaEntry,
  trustLogs,
  verifyCheckpoint,
  verifyEntryProof,
  type Checkpoint,
  type TrustPolicy,
  type VerifiedSignature,
} from '@mcp-gateway/audit-chain/verify'
import type { Finding } from './finding.ts'
import { createHistory, type History } from './history.ts'
import type { ConsistencyProof, MetaLine } from './line.ts'
import { describeCheckpoint, type CheckpointReport } from './report.ts'
import type { State } from './state.ts'
import type { Trust } from './trust.ts'

export type MetaReading = {
  readonly findings: readonly Finding[]
  readonly report?: CheckpointReport
  /** The key that was taken from the bundle, because none is pinned for this meta-log. */
  readonly takenKey?: string
  readonly remembered?: Checkpoint
  /** Whether the policy's quorum of witnesses cosigned it, and its own key is pinned. */
  readonly isQuorum: boolean
  /** To be called when nothing at all was found. */
  readonly keep?: () => void
}

export type MetaOptions = {
  readonly trust: Trust
  readonly state: State
  readonly proofs: readonly ConsistencyProof[]
}

/** `signed`: the checkpoint that the meta-log is to have. */
export function verifyMeta(line: MetaLine, signed: Checkpoint, { trust, state, proofs }: MetaOptions): MetaReading {
  const rejected = (...findings: readonly Finding[]): MetaReading => ({ findings, isQuorum: false })
  let origin: string
  let stated: Checkpoint
  let keyPolicy: TrustPolicy
  let note: string
  try {
    origin = readEntry(line.leaf).log
    stated = readMetaEntry(line.leaf)
    keyPolicy = trustLogs(line.key)
    note = parseTlogProof(line.proof).checkpoint
  } catch (error) {
    return rejected({ code: 'META_MISMATCH', message: `the proof of the meta-log: ${messageOf(error)}` })
  }
  const mismatch = mismatchOf(origin, stated, signed)
  if (mismatch !== undefined) return rejected({ code: 'META_MISMATCH', origin, message: mismatch })

  const pinned = trust.policy.logs.filter((key) => key.name === origin)
  const isPinned = pinned.length > 0
  if (isPinned && !pinned.some((key) => key.text === line.key))
    return rejected({
      code: 'META_MISMATCH',
      origin,
      message: `the key in the bundle is not the pinned one of ${origin}`,
    })
  // Witnesses are counted below, where the log's own checkpoint may have them too.
  const policy = { ...(isPinned ? trust.policy : keyPolicy), isQuorum: () => true }
  const { checkpoint, signatures, findings } = verifyEntryProof(line.proof, line.leaf, policy)
  if (checkpoint === undefined)
    return rejected(...findings.map((finding) => ({ ...finding, message: `the meta-log: ${finding.message}` })))

  const report = describeCheckpoint(checkpoint, signatures)
  if (!isPinned) return { findings: [], report, takenKey: line.key, isQuorum: false }
  const { remembered, history } = historyOf(origin, state, proofs)
  const found = history.meet(checkpoint, note)
  const latest = history.latest()?.note
  return {
    findings: found.map((finding) => ({ ...finding, message: `the meta-log: ${finding.message}` })),
    report,
    ...(remembered && { remembered }),
    isQuorum: verifyCheckpoint(note, trust.policy).checkpoint !== undefined,
    keep: () => {
      if (latest !== undefined) state.keep(origin, latest)
    },
  }
}

/** Whether the witnesses among these signatures are enough. */
export function isQuorum(policy: TrustPolicy, signatures: readonly VerifiedSignature[]): boolean {
  const witnesses = signatures.filter(({ key }) => key.role === 'witness')
  return policy.isQuorum(new Set(witnesses.map(({ key }) => key.text)))
}

function mismatchOf(origin: string, stated: Checkpoint, signed: Checkpoint): string | undefined {
  if (origin === signed.origin) return 'a log is not its own meta-log'
  if (stated.origin !== signed.origin) return `it states a checkpoint of ${stated.origin}, not of ${signed.origin}`
  if (stated.size !== signed.size)
    return `it states size ${stated.size}, and the last checkpoint here has ${signed.size}`
  return Buffer.from(stated.rootHash).equals(signed.rootHash)
    ? undefined
    : `it states another root for size ${stated.size} than the checkpoint here: two histories`
}

function historyOf(
  origin: string,
  state: State,
  proofs: readonly ConsistencyProof[],
): { readonly remembered: Checkpoint | undefined; readonly history: History } {
  const remembered = state.last(origin)
  const history = createHistory(remembered)
  for (const proof of proofs) if (proof.log === origin) history.addProof(proof)
  return { remembered, history }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
