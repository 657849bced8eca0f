/**
 * `/mcp`, legacy era: one client session over a session with every server. Those are opened when the client first needs the
 * server, with the client's own `initialize`, so that every server knows what the client can do.
 */
import {
  isRequest,
  isResponse,
  joinUri,
  legacyResponse,
  mapExchange,
  negotiateVersion,
  responseOf,
  resultResponse,
  WireError,
  type Exchange,
  type JsonObject,
  type JsonRpcMessage,
  type JsonRpcRequest,
  type JsonRpcResponse,
  type Peer,
  type RequestOptions,
  type SessionBackend,
} from '@mcp-gateway/wire'
import { answer, joinResponse, listEverywhere, listKindOf, pageOf, unionOf } from './aggregate.ts'
import type { AllServersOptions } from './all-servers.ts'
import { errorText } from './connection-pool.ts'
import { askerOf, type CallContext } from './context.ts'
import { SUBJECTS, type ListKind } from './list-cache.ts'
import { OWN_ID } from './own-server.ts'
import { onCall } from './pipeline.ts'
import { createQuestions } from './questions.ts'
import { routeOrRefusal, sentBy } from './route.ts'
import type { ServerSession } from './server-session.ts'
import type { Server } from './server.ts'

export function openAllServersSession(
  options: AllServersOptions,
  context: CallContext,
  peer: Peer,
): SessionBackend<CallContext> {
  const { pipeline, logger, discovery, own } = options
  const sessions = new Map<Server, Promise<ServerSession>>()
  const questions = createQuestions<ServerSession>()
  let initializeParams: JsonObject = {}
  let logLevel: JsonObject | undefined
  let ended = false
  let asker = askerOf(context)

  /** A server's message as this endpoint says it; two servers may use the same ids and the same URIs. */
  const outward = (message: JsonRpcMessage, server: Server, session: ServerSession): JsonRpcMessage => {
    if (isRequest(message)) return questions.ask(message, server.id, session)
    if (isResponse(message)) return message
    const { params } = message
    if (message.method === 'notifications/resources/updated' && typeof params?.['uri'] === 'string') {
      return { ...message, params: { ...params, uri: joinUri(server.id, params['uri']) } }
    }
    return message.method === 'notifications/cancelled' ? questions.cancel(message, session) : message
  }

  const open = async (server: Server): Promise<ServerSession> => {
    if (ended) throw new WireError('WIRE_SESSION_UNKNOWN', 'the session has ended')
    const session: ServerSession = server.openSession(() => asker, {
      // List changes are announced by the gateway, once for all who see the server.
      send: (message) => {
        if (!String(message['method']).endsWith('/list_changed')) peer.send(outward(message, server, session))
      },
    })
    try {
      const ask = async (method: string, params: JsonObject): Promise<JsonRpcResponse> =>
        responseOf(session.request({ jsonrpc: '2.0', id: method, method, params }, {}))
      const { error } = await ask('initialize', initializeParams)
      if (error !== undefined) {
        throw new WireError('WIRE_UPSTREAM_REFUSED', `server ${server.id} refused initialize: ${error.message}`)
      }
      await session.notify({ jsonrpc: '2.0', method: 'notifications/initialized' })
      if (logLevel !== undefined) await ask('logging/setLevel', logLevel)
      return session
    } catch (error) {
      await session[Symbol.asyncDispose]()
      throw error
    }
  }

  const sessionWith = (server: Server): Promise<ServerSession> => {
    const known = sessions.get(server)
    if (known !== undefined) return known
    const opening = open(server)
    sessions.set(server, opening)
    opening.catch(() => sessions.delete(server))
    return opening
  }

  const openSessions = async (): Promise<readonly ServerSession[]> => {
    const settled = await Promise.allSettled(sessions.values())
    return settled.flatMap((item) => (item.status === 'fulfilled' ? [item.value] : []))
  }

  const announce = (kind: ListKind): void => {
    const subject = SUBJECTS[kind]
    if (!ended) peer.send({ jsonrpc: '2.0', method: `notifications/${subject}/list_changed` })
  }
  const stopWatching = discovery.onListChanged(context, announce)

  const list = async (kind: ListKind, cursor: unknown): Promise<JsonObject> => {
    const listOf = async (server: Server) =>
      pipeline.authority.shown(context, server.id, kind, await (await sessionWith(server)).list(kind))
    const { items } = await discovery.list(kind, context, (servers) =>
      listEverywhere({ kind, servers, listOf, logger, onLate: () => announce(kind) }),
    )
    const page = pageOf(kind, items, cursor)
    return { [kind]: page.items, ...(page.nextCursor !== undefined && { nextCursor: page.nextCursor }) }
  }

  const local = async ({ id, method, params = {} }: JsonRpcRequest): Promise<JsonRpcResponse> => {
    switch (method) {
      case 'initialize': {
        initializeParams = params
        const capabilities = unionOf(discovery.visible(context).map((server) => server.state()))
        return resultResponse(id, initializeResult(params, capabilities, options.clientInfo))
      }
      case 'ping':
        return resultResponse(id, {})
      case 'logging/setLevel': {
        logLevel = params
        const setLevel = (session: ServerSession) => responseOf(session.request({ jsonrpc: '2.0', id, method, params }, {})) // prettier-ignore
        await Promise.allSettled((await openSessions()).map(setLevel))
        return resultResponse(id, {})
      }
      default: {
        const kind = listKindOf(method)
        if (kind === undefined) throw new WireError('WIRE_METHOD_NOT_FOUND', `${method} is not offered on /mcp`)
        return resultResponse(id, await list(kind, params['cursor']))
      }
    }
  }

  async function* forward(server: Server, granted: JsonRpcRequest, requestOptions: RequestOptions): Exchange {
    const session = await sessionWith(server)
    const exchange = joinResponse(session.request(granted, requestOptions), server.id)
    return yield* mapExchange(exchange, { onMessage: (said) => outward(said, server, session) })
  }

  return {
    request(message, callContext, requestOptions) {
      asker = askerOf(callContext)
      const call = { ...callContext, message, sent: () => message, server: undefined }
      if (own.offers(message) && discovery.isOptIn(callContext)) {
        const respond = async () => legacyResponse(await own.answer(message, callContext, requestOptions.signal))
        const sent = () => own.named(message)
        return onCall({ ...call, sent, server: OWN_ID, forward: () => answer(respond) }, pipeline)
      }
      const lookup = async (server: Server, kind: ListKind) => (await (await sessionWith(server)).list(kind)).items
      const route = routeOrRefusal(message, discovery.visible(callContext), lookup)
      if (route instanceof WireError) {
        return onCall({ ...call, forward: () => Promise.reject(route) }, pipeline)
      }
      if (route === undefined) {
        return onCall({ ...call, forward: () => answer(() => local(message)) }, pipeline)
      }
      const { server } = route
      const forwardTo = (granted: JsonRpcRequest) => forward(server, granted, requestOptions)
      return onCall({ ...call, sent: () => sentBy(route, message), server: server.id, forward: forwardTo }, pipeline)
    },
    async notify(message, callContext) {
      asker = askerOf(callContext)
      if (message.method === 'notifications/initialized') return
      const settled = await Promise.allSettled((await openSessions()).map((session) => session.notify(message)))
      for (const { reason } of settled.filter((item) => item.status === 'rejected')) {
        logger.debug({ error: errorText(reason) }, 'a notification was not delivered')
      }
    },
    async respond(message) {
      const answered = questions.answer(message)
      if (answered !== undefined) await answered.asker.respond(answered.message)
    },
    async [Symbol.asyncDispose]() {
      ended = true
      stopWatching()
      await Promise.all((await openSessions()).map((session) => session[Symbol.asyncDispose]()))
    },
  }
}

function initializeResult(params: JsonObject, capabilities: JsonObject, serverInfo: JsonObject): JsonObject {
  return { protocolVersion: negotiateVersion(params['protocolVersion']), capabilities, serverInfo }
}
