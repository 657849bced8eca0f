/** Everything a verifier needs, and nothing that stores, sends or reads: bytes and texts in, lists of findings out. */
export { createChainVerifier, verifyChain, type ChainOptions, type ChainResult, type ChainVerifier } from './chain.ts'
export {
  compareCheckpoints,
  parseCheckpoint,
  verifyCheckpoint,
  type Checkpoint,
  type CheckpointReading,
} from './checkpoint.ts'
export { canonicalize, type JsonObject, type JsonValue } from './canonical-json.ts'
export { verifyDisclosure, type Disclosure } from './commitment.ts'
export { readEntry, type Entry } from './entry.ts'
export { AuditError, type AuditErrorCode } from './errors.ts'
export type { Finding, FindingCode } from './finding.ts'
export { EMPTY_ROOT, genesisHash, leafHash, nodeHash } from './hash.ts'
export { readMetaEntry } from './meta-entry.ts'
export { verifyConsistency, verifyInclusion, type ConsistencyClaim, type InclusionClaim } from './merkle.ts'
export { parseNote, verifySignatures, type Note, type NoteSignature, type VerifiedSignature } from './note.ts'
export { proveConsistency, proveInclusion, rootAt, type ReadTile } from './prove.ts'
export {
  parseTlogProof,
  verifyEntryProof,
  verifyTlogProof,
  type EntryProofReading,
  type ProofReading,
  type TlogProof,
} from './tlog-proof.ts'
export { parsePolicy, trustLogs, type TrustPolicy } from './trust-policy.ts'
export { parseVerifierKey, verifierKeyOf, type KeyRole, type VerifierKey } from './verifier-key.ts'
