/** Two checkpoints of one log against each other, and both against the remembered one. */
import { verifyCheckpoint } from '@mcp-gateway/audit-chain/verify'
import type { Finding } from './finding.ts'
import { createHistory } from './history.ts'
import type { ConsistencyProof } from './line.ts'
import { describeCheckpoint, reportOf, type Report } from './report.ts'
import type { State } from './state.ts'
import type { Trust } from './trust.ts'

export type CheckpointsOptions = {
  readonly trust: Trust
  readonly state: State
  readonly origin?: string
  readonly proofs: readonly ConsistencyProof[]
}

export function verifyCheckpoints(notes: readonly string[], options: CheckpointsOptions): Report {
  const { trust, state, proofs, origin } = options
  const readings = notes.map((note) => ({ note, ...verifyCheckpoint(note, trust.policy, origin) }))
  const findings: Finding[] = readings.flatMap((reading, i) =>
    reading.findings.map((finding) => ({ ...finding, message: `checkpoint ${i + 1}: ${finding.message}` })),
  )
  const known = readings
    .flatMap(({ checkpoint, note, signatures }) => (checkpoint === undefined ? [] : [{ checkpoint, note, signatures }]))
    .sort((a, b) => a.checkpoint.size - b.checkpoint.size)
  const last = known.at(-1)
  const remembered = last && state.last(last.checkpoint.origin)
  const history = createHistory(remembered)
  const own = proofs.filter(({ log }) => log === undefined || log === last?.checkpoint.origin)
  for (const proof of own) history.addProof(proof)
  // Each against the other first: what was remembered must not hide that these two exclude each other.
  const between = createHistory(undefined)
  for (const proof of own) between.addProof(proof)
  for (const { checkpoint, note } of known) {
    findings.push(...between.meet(checkpoint, note))
    findings.push(...history.meet(checkpoint, note))
  }
  const latest = history.latest()
  if (findings.length === 0 && last !== undefined && latest?.note !== undefined)
    state.keep(last.checkpoint.origin, latest.note)
  const pinned = [...trust.pinned]
  if (origin !== undefined) pinned.push(`origin ${origin}`)
  if (remembered !== undefined) pinned.push(`remembered checkpoint of size ${remembered.size}`)
  return reportOf({
    origin: last?.checkpoint.origin,
    entries: 0,
    proofs: 0,
    fields: 0,
    checkpoint: last && describeCheckpoint(last.checkpoint, last.signatures),
    pinned,
    taken: ['the checkpoints and consistency proofs; no key is read from them'],
    findings,
  })
}
