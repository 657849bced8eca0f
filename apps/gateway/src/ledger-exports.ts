/**
 * The log on its way to other places: one follower for each, with a cursor of its own in the database, so that a receiver
 * that is away holds up nobody but itself, and nothing is skipped when it comes back.
 */
import { createFollower, type AuditStore, type Follower, type Sink } from '@mcp-gateway/audit-chain'
import type { ExportConfig } from './config-audit.ts'
import { EXPORT_CURSOR } from './ledger-follow.ts'
import { createSink, withholderOf, type SinkContext } from './ledger-sinks.ts'
import type { Logger } from './log.ts'

export type ExportState = {
  readonly name: string
  readonly type: ExportConfig['type']
  readonly region?: string
  /** The next entry it gets. */
  readonly cursor: number
  /** Entries that it has not got. */
  readonly lag: number
  /** Since it last took something; it is tried again. */
  readonly lastError?: { readonly at: string; readonly message: string }
  /** Entries that it refused and that are kept aside, in the present dead-letter file. */
  readonly deadLetters: number
}

export type LedgerExports = {
  start(): void
  states(): Promise<ExportState[]>
  /** Sends what there is, for {@link DRAIN_MS} at most; the rest follows after the next start. */
  close(): Promise<void>
}

export type LedgerExportsOptions = SinkContext & {
  readonly exports: readonly ExportConfig[]
  readonly store: AuditStore
  readonly origin: string
  readonly logger: Logger
}

const DRAIN_MS = 3000
const MAX_WAIT_MS = 60_000

type Running = {
  readonly config: ExportConfig
  readonly sink: Sink
  readonly follower: Follower
  lastError: ExportState['lastError']
}

export function createLedgerExports({
  exports,
  store,
  origin,
  logger,
  ...context
}: LedgerExportsOptions): LedgerExports {
  const stop = new AbortController()
  const all = exports.map((config) => runningOf(config, createSink(config, context), { store, origin }))
  let loops: readonly Promise<void>[] = []

  const onError = (one: Running, error: unknown): void => {
    const message = error instanceof Error ? error.message : String(error)
    one.lastError = { at: new Date().toISOString(), message }
    logger.warn({ export: one.config.name, error: message }, 'the audit log was not exported; it will be tried again')
  }

  const stateOf = async ({ config, sink, lastError }: Running): Promise<ExportState> => {
    const { name, type, region } = config
    const cursor = await store.cursor(origin, EXPORT_CURSOR + name)
    const { size = 0 } = (await store.head(origin)) ?? {}
    const deadLetters = (await sink.deadLetters?.()) ?? 0
    return { name, type, ...(region !== undefined && { region }), cursor, lag: Math.max(0, size - cursor), ...(lastError && { lastError }), deadLetters } // prettier-ignore
  }

  const drain = async (one: Running): Promise<void> => {
    try {
      await one.follower.catchUp(stop.signal)
    } catch (error) {
      if (!stop.signal.aborted) onError(one, error)
    }
  }

  return {
    start() {
      loops = all.map((one) =>
        one.follower.run({
          pollMs: one.config.intervalMs,
          maxWaitMs: Math.max(MAX_WAIT_MS, one.config.intervalMs),
          signal: stop.signal,
          onError: (error) => onError(one, error),
        }),
      )
    },
    states: () => Promise.all(all.map(stateOf)),
    async close() {
      const timer = setTimeout(() => stop.abort(), DRAIN_MS)
      // Not for what was never started: the log may be another gateway's.
      if (loops.length > 0) await Promise.all(all.map(drain))
      clearTimeout(timer)
      stop.abort()
      await Promise.all(loops)
      await Promise.all(all.map(({ sink }) => sink[Symbol.asyncDispose]()))
    },
  }
}

function runningOf(config: ExportConfig, sink: Sink, log: { store: AuditStore; origin: string }): Running {
  const isDisclosed = withholderOf(config)
  const follower = createFollower({
    ...log,
    name: EXPORT_CURSOR + config.name,
    // Of several gateways on one log, one sends.
    lead: () => log.store.lead(`${log.origin}#${config.name}`),
    async handle(entries, signal) {
      const disclosed = entries.map((entry) => ({
        ...entry,
        fields: entry.fields.filter(({ name }) => isDisclosed(name)),
      }))
      await sink.write(disclosed, signal)
      running.lastError = undefined
    },
  })
  const running: Running = { config, sink, follower, lastError: undefined }
  return running
}
