/**
 * A log that is older than its last signed checkpoint was put back from a backup. It is not continued: its successor begins,
 * whose first entry names it and what was signed of it. What is missing stays a finding of `audit verify`, for whoever put the
 * old copy there may not have meant well.
 */
import {
  AuditError,
  openLog,
  openSuccessor,
  predecessorOrigins,
  successorOrigin,
  type AuditStore,
  type Checkpoint,
} from '@mcp-gateway/audit-chain'
import { verifyCheckpoint } from '@mcp-gateway/audit-chain/verify'
import { placeOf, policyOf } from './ledger-keys.ts'
import type { LedgerMeta } from './ledger-meta.ts'
import type { LedgerReader } from './ledger-rows.ts'
import type { OpenedLog } from './ledger-store.ts'
import type { Logger } from './log.ts'

export type SuccessionOptions = {
  readonly file: string
  /** Asked as well, which reads all of it once. */
  readonly meta: LedgerMeta | undefined
  readonly logger: Logger
}

/** The log as it was opened, or its successor. Whether entries were changed, only reading all of them can tell: not here. */
export async function continueOrSucceed(opened: OpenedLog, options: SuccessionOptions): Promise<OpenedLog> {
  const { store, log } = opened
  const { origin } = log
  // One that has no entry yet is new, and nobody remembers it.
  if ((await store.head(origin)) === undefined) return opened
  // Before the log itself is looked at: another gateway may write to it, and sign, at any time.
  const known = await lastKnown(origin, options)
  const { size = 0 } = (await store.head(origin)) ?? {}
  if (known === undefined || known.size <= size) return opened
  const { name, previous } = await nextName(known, store, options)
  const successor = openLog({ store, origin: name })
  try {
    if ((await store.head(name)) === undefined) await openSuccessor(successor, previous)
  } catch (error) {
    // Another gateway has begun it just now.
    if (!(error instanceof AuditError) || error.code !== 'AUDIT_FORKED') throw error
  }
  await log[Symbol.asyncDispose]()
  const sizes = { entries: size, signedEntries: known.size }
  options.logger.error({ log: origin, ...sizes, successor: name }, 'the log is older than what was signed of it: it is left as it is, and another begins') // prettier-ignore
  return { ...opened, log: successor }
}

/** One that is in this place already, or that was never signed: nobody may take the name of a log that is lost. */
async function nextName(
  known: Checkpoint,
  store: AuditStore,
  options: SuccessionOptions,
): Promise<{ readonly name: string; readonly previous: Checkpoint }> {
  for (let previous = known; ;) {
    const name = successorOrigin(previous.origin)
    const lost = await lastKnown(name, options)
    if (lost === undefined || (await store.head(name)) !== undefined) return { name, previous }
    previous = lost
  }
}

/** What was signed last, as far as anybody here remembers. What can't be read stops no call: who signs next says so. */
async function lastKnown(origin: string, { file, meta }: SuccessionOptions): Promise<Checkpoint | undefined> {
  const kept = await keptBeside(origin, file).catch(() => undefined)
  const recorded = (await meta?.records.last(origin).catch(() => undefined))?.checkpoint
  return recorded === undefined || (kept !== undefined && kept.size > recorded.size) ? kept : recorded
}

/** Whoever can write there and has not our key is not believed. */
async function keptBeside(origin: string, file: string): Promise<Checkpoint | undefined> {
  const policy = policyOf(file, origin)
  const note = policy && (await placeOf(file).last(origin))
  return policy && note !== undefined ? verifyCheckpoint(note, policy, origin).checkpoint : undefined
}

/** The logs in the same place that this one succeeded, the oldest first. What is to be erased may be in them. */
export async function* predecessorsOf({ store, log }: LedgerReader): AsyncGenerator<LedgerReader> {
  for (const origin of predecessorOrigins(log.origin)) {
    if ((await store.head(origin)) !== undefined) yield { store, log: openLog({ store, origin }) }
  }
}

/** The same place with the log of this name in it. @throws AuditError AUDIT_NOT_FOUND. Whatever it throws, it closes the place */
export async function named<T extends AsyncDisposable & LedgerReader>(newest: T, name: string | undefined): Promise<T> {
  if (name === undefined || name === newest.log.origin) return newest
  await using opened = new AsyncDisposableStack()
  opened.use(newest)
  for await (const one of predecessorsOf(newest)) {
    if (one.log.origin !== name) continue
    opened.move()
    return { ...newest, ...one }
  }
  throw new AuditError('AUDIT_NOT_FOUND', `there is no log ${name} before ${newest.log.origin}`)
}
