/** The servers of the configuration and their endpoints, and how a new configuration replaces an old one. */
import { DEFAULT_TENANT } from '@mcp-gateway/auth'
import { createHttpEndpoint, createStateSealer, type Backend, type ClientInfo, type HttpEndpoint } from '@mcp-gateway/wire' // prettier-ignore
import type { Config, ServerConfig } from './config.ts'
import { errorText } from './connection-pool.ts'
import type { OnTools } from './connector.ts'
import type { CallContext } from './context.ts'
import type { Logger } from './log.ts'
import type { Pipeline } from './pipeline.ts'
import { describeFailure } from './replies.ts'
import { createServer, type Server } from './server.ts'
import type { ServerStatus } from './supervisor.ts'
import { singleServerBackend } from './single-server.ts'

export type ServerTable = {
  /** A tenant's own. One server of the configuration may be several here: nothing is shared between tenants. */
  readonly servers: (tenantId: string) => readonly Server[]
  readonly server: (tenantId: string, serverId: string) => Server | undefined
  readonly endpoint: (tenantId: string, serverId: string) => HttpEndpoint<CallContext> | undefined
  readonly tenants: () => readonly string[]
  /** Of all tenants. */
  readonly count: () => number
  /** Of all tenants. */
  readonly statuses: () => readonly ServerStatus[]
  /** Adds, changes and removes servers. Calls under way end where they began. */
  apply(servers: readonly ServerConfig[]): { added: string[]; changed: string[]; removed: string[] }
  close(): Promise<void>
}

export type ServerTableOptions = {
  readonly config: () => Config
  readonly environment: Readonly<Record<string, string>>
  readonly clientInfo: ClientInfo
  readonly pipeline: Pipeline
  readonly challenge: Challenge
  readonly onTools?: OnTools | undefined
  readonly logger: Logger
}

/** The `WWW-Authenticate` of a refusal at a path. */
export type Challenge = (error: unknown, path: string) => string | undefined

type Row = { readonly tenantId: string; readonly server: Server; readonly endpoint: HttpEndpoint<CallContext> }

export function createServerTable(options: ServerTableOptions): ServerTable {
  const { config, logger, pipeline } = options
  const sealer = createStateSealer()
  const leaving = new Set<Promise<void>>()
  let rows: ReadonlyMap<string, Row> = new Map()
  let byTenant: ReadonlyMap<string, readonly Server[]> = new Map()

  const enter = (serverConfig: ServerConfig, tenantId: string): Row => {
    const server = createServer({ ...options, config: serverConfig, limits: () => config().limits, sealer })
    return {
      tenantId,
      server,
      endpoint: createEndpoint(singleServerBackend(server, pipeline), config(), options.challenge, logger),
    }
  }

  const leave = (row: Row, waits: boolean): void => {
    const gone = end(row, waits)
      .catch((error: unknown) =>
        logger.warn({ server: row.server.id, error: errorText(error) }, 'closing a server failed'),
      )
      .finally(() => leaving.delete(gone))
    leaving.add(gone)
  }

  return {
    servers: (tenantId) => byTenant.get(tenantId) ?? [],
    server: (tenantId, serverId) => rows.get(keyOf(tenantId, serverId))?.server,
    endpoint: (tenantId, serverId) => rows.get(keyOf(tenantId, serverId))?.endpoint,
    tenants: () => [...byTenant.keys()],
    count: () => rows.size,
    statuses: () => Array.from(rows.values(), ({ server }) => server.state().status),
    apply(configs) {
      const next = new Map<string, Row>()
      const report = { added: [] as string[], changed: [] as string[], removed: [] as string[] }
      const wanted = configs.filter(({ enabled }) => enabled).flatMap((one) => one.tenants.map((tenant) => ({ one, tenant }))) // prettier-ignore
      for (const { one, tenant } of wanted) {
        const key = keyOf(tenant, one.id)
        const known = rows.get(key)
        if (known === undefined) report.added.push(key)
        else if (JSON.stringify(known.server.config()) !== JSON.stringify(one)) {
          known.server.reconfigure(one)
          report.changed.push(key)
        }
        next.set(key, known ?? enter(one, tenant))
      }
      for (const [key, row] of rows) {
        if (next.has(key)) continue
        report.removed.push(key)
        leave(row, true)
      }
      rows = next
      const grouped = Map.groupBy(next.values(), ({ tenantId }) => tenantId)
      byTenant = new Map(Array.from(grouped, ([tenantId, own]) => [tenantId, own.map(({ server }) => server)]))
      return report
    },
    async close() {
      for (const row of rows.values()) leave(row, false)
      rows = new Map()
      await Promise.all(leaving)
    },
  }
}

/** A server in reports and as a key; neither part can have a slash in it. */
function keyOf(tenantId: string, serverId: string): string {
  return tenantId === DEFAULT_TENANT ? serverId : `${tenantId}/${serverId}`
}

async function end({ server, endpoint }: Row, waits: boolean): Promise<void> {
  if (waits) await server.drain()
  await endpoint.close()
  await server.close()
}

export function createEndpoint(
  backend: Backend<CallContext>,
  { limits }: Config,
  challenge: Challenge,
  logger: Logger,
): HttpEndpoint<CallContext> {
  return createHttpEndpoint({
    backend,
    limits,
    describeFailure: (error, { path }) => ({ ...describeFailure(error), challenge: challenge(error, path ?? '/mcp') }),
    onFailure: (error: unknown, context: CallContext | undefined) => {
      const requestId = context?.requestId
      const { code } = describeFailure(error)
      if (code === 'WIRE_INTERNAL') logger.error({ requestId, err: error }, 'internal error')
      else logger.debug({ requestId, code, error: errorText(error) }, 'request failed')
    },
  })
}
