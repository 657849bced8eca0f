/**
 * The log of this gateway: one entry for each call, committed before its reply leaves, and entries for what else an auditor
 * asks after. The adversaries: a full or locked disk, which must not let calls pass unrecorded (`onFailure: closed`), and
 * whoever administers the database, against whom audit-chain is written.
 */
import type { AuditLog, AuditStore, EntryInput } from '@mcp-gateway/audit-chain'
import type { ServerProfile } from '@mcp-gateway/wire'
import { GatewayError } from './errors.ts'
import type { BodyRules } from './ledger-body.ts'
import { callEntry, type CallEnd } from './ledger-entry.ts'
import type { Logger } from './log.ts'
import type { Backlog } from './metrics.ts'
import type { Call } from './pipeline.ts'

export type AuditConfig = BodyRules & {
  readonly enabled: boolean
  readonly mode: 'sync' | 'async'
  readonly onFailure: 'closed' | 'open'
}

export type Ledger = AsyncDisposable & {
  readonly log: AuditLog
  readonly store: AuditStore
  /** Writes the entry that closes a call. Undefined: nobody needs to wait. Rejects when the reply must not leave. */
  close(call: Call, end: CallEnd): Promise<void> | undefined
  /** The same for a call whose client is gone. */
  closeAbandoned(call: Call, end: CallEnd): void
  /** What is no call: a start, a reload, a refused login. Never rejects; a failure is logged and counted. */
  note(input: EntryInput): Promise<void>
  /** Undefined while all is well. Otherwise whether calls may run again: in `closed` nothing runs that can't be recorded. */
  readiness(): Promise<void> | undefined
  readonly backlog: () => Backlog
}

export type LedgerOptions = {
  readonly log: AuditLog
  readonly store: AuditStore
  readonly config: AuditConfig
  /** What a server said of itself last. */
  readonly profileOf: (tenantId: string, serverId: string) => ServerProfile | undefined
  readonly logger: Logger
}

/** In `async` mode answers wait when this many entries do: the disk sets the pace before the backlog refuses. */
const MAX_AHEAD = 1024
/**
 * In `async` mode entries are gathered for so long: few large commits cost less than many small ones. A crash loses these. A
 * store with a thread of its own gets them sooner: in large pieces they take its core from others, and then there is nothing to do.
 */
const GATHER_MS = 10
const GATHER_FOR_THREAD_MS = 1

function written(): void {}

export function createLedger({ log, store, config, profileOf, logger }: LedgerOptions): Ledger {
  /** Entries that could not be written since the last one that was. */
  let lost = 0
  let lostEver = 0
  let recovering: Promise<void> | undefined

  const missed = ({ type }: EntryInput, error: unknown): void => {
    lost += 1
    lostEver += 1
    logger.error({ type, error: String(error) }, 'not in the audit log')
  }
  const note = (input: EntryInput): Promise<void> =>
    log.append(input).then(written, (error: unknown) => missed(input, error))

  /** The gap is part of the history: how many entries are missing is the first thing written when writing works again. */
  const recover = async (): Promise<void> => {
    const missing = lost
    await log.append({ type: 'audit.gap', facts: { lost: missing } })
    lost -= missing
  }
  const recoverOnce = (): Promise<void> => (recovering ??= recover().finally(() => (recovering = undefined)))

  const unavailable = (cause: unknown): GatewayError =>
    new GatewayError('GATEWAY_AUDIT_UNAVAILABLE', 'the call cannot be recorded, so there is no answer', { cause })

  const entryOf = (call: Call, end: CallEnd): EntryInput =>
    callEntry(call, end, config, call.server === undefined ? undefined : profileOf(call.caller.tenantId, call.server))

  const gatherMs = store.appendDrafts === undefined ? GATHER_MS : GATHER_FOR_THREAD_MS
  let gathered: EntryInput[] = []
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    const inputs = gathered
    gathered = []
    for (const input of inputs) void note(input)
  }
  const gather = (input: EntryInput): void => {
    gathered.push(input)
    timer ??= setTimeout(flush, gatherMs)
  }

  const commit = async (call: Call, end: CallEnd): Promise<void> => {
    const input = entryOf(call, end)
    try {
      await log.append(input)
    } catch (error) {
      missed(input, error)
      if (config.onFailure === 'closed') throw unavailable(error)
    }
  }

  return {
    log,
    store,
    note,
    close(call, end) {
      const isAhead = lost > 0 || log.outstanding() + gathered.length >= MAX_AHEAD
      if (config.mode === 'sync' || isAhead) return commit(call, end)
      gather(entryOf(call, end))
      return undefined
    },
    closeAbandoned(call, end) {
      commit(call, end).catch(() => undefined)
    },
    readiness() {
      if (lost === 0) return undefined
      return recoverOnce().catch((error: unknown) => {
        if (config.onFailure === 'closed') throw unavailable(error)
      })
    },
    backlog: () => ({ waiting: log.outstanding() + gathered.length, lost: lostEver }),
    async [Symbol.asyncDispose]() {
      flush()
      await log[Symbol.asyncDispose]()
    },
  }
}
