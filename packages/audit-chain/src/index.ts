export type { Anchor, CheckpointPlace, SignedCheckpoint, Witness } from './anchor.ts'
export type { JsonObject, JsonValue } from './canonical-json.ts'
export { formatCheckpoint, signCheckpoint, type Checkpoint } from './checkpoint.ts'
export type { Disclosure } from './commitment.ts'
export type { EntryInput } from './draft.ts'
export type { Entry } from './entry.ts'
export type { EraseRequest, EraseResult } from './erase.ts'
export { AuditError, type AuditErrorCode } from './errors.ts'
export { examineLog, type Examination, type ExamineOptions } from './examine.ts'
export { examineMetaLog, type ExamineMetaOptions, type MetaExamination } from './examine-meta.ts'
export type { Finding, FindingCode } from './finding.ts'
export { createFollower, type FollowedEntry, type Follower, type FollowerOptions } from './follower.ts'
export { DEFAULT_LIMITS, type AuditLimits } from './limits.ts'
export { openLog, type AuditLog, type LoggedEntry, type LogOptions } from './log.ts'
export { openLogSet, type LogSet, type LogSetOptions } from './log-set.ts'
export { readMetaEntry } from './meta-entry.ts'
export { createMetaLog, type MetaLog, type MetaLogOptions, type RecordedCheckpoint } from './meta-log.ts'
export {
  createPublisher,
  type AnchorOutcome,
  type Published,
  type Publisher,
  type PublisherOptions,
} from './publisher.ts'
export { createRetention, type Retention, type RetentionOptions } from './retention.ts'
export type { EventFormatOptions, Product, SecurityEvent, Severity } from './formats/event.ts'
export type { RecordFormat, Sink } from './sink.ts'
export { createCosigner, createSigner, type NoteSigner, type SignerOptions } from './signer.ts'
export {
  MAX_READ,
  type AuditStore,
  type Receipt,
  type Erasure,
  type Head,
  type Sealed,
  type SealedEntry,
  type StoredCheckpoint,
  type StoredCursor,
  type StoredEntry,
  type StoredFields,
  type TileNode,
} from './store.ts'
export { newestOrigin, openSuccessor, predecessorOrigins, successorOrigin } from './successor.ts'
export { formatTlogProof, type TlogProof } from './tlog-proof.ts'
export {
  createTileServer,
  formatTilePath,
  parseTilePath,
  type TilePath,
  type TileReply,
  type TileServer,
} from './tlog-tiles.ts'
