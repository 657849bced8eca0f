/** `/mcp`, modern era: every server behind one endpoint, stateless. */
import {
  META_SERVER_INFO,
  MODERN_VERSIONS,
  resultResponse,
  WireError,
  type Backend,
  type Exchange,
  type JsonObject,
  type JsonRpcRequest,
  type JsonRpcResponse,
  type RequestOptions,
} from '@mcp-gateway/wire'
import { AGGREGATE_CAPABILITIES, answer, joinResponse, listEverywhere, listKindOf, within, type AllServersOptions } from './aggregate.ts' // prettier-ignore
import { openAllServersSession } from './all-servers-session.ts'
import type { CallContext } from './context.ts'
import { onCall } from './pipeline.ts'
import { resolveRoute, type Route } from './route.ts'
import type { Server } from './server.ts'
import { forwardModern } from './single-server.ts'

export function allServersBackend(options: AllServersOptions): Backend<CallContext> {
  const { pipeline } = options

  const local = async (message: JsonRpcRequest): Promise<JsonRpcResponse> => {
    if (message.method === 'server/discover') return resultResponse(message.id, await discover(options))
    const kind = listKindOf(message.method)
    if (kind === undefined) throw new WireError('WIRE_METHOD_NOT_FOUND', `${message.method} is not offered here`)
    const servers = await modernServers(options)
    const listOf = (server: Server) => server.list(kind)
    const items = await listEverywhere({ kind, servers, listOf, logger: options.logger })
    // Which servers answer, and what a caller may see, is nobody else's business: never cached beyond this answer.
    return resultResponse(message.id, { resultType: 'complete', [kind]: items, ttlMs: 0, cacheScope: 'private' })
  }

  const forward = async (route: Route, message: JsonRpcRequest, requestOptions: RequestOptions): Promise<Exchange> => {
    const exchange = await forwardModern(route.server, { ...message, params: route.params }, requestOptions)
    return joinResponse(exchange, route.server.id)
  }

  return {
    request(message, context, requestOptions) {
      const route = resolveRoute(message, options.servers())
      if (route === undefined) {
        return onCall({ ...context, message, server: undefined, forward: () => answer(() => local(message)) }, pipeline)
      }
      const call = () => route.then((found) => forward(found, message, requestOptions))
      return onCall({ ...context, message, server: route.serverId, forward: call }, pipeline)
    },
    async notify() {
      // Nothing says which server it is for.
    },
    openSession: (_context, peer) => openAllServersSession(options, peer),
  }
}

/** How long `server/discover` waits for a server's era: clients give up their probe soon and fall back to `initialize`. */
const ERA_WAIT_MS = 3000

async function modernServers({ servers }: AllServersOptions): Promise<readonly Server[]> {
  const eras = await Promise.allSettled(servers().map((server) => within(server.shared(), ERA_WAIT_MS)))
  return servers().filter((_, at) => {
    const connection = eras[at]
    return connection?.status === 'fulfilled' && connection.value?.profile.era === 'modern'
  })
}

async function discover(options: AllServersOptions): Promise<JsonObject> {
  if ((await modernServers(options)).length === 0) {
    throw new WireError('WIRE_ERA_MISMATCH', 'no server here speaks 2026-07-28; connect with initialize')
  }
  return {
    resultType: 'complete',
    supportedVersions: MODERN_VERSIONS,
    capabilities: AGGREGATE_CAPABILITIES,
    ttlMs: 0,
    cacheScope: 'private',
    _meta: { [META_SERVER_INFO]: options.clientInfo },
  }
}
