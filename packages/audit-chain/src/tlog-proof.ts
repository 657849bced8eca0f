/**
 * A proof in one file (C2SP tlog-proof): where an entry is, the hashes that lead to a root, and the checkpoint with that
 * root. With the entry's bytes and a trust policy it is checked offline.
 */
import { decodeBase64, encodeBase64 } from './base64.ts'
import { verifyCheckpoint, type Checkpoint } from './checkpoint.ts'
import { readEntry, type Entry } from './entry.ts'
import { AuditError } from './errors.ts'
import type { Finding } from './finding.ts'
import { HASH_BYTES, leafHash } from './hash.ts'
import { verifyInclusion } from './merkle.ts'
import { MAX_NOTE_BYTES, type VerifiedSignature } from './note.ts'
import type { TrustPolicy } from './trust-policy.ts'

const HEADER = 'c2sp.org/tlog-proof@v1'
/** More hashes than any tree of 2^63 leaves needs. */
const MAX_HASHES = 63
/** Characters of the base64 of `extra`. */
const MAX_EXTRA_LENGTH = 65_536

export type TlogProof = {
  readonly index: number
  readonly proof: readonly Uint8Array[]
  /** The signed note, cosignatures included. */
  readonly checkpoint: string
  /** Authenticated by nothing. */
  readonly extra?: Uint8Array
}

export function formatTlogProof({ index, proof, checkpoint, extra }: TlogProof): string {
  const extraLine = extra === undefined ? '' : `extra ${encodeBase64(extra)}\n`
  const hashes = proof.map((hash) => `${encodeBase64(hash)}\n`).join('')
  return `${HEADER}\n${extraLine}index ${index}\n${hashes}\n${checkpoint}`
}

/** @throws AuditError AUDIT_PROOF_MALFORMED */
export function parseTlogProof(text: string): TlogProof {
  if (text.length > MAX_EXTRA_LENGTH + MAX_NOTE_BYTES + MAX_HASHES * 64) throw malformed('it is too long')
  const separator = text.indexOf('\n\n')
  const [header, ...lines] = text.slice(0, separator).split('\n')
  if (separator === -1 || header !== HEADER) throw malformed(`it does not begin with "${HEADER}"`)
  const extraText = lines[0]?.startsWith('extra ') ? lines.shift()?.slice('extra '.length) : undefined
  const extra = extraText === undefined ? undefined : decodeBase64(extraText)
  if (extraText !== undefined && extra === undefined) throw malformed('the extra data is not base64')
  const [indexLine, ...hashes] = lines
  const [, digits] = /^index (0|[1-9][0-9]{0,15})$/.exec(indexLine ?? '') ?? []
  if (digits === undefined) throw malformed('there is no index')
  if (hashes.length > MAX_HASHES) throw malformed(`more than ${MAX_HASHES} hashes`)
  const proof = hashes.map((line) => {
    const hash = decodeBase64(line)
    if (hash?.length !== HASH_BYTES) throw malformed('a line is not the base64 of 32 bytes')
    return hash
  })
  return { index: Number(digits), proof, checkpoint: text.slice(separator + 2), ...(extra && { extra }) }
}

export type ProofReading = {
  /** Only when nothing was found against the proof. */
  readonly checkpoint: Checkpoint | undefined
  readonly signatures: readonly VerifiedSignature[]
  readonly findings: readonly Finding[]
}

/** Is `leaf` (the entry's exact bytes) in the log that the policy trusts, under a checkpoint that satisfies it? */
export function verifyTlogProof(text: string, leaf: Uint8Array, policy: TrustPolicy, origin?: string): ProofReading {
  let parsed
  try {
    parsed = parseTlogProof(text)
  } catch (error) {
    if (!(error instanceof AuditError)) throw error
    return { checkpoint: undefined, signatures: [], findings: [{ code: 'INCLUSION_UNPROVEN', message: error.message }] }
  }
  const { index, proof } = parsed
  const { checkpoint, signatures, findings } = verifyCheckpoint(parsed.checkpoint, policy, origin)
  if (checkpoint === undefined) return { checkpoint, signatures, findings }
  const { size, rootHash } = checkpoint
  const unproven = verifyInclusion({ index, size, rootHash, proof, leafHash: leafHash(leaf) })
  return { checkpoint: unproven.length === 0 ? checkpoint : undefined, signatures, findings: unproven }
}

export type EntryProofReading = ProofReading & {
  /** Only when nothing was found. */
  readonly entry: Entry | undefined
}

/** The same for an entry of ours, which also has to say of itself that it stands in that log at that position. */
export function verifyEntryProof(text: string, leaf: Uint8Array, policy: TrustPolicy): EntryProofReading {
  let entry: Entry
  try {
    entry = readEntry(leaf)
  } catch (error) {
    if (!(error instanceof AuditError)) throw error
    const findings: Finding[] = [{ code: 'ENTRY_MALFORMED', message: error.message }]
    return { entry: undefined, checkpoint: undefined, signatures: [], findings }
  }
  const reading = verifyTlogProof(text, leaf, policy, entry.log)
  if (reading.checkpoint === undefined) return { ...reading, entry: undefined }
  const { index } = parseTlogProof(text)
  if (entry.seq === index) return { ...reading, entry }
  const message = `at position ${index} of the tree stands entry ${entry.seq}`
  const findings: Finding[] = [{ code: 'ENTRY_MISPLACED', origin: entry.log, seq: index, id: entry.id, message }]
  return { ...reading, entry: undefined, checkpoint: undefined, findings }
}

function malformed(message: string): AuditError {
  return new AuditError('AUDIT_PROOF_MALFORMED', `not a tlog-proof: ${message}`)
}
