/** The verified checkpoints of one log that were met in one run, against the one that was remembered. */
import { compareCheckpoints, type Checkpoint } from '@mcp-gateway/audit-chain/verify'
import type { Finding } from './finding.ts'
import type { ConsistencyProof } from './line.ts'

/** More consistency proofs than this are not kept. */
const MAX_PROOFS = 1024

export type History = {
  addProof(proof: ConsistencyProof): void
  /** A checkpoint whose signatures were verified. What speaks against it comes back. */
  meet(checkpoint: Checkpoint, note: string): readonly Finding[]
  /** One that the log itself, entry by entry, was compared with. */
  confirm(checkpoint: Checkpoint, note: string): void
  /** The largest one, to be remembered. */
  readonly latest: () => { readonly checkpoint: Checkpoint; readonly note: string | undefined } | undefined
}

export function createHistory(remembered: Checkpoint | undefined): History {
  const proofs = new Map<string, ConsistencyProof>()
  let latest: { checkpoint: Checkpoint; note: string | undefined } | undefined = remembered && {
    checkpoint: remembered,
    note: undefined,
  }

  const confirm = (checkpoint: Checkpoint, note: string): void => {
    if (latest === undefined || checkpoint.size > latest.checkpoint.size) latest = { checkpoint, note }
  }
  return {
    confirm,
    latest: () => latest,
    addProof(proof) {
      if (proofs.size < MAX_PROOFS) proofs.set(`${proof.from} ${proof.to}`, proof)
    },
    meet(checkpoint, note) {
      const sizes = [checkpoint.size, latest?.checkpoint.size ?? 0].sort((a, b) => a - b)
      const proof = proofs.get(sizes.join(' '))?.hashes
      const findings = latest === undefined ? [] : compareCheckpoints(latest.checkpoint, checkpoint, proof)
      if (findings.length === 0) confirm(checkpoint, note)
      return findings
    },
  }
}
