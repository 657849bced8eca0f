/** The servers of the configuration and their endpoints, and how a new configuration replaces an old one. */
import { createHttpEndpoint, createStateSealer, type Backend, type ClientInfo, type HttpEndpoint } from '@mcp-gateway/wire' // prettier-ignore
import type { Config, ServerConfig } from './config.ts'
import { errorText } from './connection-pool.ts'
import type { CallContext } from './context.ts'
import type { Logger } from './log.ts'
import type { Pipeline } from './pipeline.ts'
import { describeFailure } from './replies.ts'
import { createServer, type Server } from './server.ts'
import { singleServerBackend } from './single-server.ts'

export type ServerTable = {
  readonly servers: () => readonly Server[]
  readonly server: (serverId: string) => Server | undefined
  readonly endpoint: (serverId: string) => HttpEndpoint<CallContext> | undefined
  /** Adds, changes and removes servers. Calls under way end where they began. */
  apply(servers: readonly ServerConfig[]): { added: string[]; changed: string[]; removed: string[] }
  close(): Promise<void>
}

export type ServerTableOptions = {
  readonly config: () => Config
  readonly environment: Readonly<Record<string, string>>
  readonly clientInfo: ClientInfo
  readonly pipeline: Pipeline
  readonly logger: Logger
}

type Row = { readonly server: Server; readonly endpoint: HttpEndpoint<CallContext> }

export function createServerTable(options: ServerTableOptions): ServerTable {
  const { config, logger, pipeline } = options
  const sealer = createStateSealer()
  const leaving = new Set<Promise<void>>()
  let rows: ReadonlyMap<string, Row> = new Map()
  let servers: readonly Server[] = []

  const enter = (serverConfig: ServerConfig): Row => {
    const server = createServer({ ...options, config: serverConfig, limits: () => config().limits, sealer })
    return { server, endpoint: createEndpoint(singleServerBackend(server, pipeline), config(), logger) }
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
    servers: () => servers,
    server: (serverId) => rows.get(serverId)?.server,
    endpoint: (serverId) => rows.get(serverId)?.endpoint,
    apply(configs) {
      const next = new Map<string, Row>()
      const report = { added: [] as string[], changed: [] as string[], removed: [] as string[] }
      for (const serverConfig of configs) {
        if (!serverConfig.enabled) continue
        const known = rows.get(serverConfig.id)
        if (known === undefined) report.added.push(serverConfig.id)
        else if (JSON.stringify(known.server.config()) !== JSON.stringify(serverConfig)) {
          known.server.reconfigure(serverConfig)
          report.changed.push(serverConfig.id)
        }
        next.set(serverConfig.id, known ?? enter(serverConfig))
      }
      for (const [id, row] of rows) {
        if (next.has(id)) continue
        report.removed.push(id)
        leave(row, true)
      }
      rows = next
      servers = Array.from(next.values(), ({ server }) => server)
      return report
    },
    async close() {
      for (const row of rows.values()) leave(row, false)
      rows = new Map()
      await Promise.all(leaving)
    },
  }
}

async function end({ server, endpoint }: Row, waits: boolean): Promise<void> {
  if (waits) await server.drain()
  await endpoint.close()
  await server.close()
}

export function createEndpoint(
  backend: Backend<CallContext>,
  { limits }: Config,
  logger: Logger,
): HttpEndpoint<CallContext> {
  return createHttpEndpoint({
    backend,
    limits,
    describeFailure,
    onFailure: (error: unknown, context: CallContext | undefined) => {
      const requestId = context?.requestId
      const { code } = describeFailure(error)
      if (code === 'WIRE_INTERNAL') logger.error({ requestId, err: error }, 'internal error')
      else logger.debug({ requestId, code, error: errorText(error) }, 'request failed')
    },
  })
}
