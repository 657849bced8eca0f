/** Builds the parts from the configuration and holds them together. The only file that knows every package. */
import { readFileSync } from 'node:fs'
import type { Server as NodeServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { AuthError, challengeFor, type Caller } from '@mcp-gateway/auth'
import { baseEnvironment, killAllGroups } from '@mcp-gateway/wire'
import { allServersBackend } from './all-servers.ts'
import type { Config } from './config.ts'
import { createDiscovery } from './discovery.ts'
import { openEnablementStore } from './enablement-store.ts'
import { createGuard } from './guard.ts'
import { createHttpServer } from './http-server.ts'
import { mainFileOf } from './ledger-store.ts'
import { openTenantLedgers, type TenantLedgers, type TenantLedgersOptions } from './ledger-tenants.ts'
import { createLedgerReports } from './ledger-reports.ts'
import { createLogger, type Logger } from './log.ts'
import { createMetrics } from './metrics.ts'
import { createAuthenticationOpener, resourcesOf } from './open-authentication.ts'
import { createAuthorityOpener } from './open-authority.ts'
import { ownBackend } from './own-backend.ts'
import { createOwnServer, OWN_ID } from './own-server.ts'
import { createOwnTools, type OwnTool } from './own-tools.ts'
import type { Pipeline } from './pipeline.ts'
import { quotaOf } from './quotas.ts'
import { createRecorder } from './recorder.ts'
import type { Rest } from './routes.ts'
import { createEndpoint, createServerTable, type ServerTable } from './server-table.ts'

export type GatewayOptions = {
  readonly config: Config
  /** @default pino on stderr at `config.log.level` */
  readonly logger?: Logger | undefined
  readonly version?: string
  /** What children may know of the gateway's own environment. @default where programs and the home directory are */
  readonly environment?: Readonly<Record<string, string>>
  /** SQLite file for what must survive a restart; the audit log is beside it. @default none: nothing is kept or recorded */
  readonly database?: string
  /** Operators' wallets have to sign each request, whatever the configuration says. @default false */
  readonly enforceSignatures?: boolean
}

export type RunningGateway = AsyncDisposable & {
  readonly url: string
  readonly port: number
  /** Takes over a new configuration. Calls under way end as they began; what {@link NEEDS_RESTART} names waits for a restart. */
  reload(config: Config): Promise<void>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** How long calls in flight may take to end when the gateway stops. */
const DRAIN_MS = 5000
const NEEDS_RESTART = ['host', 'port', 'limits', 'audit', 'metrics', 'tls'] as const

/** Listens when it resolves. Servers are started by their first use. Rejects with the system's error when the port is taken. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  let { config } = options
  // When something fails, what was opened before it is closed again.
  await using opened = new AsyncDisposableStack()
  const tls = tlsOf(config)
  const logger = options.logger ?? createLogger(config.log.level)
  const version = options.version ?? '0.0.0'
  const clientInfo = { name: 'mcp-gateway', version }
  const environment = options.environment ?? baseEnvironment(process.env)
  const database = options.database ?? ':memory:'
  const toolsOf = async (caller: Caller, id: string) =>
    (await table.server(caller.tenantId, id)?.list('tools', { principal: OWN_ID, caller, capabilities: {} }))?.items ??
    []
  const authorities = opened.use(createAuthorityOpener({ database, toolsOf, logger }))
  // The table needs the pipeline, the pipeline the log, and the log asks the table which server answered.
  const server = (tenantId: string, id: string) => table.server(tenantId, id)
  const redactor = () => pipeline.authority.redactor
  const maxStorageMb = (tenantId: string) => quotaOf(config.quotas, tenantId, 'maxStorageMb')
  const audit = await openAudit(options.database, { config, version, server, redactor, maxStorageMb, logger })
  opened.defer(async () => await audit?.close())
  if (config.policies === undefined && config.auth.type !== 'none')
    logger.info('no policies are configured: every caller may call every tool')
  const metrics = config.metrics.enabled
    ? createMetrics(() => ({ servers: table.statuses(), audit: audit?.backlog() }))
    : undefined
  const opener = opened.use(createAuthenticationOpener({ database, enforceSignatures: options.enforceSignatures === true })) // prettier-ignore
  let authentication = await opener.open(config)
  const challenge = (error: unknown, path: string): string | undefined => challengeOf(error, path, config)
  const calls = createRecorder(logger, audit && ((tenantId) => audit.get(tenantId)?.ledger), metrics?.calls)
  const pipeline: Pipeline = {
    authenticate: authentication.authenticate,
    authority: await authorities.open(config),
    recorder: calls.record,
    ...(audit && { readiness: audit.readiness }),
  }
  const store = opened.use(openEnablementStore(database))
  let guard = createGuard(config)
  let stopping = false

  const table: ServerTable = createServerTable({
    config: () => config,
    environment,
    clientInfo,
    pipeline,
    challenge,
    onTools: metrics?.calls.listed,
    logger,
  })
  opened.defer(() => table.close())
  table.apply(config.servers)
  const { servers, tenants } = table
  let ownTools: readonly OwnTool[] = []
  const own = createOwnServer(() => ownTools)
  const discovery = createDiscovery({
    config: () => config,
    tenants,
    servers,
    store,
    ownTools: (context) => own.prefixed(pipeline.authority.shown(context, OWN_ID, 'tools', own.tools())),
  })
  const reports = createLedgerReports(audit?.open)
  ownTools = createOwnTools({ servers, discovery, pipeline, reports, maxDepth: () => config.limits.maxDepth })
  const ownNames = ownTools.map(({ name }) => name)
  metrics?.calls.listed(OWN_ID, ownNames)
  const ends = {
    all: createEndpoint(allServersBackend({ discovery, own, clientInfo, pipeline, logger }), config, challenge, logger),
    own: createEndpoint(ownBackend(own, clientInfo, pipeline), config, challenge, logger),
  }

  let rest: Promise<Rest> | undefined
  const openRest = async (): Promise<Rest> => {
    // Loaded by the first REST request: the gateway listens sooner without it.
    const { createRest } = await import('./routes.ts')
    const auth = { config: () => config, wallets: () => authentication.wallets }
    return createRest({ servers, isReady: () => !stopping, pipeline, reports, metrics, version, auth, challenge, limits: config.limits, logger }) // prettier-ignore
  }

  const http = createHttpServer({
    guard: () => guard,
    pipeline,
    challenge,
    isSigned: (headers) => authentication.isSigned(headers),
    maxBodyBytes: () => config.limits.maxBodyBytes,
    tls,
    origin: () => config.publicUrl ?? url,
    endpoint: (serverId, tenantId) => (serverId === undefined ? ends.all : serverId === OWN_ID ? ends.own : table.endpoint(tenantId, serverId)), // prettier-ignore
    rest: () => (rest ??= openRest()),
    isStopping: () => stopping,
    onRefusedLogin(code, address) {
      metrics?.refused(code)
      audit?.main.onRefusedLogin(code, address)
    },
    metrics: metrics?.http,
    logger,
  })
  opened.defer(() => closeHttp(http, [ends.all, ends.own, table]))
  const port = await listen(http, config)
  const url = urlOf(config, port)
  // Not before: the log may be that of the gateway that has the port.
  await audit?.main.started()
  logger.info({ url, servers: table.count() }, 'listening')

  // An exit that skips `close`, an uncaught error say, still takes the children along.
  if (!process.listeners('exit').includes(killAllGroups)) process.on('exit', killAllGroups)

  const reload = async (next: Config): Promise<void> => {
    const restart = NEEDS_RESTART.filter((key) => JSON.stringify(next[key]) !== JSON.stringify(config[key]))
    const before = config
    const wanted: Config = { ...next, ...Object.fromEntries(NEEDS_RESTART.map((key) => [key, before[key]])) }
    // All of it or, when a part can't be opened, nothing. The authority last: with it, counts may move to another store.
    const signedIn = await opener.open(wanted)
    pipeline.authority = await authorities.open(wanted)
    authentication = signedIn
    config = wanted
    pipeline.authenticate = authentication.authenticate
    guard = createGuard(config)
    logger.level = config.log.level
    const changes = table.apply(config.servers)
    discovery.serversChanged()
    await audit?.main.onReload(before, config, changes)
    logger.info(changes, 'configuration reloaded')
    if (restart.length > 0) logger.warn({ settings: restart }, 'these settings take effect after a restart')
  }

  const held = opened.move()
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    stopping = true
    for (const until = Date.now() + DRAIN_MS; calls.inFlight() > 0 && Date.now() < until;) await sleep(20)
    await held.disposeAsync()
    logger.info('stopped')
  }
  return {
    url,
    port,
    reload,
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
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

async function listen(http: NodeServer, { host, port }: Config): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject)
    http.listen(port, host, resolve)
  })
  return (http.address() as AddressInfo).port
}

function urlOf({ tls, host }: Config, port: number): string {
  return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Streams end when what they are about is closed; only then are connections cut. */
async function closeHttp(http: NodeServer, parts: readonly { close(): Promise<void> }[]): Promise<void> {
  const closed = new Promise<void>((resolve) => http.close(() => resolve()))
  await Promise.all(parts.map((part) => part.close()))
  http.closeAllConnections()
  await closed
}

/** Undefined when other credentials would not help. */
function challengeOf(error: unknown, path: string, { auth, publicUrl, servers }: Config): string | undefined {
  if (!(error instanceof AuthError)) return undefined
  if (auth.oidc.length === 0) return challengeFor(error)
  const asked = `${publicUrl}${path}`
  const resource = resourcesOf({ publicUrl, servers }).includes(asked) ? asked : `${publicUrl}/mcp`
  return challengeFor(error, { resource, scopes: auth.scopes })
}

/** @throws the system's error when a file is not there: a gateway that was to speak TLS must not come up without */
function tlsOf({ tls }: Config): { cert: Buffer; key: Buffer; ca?: Buffer } | undefined {
  if (tls === undefined) return undefined
  const { cert, key, ca } = tls
  return { cert: readFileSync(cert), key: readFileSync(key), ...(ca !== undefined && { ca: readFileSync(ca) }) }
}
