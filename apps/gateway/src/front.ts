/** The ways in: `/mcp` for all servers, one path for each, the gateway's own tools, and REST. */
import { readFileSync } from 'node:fs'
import type { Server as NodeServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { allServersBackend } from './all-servers.ts'
import type { Config } from './config.ts'
import type { Core } from './core.ts'
import { createDiscovery, type Discovery } from './discovery.ts'
import { openEnablementStore, type EnablementStore } from './enablement-store.ts'
import { createHttpServer, type HttpServerOptions } from './http-server.ts'
import { createLedgerReports, type LedgerReports } from './ledger-reports.ts'
import { ownBackend } from './own-backend.ts'
import { createOwnServer, OWN_ID, type OwnServer } from './own-server.ts'
import { createOwnTools, type OwnTool } from './own-tools.ts'
import type { Rest } from './routes.ts'
import { createEndpoint } from './server-table.ts'

export type Front = {
  readonly discovery: Discovery
  /** Listens from then on. Rejects with the system's error when the port is taken. */
  listen(): Promise<{ readonly port: number; readonly url: string }>
  /** New requests are refused; those under way go on. */
  stop(): void
}

export type FrontOptions = {
  /** SQLite file for what callers have switched on and off. */
  readonly database: string
  readonly version: string
  readonly tls: HttpServerOptions['tls']
}

/** What it opens is closed with `opened`. */
export function openFront(core: Core, { database, version, tls }: FrontOptions, opened: AsyncDisposableStack): Front {
  const { live, pipeline, table, audit, metrics, challenge, clientInfo, logger } = core
  const store = opened.use(openEnablementStore(database))
  const reports = createLedgerReports(audit?.open)
  const { discovery, own } = openOwn(core, store, reports)
  const ends = {
    all: createEndpoint(allServersBackend({ discovery, own, clientInfo, pipeline, logger }), live.config, challenge, logger), // prettier-ignore
    own: createEndpoint(ownBackend(own, clientInfo, pipeline), live.config, challenge, logger),
  }
  let isStopping = false
  let url = ''
  let rest: Promise<Rest> | undefined
  const openRest = async (): Promise<Rest> => {
    // Loaded by the first REST request: the gateway listens sooner without it.
    const { createRest } = await import('./routes.ts')
    const auth = { config: () => live.config, wallets: () => live.authentication.wallets }
    const isReady = (): boolean => !isStopping
    return createRest({ servers: table.servers, isReady, pipeline, reports, metrics, version, auth, challenge, limits: live.config.limits, logger }) // prettier-ignore
  }
  const endpoint: HttpServerOptions['endpoint'] = (serverId, tenantId) => {
    if (serverId === undefined) return ends.all
    return serverId === OWN_ID ? ends.own : table.endpoint(tenantId, serverId)
  }
  const http = createHttpServer({
    guard: () => live.guard,
    pipeline,
    challenge,
    isSigned: (headers) => live.authentication.isSigned(headers),
    maxBodyBytes: () => live.config.limits.maxBodyBytes,
    tls,
    origin: () => live.config.publicUrl ?? url,
    endpoint,
    rest: () => (rest ??= openRest()),
    isStopping: () => isStopping,
    onRefusedLogin(code, address) {
      metrics?.refused(code)
      audit?.main.onRefusedLogin(code, address)
    },
    metrics: metrics?.http,
    logger,
  })
  opened.defer(() => closeHttp(http, [ends.all, ends.own, table]))
  return {
    discovery,
    async listen() {
      const port = await listen(http, live.config)
      url = urlOf(live.config, port)
      return { port, url }
    },
    stop() {
      isStopping = true
    },
  }
}

/** The gateway as a server of its own, and what of all servers a caller is shown. */
function openOwn(
  { live, pipeline, table, metrics }: Core,
  store: EnablementStore,
  reports: LedgerReports,
): { readonly discovery: Discovery; readonly own: OwnServer } {
  const { servers, tenants } = table
  let ownTools: readonly OwnTool[] = []
  const own = createOwnServer(() => ownTools)
  const discovery = createDiscovery({
    config: () => live.config,
    tenants,
    servers,
    store,
    ownTools: (context) => own.prefixed(pipeline.authority.shown(context, OWN_ID, 'tools', own.tools())),
  })
  ownTools = createOwnTools({ servers, discovery, pipeline, reports, maxDepth: () => live.config.limits.maxDepth })
  const names = ownTools.map(({ name }) => name)
  metrics?.calls.listed(OWN_ID, names)
  return { discovery, own }
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

/** @throws the system's error when a file is not there: a gateway that was to speak TLS must not come up without */
export function readTls({ tls }: Config): HttpServerOptions['tls'] {
  if (tls === undefined) return undefined
  const { cert, key, ca } = tls
  return { cert: readFileSync(cert), key: readFileSync(key), ...(ca !== undefined && { ca: readFileSync(ca) }) }
}
