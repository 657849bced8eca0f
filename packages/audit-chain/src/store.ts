/**
 * Where logs are kept. An adapter must keep three promises, and `testing.ts` checks them:
 *
 * 1. `append` is one transaction, alone at the head of its log: `seal` sees the newest head, and everything that it returns
 *    is written or nothing. Two appends never see the same head, also from two processes.
 * 2. When `append` has resolved, what it wrote survives the end of the process and of the power supply.
 * 3. Entries, nodes and checkpoints are only ever added. Fields can be erased, and then they are gone.
 *
 * The adversary is whoever can write to the database. A store does not defend against that person; `examineLog` and signed
 * checkpoints make it visible. So reading returns what is there, however wrong.
 */
import type { Draft } from './draft.ts'

/** The end of a log: all it takes to append. */
export type Head = {
  /** Entries so far. */
  readonly size: number
  /** Leaf hash of the last entry, or the genesis hash. */
  readonly lastHash: Uint8Array
  /** Time of the last entry, epoch milliseconds; 0 before the first. */
  readonly lastAt: number
  /** The nodes of the compact range, 32 bytes each, largest subtree first. */
  readonly nodes: Uint8Array
}

export type SealedEntry = {
  readonly seq: number
  readonly id: string
  /** The exact bytes that are hashed. */
  readonly leaf: Uint8Array
  readonly leafHash: Uint8Array
  readonly at: number
  readonly subject: string | undefined
  /** As `packFields` makes them. */
  readonly fields: Uint8Array | undefined
  readonly attachment: unknown
}

/** That an entry is committed. */
export type Receipt = {
  readonly origin: string
  readonly seq: number
  readonly id: string
  /** Leaf hash, 32 bytes. */
  readonly leafHash: Uint8Array
  /** Epoch milliseconds, as in the entry. */
  readonly at: number
}

/** A node of the tree at a height that is a multiple of 8: level 1 is the root of 256 leaves, level 2 that of 65,536. */
export type TileNode = { readonly level: number; readonly index: number; readonly hash: Uint8Array }

/** Fields to erase of the entries in [from, to): the named ones, or all of them, and then the subject too. */
export type Erasure = { readonly from: number; readonly to: number; readonly names?: readonly string[] }

export type Sealed = {
  readonly entries: readonly SealedEntry[]
  readonly nodes: readonly TileNode[]
  readonly erasures: readonly Erasure[]
  readonly head: Head
}

/** A stored entry as it is found, which may not be what was written. */
export type StoredEntry = { readonly seq: number; readonly id: string; readonly leaf: Uint8Array }

export type StoredFields = { readonly seq: number; readonly subject: string | undefined; readonly fields: Uint8Array }

export type StoredCheckpoint = { readonly size: number; readonly note: string }

export type StoredCursor = { readonly follower: string; readonly seq: number }

/** How many rows one read may return; whoever wants more asks again. */
export const MAX_READ = 1024

export interface AuditStore {
  /**
   * How many appends to one log it can work on: while one is being written, the next is made ready. Entries of the second may
   * come before those of the first when the first has to be tried again. @default 1
   */
  readonly maxInFlight?: number
  /**
   * `seal` is pure and quick, and may be called again when the transaction has to be.
   * @throws AuditError AUDIT_ID_TAKEN when an id is in the log already, AUDIT_STORE_BUSY, AUDIT_STORE_FULL,
   * AUDIT_STORE_UNAVAILABLE, AUDIT_STORE_FAILED: nothing was written. AUDIT_OUTCOME_UNKNOWN: perhaps all of it was.
   */
  append(origin: string, seal: (head: Head) => Sealed): Promise<void>
  /**
   * For a store with a thread of its own, which then hashes and seals what it writes: `append` of drafts, by a clock that is
   * `aheadMs` ahead of this machine's. @returns receipts in their order
   */
  readonly appendDrafts?: (origin: string, drafts: readonly Draft[], aheadMs: number) => Promise<readonly Receipt[]>
  /** `undefined` when there is no such log. */
  head(origin: string): Promise<Head | undefined>
  /** Every log of this store, in the order of their names, at most MAX_READ after the given one. */
  origins(after?: string): Promise<string[]>
  /** Entries of [from, to) in order, at most MAX_READ. */
  entries(origin: string, from: number, to: number): Promise<StoredEntry[]>
  /** Hashes [from, to) of tile level ≥ 1, in order, at most MAX_READ. */
  nodes(origin: string, level: number, from: number, to: number): Promise<TileNode[]>
  find(origin: string, id: string): Promise<number | undefined>
  /** Fields that are not erased, of entries of [from, to), in order, at most MAX_READ. */
  fields(origin: string, from: number, to: number): Promise<StoredFields[]>
  /** Positions of entries with fields of this subject from `from` on, in order, at most MAX_READ. */
  bySubject(origin: string, subject: string, from: number): Promise<number[]>
  /** Makes erased values unreadable in the files too. @throws AuditError AUDIT_ERASE_INCOMPLETE when it could not */
  scrub(): Promise<void>
  addCheckpoint(origin: string, checkpoint: StoredCheckpoint): Promise<void>
  /** In the order of their sizes, from `fromSize` on, at most MAX_READ. */
  checkpoints(origin: string, fromSize: number): Promise<StoredCheckpoint[]>
  lastCheckpoint(origin: string): Promise<StoredCheckpoint | undefined>
  /** Where a follower goes on: the next position it has not handled. 0 when it is new. */
  cursor(origin: string, follower: string): Promise<number>
  /** Of every follower that ever noted one, by name, at most MAX_READ. */
  cursors(origin: string): Promise<StoredCursor[]>
  setCursor(origin: string, follower: string, seq: number): Promise<void>
  /** The right to publish for this log, of which there is one among all processes; `undefined` when another has it. */
  lead(origin: string): Promise<AsyncDisposable | undefined>
}
