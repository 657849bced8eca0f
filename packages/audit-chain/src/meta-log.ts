/**
 * A meta-log: one entry for each checkpoint that a log of its region signed, with the size and root of that log. It is what
 * witnesses are shown, at a rate that does not depend on the number of logs, and what remembers a log when its database and
 * every checkpoint beside it were replaced by an older copy.
 *
 * The adversary restores one log and not this one. Whoever replaces this one too is found by its witnesses, and by those who
 * kept a checkpoint of it.
 */
import { encodeBase64 } from './base64.ts'
import { quote } from './canonical-json.ts'
import type { Checkpoint } from './checkpoint.ts'
import { createDraft } from './draft.ts'
import { AuditError } from './errors.ts'
import { equalBytes } from './hash.ts'
import { openLog, type AuditLog } from './log.ts'
import { META_TYPE, metaEntryId, readMetaEntry } from './meta-entry.ts'
import { seal } from './seal.ts'
import type { AuditStore } from './store.ts'
import { writeDrafts } from './write-draft.ts'

export type MetaLogOptions = {
  readonly store: AuditStore
  /** As of any log: no name of a person or tenant. */
  readonly origin: string
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
  /** Logs that it may name; a new one more is refused. @default 100_000 */
  readonly maxLogs?: number
}

export type RecordedCheckpoint = {
  /** Position in the meta-log. */
  readonly seq: number
  readonly checkpoint: Checkpoint
}

export type MetaLog = AsyncDisposable & {
  readonly origin: string
  /** For reading and proving. What is written goes through `record`. */
  readonly log: Omit<AuditLog, 'append' | 'erase'>
  /** The newest one of this log. @throws AuditError AUDIT_ENTRY_INVALID when an entry states none, and AUDIT_STORE_… */
  last(origin: string): Promise<RecordedCheckpoint | undefined>
  /** Where the checkpoint of this size is recorded. */
  find(origin: string, size: number): Promise<number | undefined>
  /**
   * Appends it, unless it is there; durable when it resolves. Sizes of a log only grow, also when several processes record.
   * @throws AuditError AUDIT_FORKED: another root is recorded for this size. AUDIT_STORE_BUSY: a larger size is recorded, so
   * another process has signed meanwhile. AUDIT_ROLLED_BACK: this meta-log is shorter than it was. AUDIT_BACKLOG_FULL: it
   * names `maxLogs` logs. AUDIT_ENTRY_INVALID, and the AUDIT_STORE_… codes.
   */
  record(checkpoint: Checkpoint): Promise<RecordedCheckpoint>
}

/** How often to begin again because another process appended just then. */
const MAX_TRIES = 32

export function createMetaLog({ store, origin, clock = Date.now, maxLogs = 100_000 }: MetaLogOptions): MetaLog {
  const log = openLog({ store, origin, clock })
  /** By the origin of the log; the newest. Read from the entries and nowhere else, so there is nothing to disagree. */
  const newest = new Map<string, RecordedCheckpoint>()
  let readTo = 0
  let turn: Promise<unknown> = Promise.resolve()

  const catchUp = async (): Promise<void> => {
    const { size } = await log.head()
    if (size < readTo)
      throw new AuditError('AUDIT_ROLLED_BACK', `the meta-log ${origin} has ${size} entries, and had ${readTo}`)
    for await (const { seq, leaf } of log.entries({ from: readTo, to: size })) {
      const checkpoint = readMetaEntry(leaf)
      if (!newest.has(checkpoint.origin) && newest.size >= maxLogs)
        throw new AuditError('AUDIT_BACKLOG_FULL', `the meta-log ${origin} names ${maxLogs} logs already`)
      newest.set(checkpoint.origin, { seq, checkpoint })
      readTo = seq + 1
    }
  }

  const append = async ({ origin: of, size, rootHash }: Checkpoint): Promise<boolean> => {
    const at = readTo
    const id = metaEntryId(of, size)
    const facts = { of, root: encodeBase64(rootHash), size }
    const context = {
      originBytes: Buffer.byteLength(quote(origin)),
      newId: log.newId,
      random: noFields,
      maxFieldsBytes: 0,
    }
    const drafts = writeDrafts(origin, [createDraft({ type: META_TYPE, id, facts }, context)])
    const moved = new AuditError('AUDIT_STORE_BUSY', `the meta-log ${origin} grew meanwhile`)
    try {
      await store.append(origin, (head) => {
        // Under the lock: what was not read yet may have a larger size of the same log.
        if (head.size !== at) throw moved
        return seal(head, drafts, clock())
      })
      return true
    } catch (error) {
      if (error === moved) return false
      throw error
    }
  }

  const recordNow = async (checkpoint: Checkpoint): Promise<RecordedCheckpoint> => {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      await catchUp()
      const known = newest.get(checkpoint.origin)
      if (known !== undefined && known.checkpoint.size >= checkpoint.size) return sameAs(known, checkpoint)
      if (known === undefined && newest.size >= maxLogs)
        throw new AuditError('AUDIT_BACKLOG_FULL', `the meta-log ${origin} names ${maxLogs} logs already`)
      await append(checkpoint)
    }
    throw new AuditError('AUDIT_STORE_BUSY', `the meta-log ${origin} was being written to all the while`)
  }

  /** One after the other: all of them would read the same entries. */
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    const before = turn
    const mine = (async () => {
      await before.catch(() => undefined) // Its own caller has heard of it.
      return await work()
    })()
    turn = mine
    return await mine
  }

  return {
    origin,
    log,
    last: (of) =>
      inTurn(async () => {
        await catchUp()
        return newest.get(of)
      }),
    find: (of, size) => log.find(metaEntryId(of, size)),
    record: (checkpoint) => inTurn(() => recordNow(checkpoint)),
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  }
}

function sameAs(known: RecordedCheckpoint, { origin, size, rootHash }: Checkpoint): RecordedCheckpoint {
  const recorded = known.checkpoint
  if (recorded.size > size)
    throw new AuditError('AUDIT_STORE_BUSY', `size ${recorded.size} of ${origin} is recorded already, not ${size}`)
  if (equalBytes(recorded.rootHash, rootHash)) return known
  throw new AuditError('AUDIT_FORKED', `another root is recorded for size ${size} of ${origin}`)
}

function noFields(): Uint8Array {
  throw new TypeError('an entry of a meta-log has no fields')
}
