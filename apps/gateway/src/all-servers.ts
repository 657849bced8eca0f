/** `/mcp`, modern era: every server behind one endpoint, stateless. */
import {
  META_CLIENT_CAPABILITIES,
  META_SERVER_INFO,
  metaOf,
  MODERN_VERSIONS,
  resultResponse,
  WireError,
  without,
  type Backend,
  type ClientInfo,
  type Exchange,
  type JsonObject,
  type JsonRpcRequest,
  type JsonRpcResponse,
  type RequestOptions,
} from '@mcp-gateway/wire'
import { answer, joinResponse, listEverywhere, listKindOf, pageOf, unionOf, within } from './aggregate.ts'
import { openAllServersSession } from './all-servers-session.ts'
import { askerOf, type CallContext } from './context.ts'
import type { Discovery } from './discovery.ts'
import { listenEverywhere } from './listen-everywhere.ts'
import type { Logger } from './log.ts'
import { OWN_ID, type OwnServer } from './own-server.ts'
import { onCall, type Call, type Pipeline } from './pipeline.ts'
import { routeOrRefusal, sentBy, type Route } from './route.ts'
import type { Server, View } from './server.ts'
import { requestGranted } from './single-server.ts'

export type AllServersOptions = {
  /** Which of them a caller sees here. */
  readonly discovery: Discovery
  /** The gateway as a server. */
  readonly own: OwnServer
  readonly clientInfo: ClientInfo
  readonly pipeline: Pipeline
  readonly logger: Logger
}

export function allServersBackend(options: AllServersOptions): Backend<CallContext> {
  const { pipeline, discovery, own } = options

  const local = async (message: JsonRpcRequest, context: CallContext): Promise<JsonRpcResponse> => {
    if (message.method === 'server/discover') return resultResponse(message.id, await discover(options, context))
    const kind = listKindOf(message.method)
    if (kind === undefined) throw new WireError('WIRE_METHOD_NOT_FOUND', `${message.method} is not offered here`)
    const view = viewOf(message, context)
    const listOf = async (server: Server) =>
      pipeline.authority.shown(context, server.id, kind, await server.list(kind, view))
    const { items, ttlMs, isPublic } = await discovery.list(kind, context, (servers) =>
      listEverywhere({ kind, servers, listOf, logger: options.logger }),
    )
    const { items: page, ...next } = pageOf(kind, items, message.params?.['cursor'])
    const cacheScope = isPublic ? 'public' : 'private'
    return resultResponse(message.id, { resultType: 'complete', [kind]: page, ...next, ttlMs, cacheScope })
  }

  return {
    request(message, context, requestOptions) {
      const call = { ...context, message, sent: () => message, server: undefined }
      if (own.offers(message) && discovery.isOptIn(context)) {
        const respond = () => own.answer(message, context, requestOptions.signal)
        const sent = () => own.named(message)
        return onCall({ ...call, sent, server: OWN_ID, forward: () => answer(respond) }, pipeline)
      }
      if (message.method === 'subscriptions/listen') {
        const listen = () => listenEverywhere(options, message, context, requestOptions.signal)
        return onCall({ ...call, forward: listen }, pipeline)
      }
      const view = viewOf(message, context)
      const lookup = async (server: Server, kind: Parameters<Server['list']>[0]) =>
        (await server.list(kind, view)).items
      const route = routeOrRefusal(message, discovery.visible(context), lookup)
      if (route instanceof WireError) {
        return onCall({ ...call, forward: () => Promise.reject(route) }, pipeline)
      }
      if (route === undefined) {
        return onCall({ ...call, forward: () => answer(() => local(message, context)) }, pipeline)
      }
      return onCall({ ...call, ...routed(route, message, context, requestOptions) }, pipeline)
    },
    async notify() {
      // Nothing says which server it is for.
    },
    openSession: (context, peer) => openAllServersSession(options, context, peer),
  }
}

/** The part of a call that depends on its route. */
function routed(
  route: Route,
  message: JsonRpcRequest,
  context: CallContext,
  requestOptions: RequestOptions,
): Pick<Call, 'sent' | 'server' | 'forward'> {
  const { server } = route
  const forward = async (granted: JsonRpcRequest): Promise<Exchange> =>
    joinResponse(await requestGranted(server, granted, message, context, requestOptions), server.id)
  return { server: server.id, sent: () => sentBy(route, message), forward }
}

function viewOf(message: JsonRpcRequest, context: CallContext): View {
  return { ...askerOf(context), capabilities: (metaOf(message)?.[META_CLIENT_CAPABILITIES] ?? {}) as JsonObject }
}

/** How long `server/discover` waits for the servers: clients give up their probe soon and fall back to `initialize`. */
const DISCOVER_WAIT_MS = 3000

async function discover({ discovery, clientInfo }: AllServersOptions, context: CallContext): Promise<JsonObject> {
  const servers = discovery.visible(context)
  await Promise.allSettled(servers.map((server) => within(server.profile(context), DISCOVER_WAIT_MS)))
  // The log level travels with each request here.
  const capabilities = without(unionOf(servers.map((server) => server.state())), 'logging')
  return {
    resultType: 'complete',
    supportedVersions: MODERN_VERSIONS,
    capabilities,
    ttlMs: 0,
    cacheScope: 'private',
    _meta: { [META_SERVER_INFO]: clientInfo },
  }
}
