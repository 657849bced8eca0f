/**
 * Checkpoints (C2SP tlog-checkpoint): `origin \n size \n base64(root) \n`, signed as a note. Whoever keeps one notices
 * later when the log is shorter, or another.
 */
import { decodeBase64, encodeBase64 } from './base64.ts'
import { AuditError } from './errors.ts'
import type { Finding } from './finding.ts'
import { equalBytes, HASH_BYTES } from './hash.ts'
import { verifyConsistency } from './merkle.ts'
import { parseNote, verifySignatures, type Note, type VerifiedSignature } from './note.ts'
import type { NoteSigner } from './signer.ts'
import type { TrustPolicy } from './trust-policy.ts'

export type Checkpoint = {
  readonly origin: string
  /** Leaves in the tree. */
  readonly size: number
  /** RFC 6962 root of the first `size` leaves, 32 bytes. */
  readonly rootHash: Uint8Array
}

export type CheckpointReading = {
  /** Only when nothing was found against it. */
  readonly checkpoint: Checkpoint | undefined
  /** By the log's key, and by witnesses of the policy. */
  readonly signatures: readonly VerifiedSignature[]
  readonly findings: readonly Finding[]
}

export function formatCheckpoint({ origin, size, rootHash }: Checkpoint): string {
  return `${origin}\n${size}\n${encodeBase64(rootHash)}\n`
}

/** The signed note. The signer's name must be the origin: readers look for the log's key under that name. */
export async function signCheckpoint(checkpoint: Checkpoint, signer: NoteSigner): Promise<string> {
  const { name } = signer.verifierKey
  if (name !== checkpoint.origin) throw new TypeError(`a signer named ${name} cannot sign for ${checkpoint.origin}`)
  const text = formatCheckpoint(checkpoint)
  return `${text}\n${await signer.sign(text)}`
}

/** Reads the text of a checkpoint, believing it. @throws AuditError AUDIT_CHECKPOINT_MALFORMED, AUDIT_NOTE_MALFORMED */
export function parseCheckpoint(note: string): Checkpoint {
  return parseText(parseNote(note).text)
}

function parseText(text: string): Checkpoint {
  const [origin, sizeText, root, ...rest] = text.split('\n')
  const size = /^(?:0|[1-9][0-9]{0,15})$/.test(sizeText ?? '') ? Number(sizeText) : -1
  const rootHash = decodeBase64(root ?? '')
  const extensions = rest.slice(0, -1)
  if (
    !origin ||
    !Number.isSafeInteger(size) ||
    size < 0 ||
    rootHash?.length !== HASH_BYTES ||
    extensions.includes('')
  ) {
    throw new AuditError('AUDIT_CHECKPOINT_MALFORMED', 'a checkpoint is an origin, a size and a root hash, a line each')
  }
  return { origin, size, rootHash }
}

/** Who signed this, and is that enough for the policy? Give `origin` when it must be a certain log's. */
export function verifyCheckpoint(note: string, policy: TrustPolicy, origin?: string): CheckpointReading {
  let parsed: Note
  let checkpoint: Checkpoint
  try {
    parsed = parseNote(note)
    checkpoint = parseText(parsed.text)
  } catch (error) {
    if (!(error instanceof AuditError)) throw error
    return { checkpoint: undefined, signatures: [], findings: [{ code: 'NOTE_MALFORMED', message: error.message }] }
  }
  // A log's key is trusted for the log of its own name, not for the others of the policy.
  const keys = [...policy.logs.filter(({ name }) => name === checkpoint.origin), ...policy.witnesses.values()]
  const { verified, findings } = verifySignatures(parsed, keys)
  const add = (code: Finding['code'], message: string): number =>
    findings.push({ code, origin: checkpoint.origin, message })
  if (origin !== undefined && checkpoint.origin !== origin) {
    add('ORIGIN_UNEXPECTED', `it is about ${checkpoint.origin}, not about ${origin}`)
  }
  if (!verified.some(({ key }) => key.role === 'log')) {
    add('SIGNATURE_MISSING', `no trusted key of ${checkpoint.origin} signed the checkpoint of size ${checkpoint.size}`)
  }
  const cosigners = verified.filter(({ key }) => key.role === 'witness').map(({ key }) => key.text)
  if (!policy.isQuorum(new Set(cosigners))) {
    add('QUORUM_MISSING', `${cosigners.length} witnesses cosigned, which is not the quorum of the policy`)
  }
  return { checkpoint: findings.length === 0 ? checkpoint : undefined, signatures: verified, findings }
}

/**
 * Do two checkpoints of one log fit together? `proof` leads from the smaller to the larger; without one only equal sizes
 * can be compared. Both are to be verified before: two signed ones that do not fit convict the log.
 */
export function compareCheckpoints(one: Checkpoint, other: Checkpoint, proof?: readonly Uint8Array[]): Finding[] {
  const [old, now] = one.size <= other.size ? [one, other] : [other, one]
  const { origin } = now
  if (old.origin !== origin) {
    return [{ code: 'ORIGIN_UNEXPECTED', origin, message: `${old.origin} and ${origin} are two logs` }]
  }
  if (old.size === now.size) {
    return equalBytes(old.rootHash, now.rootHash)
      ? []
      : [{ code: 'SPLIT_VIEW', origin, message: `two histories were signed for size ${now.size}` }]
  }
  if (old.size === 0) return []
  if (proof === undefined) {
    const message = `no proof was given that the log of size ${old.size} is the beginning of that of size ${now.size}`
    return [{ code: 'CONSISTENCY_UNPROVEN', origin, message }]
  }
  return verifyConsistency({
    oldSize: old.size,
    oldRootHash: old.rootHash,
    size: now.size,
    rootHash: now.rootHash,
    proof,
  }).map((finding) => ({ ...finding, origin }))
}
