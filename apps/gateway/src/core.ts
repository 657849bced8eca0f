/** What every call passes, whichever way it came in, and the servers behind it; and how a new configuration replaces the old. */
import { AuthError, challengeFor, type Caller } from '@mcp-gateway/auth'
import { baseEnvironment, type ClientInfo } from '@mcp-gateway/wire'
import type { Config } from './config.ts'
import type { GatewayOptions } from './gateway.ts'
import { createGuard, type Guard } from './guard.ts'
import { mainFileOf } from './ledger-store.ts'
import { openTenantLedgers, type TenantLedgers, type TenantLedgersOptions } from './ledger-tenants.ts'
import { createLogger, type Logger } from './log.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createAuthenticationOpener, resourcesOf, type Authentication } from './open-authentication.ts'
import { createAuthorityOpener } from './open-authority.ts'
import { OWN_ID } from './own-server.ts'
import type { Pipeline } from './pipeline.ts'
import { quotaOf } from './quotas.ts'
import { createRecorder } from './recorder.ts'
import { createServerTable, type Challenge, type ServerTable } from './server-table.ts'

/** What a new configuration replaces; read anew for each request. */
export type Live = { config: Config; authentication: Authentication; guard: Guard }

export type Core = {
  readonly live: Readonly<Live>
  readonly pipeline: Pipeline
  readonly table: ServerTable
  readonly audit: TenantLedgers | undefined
  readonly metrics: Metrics | undefined
  readonly challenge: Challenge
  readonly clientInfo: ClientInfo
  readonly logger: Logger
  /** Calls that have not ended. */
  readonly inFlight: () => number
  /** Takes over a configuration, all of it or, when a part can't be opened, nothing. @returns which servers that is about */
  replace(config: Config): Promise<ReturnType<ServerTable['apply']>>
}

/** What it opens is closed with `opened`. */
export async function openCore(options: GatewayOptions, opened: AsyncDisposableStack): Promise<Core> {
  const { config, version = '0.0.0', database = ':memory:', enforceSignatures = false } = options
  const logger = options.logger ?? createLogger(config.log.level)
  const clientInfo = { name: 'mcp-gateway', version }
  // The table needs the pipeline, the pipeline the log, and the log asks the table which server answered.
  const server = (tenantId: string, id: string) => table.server(tenantId, id)
  const toolsOf = async (caller: Caller, id: string) =>
    (await server(caller.tenantId, id)?.list('tools', { principal: OWN_ID, caller, capabilities: {} }))?.items ?? []
  const authorities = opened.use(createAuthorityOpener({ database, toolsOf, logger }))
  const redactor = () => pipeline.authority.redactor
  const maxStorageMb = (tenantId: string) => quotaOf(live.config.quotas, tenantId, 'maxStorageMb')
  const audit = await openAudit(options.database, { config, version, server, redactor, maxStorageMb, logger })
  opened.defer(async () => await audit?.close())
  const metrics = config.metrics.enabled
    ? createMetrics(() => ({ servers: table.statuses(), audit: audit?.backlog() }))
    : undefined
  const opener = opened.use(createAuthenticationOpener({ database, enforceSignatures }))
  const authentication = await opener.open(config)
  const live: Live = { config, authentication, guard: createGuard(config) }
  const calls = createRecorder(logger, audit && ((tenantId) => audit.get(tenantId)?.ledger), metrics?.calls)
  const pipeline: Pipeline = {
    authenticate: authentication.authenticate,
    authority: await authorities.open(config),
    recorder: calls.record,
    ...(audit && { readiness: audit.readiness }),
  }
  const challenge: Challenge = (error, path) => challengeOf(error, path, live.config)
  const environment = options.environment ?? baseEnvironment(process.env)
  const onTools = metrics?.calls.listed
  const table = createServerTable({ config: () => live.config, environment, clientInfo, pipeline, challenge, onTools, logger }) // prettier-ignore
  opened.defer(() => table.close())
  table.apply(config.servers)
  return {
    live,
    pipeline,
    table,
    audit,
    metrics,
    challenge,
    clientInfo,
    logger,
    inFlight: calls.inFlight,
    async replace(next) {
      const signedIn = await opener.open(next)
      // The last that can fail: with it, counts may move to another store.
      pipeline.authority = await authorities.open(next)
      Object.assign(live, { config: next, authentication: signedIn, guard: createGuard(next) } satisfies Live)
      pipeline.authenticate = signedIn.authenticate
      return table.apply(next.servers)
    },
  }
}

/** Undefined when nothing is recorded. */
async function openAudit(
  database: string | undefined,
  options: Omit<TenantLedgersOptions, 'mainFile'>,
): Promise<TenantLedgers | undefined> {
  const { enabled, path } = options.config.audit
  // A log in memory would only grow, and prove nothing after a restart: it is kept when somebody asks for `:memory:` by name.
  const isRecorded = database !== undefined || path !== undefined
  if (enabled && !isRecorded) options.logger.warn('no database was given: calls are not recorded')
  return isRecorded
    ? await openTenantLedgers({ ...options, mainFile: mainFileOf(database ?? ':memory:', path) })
    : undefined
}

/** Undefined when other credentials would not help. */
function challengeOf(error: unknown, path: string, { auth, publicUrl, servers }: Config): string | undefined {
  if (!(error instanceof AuthError)) return undefined
  if (auth.oidc.length === 0) return challengeFor(error)
  const asked = `${publicUrl}${path}`
  const resource = resourcesOf({ publicUrl, servers }).includes(asked) ? asked : `${publicUrl}/mcp`
  return challengeFor(error, { resource, scopes: auth.scopes })
}
