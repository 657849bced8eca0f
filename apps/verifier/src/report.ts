/** The result of one run, for a program and for a person. */
import type { VerifiedSignature } from '@mcp-gateway/audit-chain/verify'
import { exitCodes, verdictOf, type Finding, type Verdict } from './finding.ts'

export type CheckpointReport = {
  readonly origin: string
  readonly size: number
  readonly root: string
  readonly signedBy: readonly string[]
  /** Of the earliest cosignature, epoch milliseconds: an upper bound for the time of every entry below. */
  readonly witnessedAt?: number
}

export type Report = {
  readonly verdict: Verdict
  readonly exitCode: number
  readonly origin: string | undefined
  /** Entries that were checked as parts of the whole log. */
  readonly entries: number
  /** Entries that were checked each by its own proof. */
  readonly proofs: number
  /** Values that open the commitments of their entries. */
  readonly fields: number
  /** The largest one whose signatures are good. */
  readonly checkpoint: CheckpointReport | undefined
  /** The meta-log's, which has that one; absent when the file says nothing of a meta-log. */
  readonly meta?: CheckpointReport | undefined
  /** What you gave, and what was remembered. */
  readonly pinned: readonly string[]
  /** What was taken from the bundle as it is, and proves nothing by itself. */
  readonly taken: readonly string[]
  readonly findings: readonly Finding[]
}

export function reportOf(parts: Omit<Report, 'verdict' | 'exitCode'>): Report {
  const verdict = verdictOf(parts.findings)
  return { verdict, exitCode: exitCodes[verdict], ...parts }
}

/** The report of a run that ended before anything was read. */
export function emptyReport(finding: Finding): Report {
  const nothing = { origin: undefined, entries: 0, proofs: 0, fields: 0, checkpoint: undefined, pinned: [], taken: [] }
  return reportOf({ ...nothing, findings: [finding] })
}

export function describeCheckpoint(
  { origin, size, rootHash }: { origin: string; size: number; rootHash: Uint8Array },
  signatures: readonly VerifiedSignature[],
): CheckpointReport {
  const times = signatures.flatMap(({ at }) => (at === undefined ? [] : [at]))
  return {
    origin,
    size,
    root: Buffer.from(rootHash).toString('base64'),
    signedBy: signatures.map(({ key }) => `${key.name} (${key.id})`),
    ...(times.length > 0 && { witnessedAt: Math.min(...times) }),
  }
}

/** Entries are written by strangers, whose escape sequences must not reach the terminal. */
export function formatReport(report: Report): string {
  const { verdict, origin, entries, proofs, fields, checkpoint, meta, pinned, taken, findings } = report
  const lines = [
    `${verdict.toUpperCase()}${origin === undefined ? '' : `  ${origin}`}`,
    `  entries: ${entries} as a whole log, ${proofs} by proof; fields disclosed: ${fields}`,
  ]
  if (checkpoint !== undefined) {
    lines.push(`  checkpoint: size ${checkpoint.size}, root ${checkpoint.root}`)
    lines.push(`  signed by: ${checkpoint.signedBy.join(', ')}`)
    if (checkpoint.witnessedAt !== undefined)
      lines.push(`  witnessed at: ${new Date(checkpoint.witnessedAt).toISOString()}`)
  }
  if (meta !== undefined) {
    lines.push(`  meta-log: ${meta.origin}, size ${meta.size}, signed by: ${meta.signedBy.join(', ')}`)
    if (meta.witnessedAt !== undefined)
      lines.push(`  meta-log witnessed at: ${new Date(meta.witnessedAt).toISOString()}`)
  }
  for (const one of pinned) lines.push(`  pinned: ${one}`)
  for (const one of taken) lines.push(`  taken from the bundle: ${one}`)
  for (const { code, message, seq, id, line } of findings) {
    const where = [seq !== undefined && `entry ${seq}`, id !== undefined && `id ${id}`, line && `line ${line}`]
    lines.push(`  ${code}  ${[where.filter(Boolean).join(', '), message].filter(Boolean).join(': ')}`)
  }
  return lines.join('\n').replaceAll(/[^\P{Cc}\n]/gu, '\u{FFFD}')
}
