/**
 * A log for each tenant, in a folder of its own with keys and checkpoints of its own: nothing about one tenant can be learned
 * from another's queries, proofs or files. What is no tenant's, starts and refused logins, is in the default tenant's.
 */
import { availableParallelism } from 'node:os'
import { openSqliteThread } from '@mcp-gateway/audit-chain/stores/sqlite-thread'
import { DEFAULT_TENANT } from '@mcp-gateway/auth'
import { GatewayError } from './errors.ts'
import { createLedgerMeta, openMeta, type LedgerMeta, type OpenedMeta } from './ledger-meta.ts'
import { auditFileOf, metaFileOf, openLedgerLog, tenantFolder, type OpenedLog } from './ledger-store.ts'
import type { Logger } from './log.ts'
import type { Backlog } from './metrics.ts'
import { openGatewayLedger, type GatewayLedger, type GatewayLedgerOptions } from './ledger-open.ts'

export type TenantLedgers = {
  /** The default tenant's, which is always open. */
  readonly main: GatewayLedger
  /** One that is open. */
  get(tenantId: string): GatewayLedger | undefined
  /** Opens a tenant's log, with its first call. @throws GatewayError GATEWAY_AUDIT_UNAVAILABLE */
  open(tenantId: string): Promise<GatewayLedger>
  /** Undefined while calls of this tenant can be recorded. Otherwise rejects, or resolves when they can. */
  readiness(tenantId: string): Promise<void> | undefined
  /** Of all tenants. */
  readonly backlog: () => Backlog
  close(): Promise<void>
}

export type TenantLedgersOptions = Omit<GatewayLedgerOptions, 'folder' | 'open' | 'meta' | 'maxStorageMb'> & {
  readonly maxStorageMb: (tenantId: string) => number | undefined
}

/** Logs that are open. The adversary is an issuer of tokens that makes up tenants. */
const MAX_TENANTS = 1000

/** Undefined when the configuration wants no log. @throws AuditError when the default tenant's can't be opened */
export async function openTenantLedgers(options: TenantLedgersOptions): Promise<TenantLedgers | undefined> {
  if (!options.config.audit.enabled) return undefined
  const logs = await openLogs(options)
  const { config, mainFile, logger } = options
  const { witnesses, checkpointIntervalMs } = config.audit
  const meta = createLedgerMeta({ open: logs.openMeta, file: metaFileOf(mainFile), witnesses })
  const openOf = async (tenantId: string): Promise<GatewayLedger> =>
    await openGatewayLedger({
      ...options,
      folder: tenantFolder(tenantId),
      open: () => logs.open(tenantId),
      meta,
      maxStorageMb: () => options.maxStorageMb(tenantId),
    })
  const main = await openOf(DEFAULT_TENANT).catch(async (error: unknown) => {
    await logs[Symbol.asyncDispose]()
    throw error
  })
  const witnessing = createWitnessing({ meta, intervalMs: checkpointIntervalMs, logger })
  const ready = new Map<string, GatewayLedger>([[DEFAULT_TENANT, main]])
  const opening = new Map<string, Promise<GatewayLedger>>()

  const openNew = async (tenantId: string): Promise<GatewayLedger> => {
    if (ready.size + opening.size > MAX_TENANTS) throw unavailable(`more than ${MAX_TENANTS} tenants have a log`)
    try {
      const ledger = await openOf(tenantId)
      await ledger.started()
      ready.set(tenantId, ledger)
      return ledger
    } catch (cause) {
      throw cause instanceof GatewayError ? cause : unavailable('the log of this tenant cannot be opened', cause)
    } finally {
      opening.delete(tenantId)
    }
  }
  const open = async (tenantId: string): Promise<GatewayLedger> => {
    const known = ready.get(tenantId) ?? opening.get(tenantId)
    if (known !== undefined) return known
    const begun = openNew(tenantId)
    opening.set(tenantId, begun)
    return begun
  }

  return {
    main,
    open,
    get: (tenantId) => ready.get(tenantId),
    readiness(tenantId) {
      const known = ready.get(tenantId)
      if (known !== undefined) return known.readiness()
      return open(tenantId).then((opened) => opened.readiness())
    },
    backlog() {
      const all = Array.from(ready.values(), ({ ledger }) => ledger.backlog())
      const sum = (key: keyof Backlog): number => all.reduce((total, one) => total + one[key], 0)
      return { waiting: sum('waiting'), lost: sum('lost') }
    },
    async close() {
      await Promise.allSettled(opening.values())
      await Promise.all(Array.from(ready.values(), (ledger) => ledger.close()))
      await witnessing[Symbol.asyncDispose]()
      await meta[Symbol.asyncDispose]()
      await logs[Symbol.asyncDispose]()
    },
  }
}

/** Signs the meta-log now and then, and shows it to the witnesses. */
function createWitnessing(options: {
  readonly meta: LedgerMeta
  readonly intervalMs: number
  readonly logger: Logger
}): AsyncDisposable {
  const { meta, intervalMs, logger } = options
  const stop = new AbortController()
  const onError = (error: unknown): void =>
    logger.error({ error: String(error) }, 'no checkpoint of the meta-log was signed')
  const onMissing = (witness: string, error: unknown): void =>
    logger.warn({ witness, error: String(error) }, 'a checkpoint was not cosigned')
  // It ends by itself, and has said so, when the meta-log is not what was signed before.
  const running =
    intervalMs === 0
      ? undefined
      : meta.run({ intervalMs, signal: stop.signal, onError, onMissing }).catch(() => undefined)
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

type Logs = AsyncDisposable & {
  open(tenantId: string): Promise<OpenedLog>
  readonly openMeta: () => Promise<OpenedMeta>
}

/** The driver is loaded for those who have a PostgreSQL. */
async function openLogs({ config, mainFile }: TenantLedgersOptions): Promise<Logs> {
  const { storage, dsn, region } = config.audit
  if (storage === 'postgres' && dsn !== undefined) {
    const { openPostgresLogs } = await import('./ledger-postgres.ts')
    return await openPostgresLogs({ dsn, mainFile, region })
  }
  // One for the logs of all tenants. Where there is one core, a second thread would only take turns with this one.
  const thread = availableParallelism() > 1 ? openSqliteThread() : undefined
  return {
    open: (tenantId) => openLedgerLog(auditFileOf(mainFile, tenantFolder(tenantId)), region, thread),
    openMeta: () => openMeta(metaFileOf(mainFile), region),
    [Symbol.asyncDispose]: async () => await thread?.[Symbol.asyncDispose](),
  }
}

function unavailable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('GATEWAY_AUDIT_UNAVAILABLE', message, { cause })
}
