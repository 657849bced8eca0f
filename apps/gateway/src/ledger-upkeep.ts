/** What a log needs while it runs: signed checkpoints now and then, and fields that age out. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createRetention, type AuditLog, type AuditStore, type Retention } from '@mcp-gateway/audit-chain'
import type { LedgerKeys } from './ledger-keys.ts'
import type { LedgerReader } from './ledger-rows.ts'
import { predecessorsOf } from './ledger-succession.ts'
import type { Logger } from './log.ts'

export type LedgerUpkeepOptions = {
  readonly log: AuditLog
  readonly store: AuditStore
  readonly keys: LedgerKeys
  readonly config: { readonly retentionDays?: number; readonly checkpointIntervalMs: number }
  readonly logger: Logger
}

export type LedgerUpkeep = { start(): void; close(): Promise<void> }

const DAY_MS = 86_400_000
const RETENTION_EVERY_MS = 3_600_000
/** After a failure: a reader who held the write-ahead log is gone by then. */
const RETENTION_AGAIN_MS = 60_000

export function createLedgerUpkeep({ log, store, keys, config, logger }: LedgerUpkeepOptions): LedgerUpkeep {
  const stop = new AbortController()
  const { signal } = stop
  const { retentionDays, checkpointIntervalMs } = config
  let tasks: readonly Promise<void>[] = []

  const ageOut = async (days: number): Promise<void> => {
    let retentions: readonly Retention[] | undefined
    while (!signal.aborted) {
      let waitMs = RETENTION_EVERY_MS
      try {
        retentions ??= await retentionsOf({ store, log }, days)
        for (const retention of retentions) await retention.run(signal)
      } catch (error) {
        if (signal.aborted) return
        waitMs = RETENTION_AGAIN_MS
        logger.error({ error: String(error) }, 'fields in the audit log are older than they may be')
      }
      await sleep(waitMs, undefined, { signal }).catch(() => undefined) // Woken by the end.
    }
  }

  return {
    start() {
      const onError = (error: unknown): void =>
        logger.error({ log: log.origin, error: String(error) }, 'no checkpoint was signed')
      const onMissing = (_name: string, error: unknown): void =>
        logger.warn({ log: log.origin, error: String(error) }, 'a checkpoint is not in the meta-log yet')
      const sign = async (): Promise<void> => {
        await sleep(checkpointIntervalMs, undefined, { signal }).catch(() => undefined) // Woken by the end.
        await keys.run({ intervalMs: checkpointIntervalMs, signal, onError, onMissing })
      }
      tasks = [
        ...(retentionDays === undefined ? [] : [ageOut(retentionDays)]),
        // It ends by itself, and has said so, when the log is not what was signed before.
        ...(checkpointIntervalMs === 0 ? [] : [sign().catch(() => undefined)]),
      ]
    },
    async close() {
      stop.abort()
      await Promise.all(tasks)
    },
  }
}

/** Of this log and those before it. */
async function retentionsOf(reader: LedgerReader, days: number): Promise<Retention[]> {
  const readers = [reader]
  for await (const one of predecessorsOf(reader)) readers.push(one)
  return readers.map(({ store, log }) => createRetention({ store, log, retainMs: days * DAY_MS, by: 'gateway' }))
}
