/**
 * `/mcp`, legacy era: one client session over one connection per server. A connection is opened when the session first needs
 * the server, with the client's own `initialize`, so that every server knows what the client can do.
 */
import {
  isObject,
  isRequest,
  isResponse,
  joinUri,
  LEGACY_VERSIONS,
  outcome,
  resultResponse,
  WireError,
  type Exchange,
  type JsonObject,
  type JsonRpcMessage,
  type JsonRpcRequest,
  type JsonRpcResponse,
  type Peer,
  type RequestOptions,
  type ServerProfile,
  type SessionBackend,
} from '@mcp-gateway/wire'
import { AGGREGATE_CAPABILITIES, answer, joinResponse, listEverywhere, listKindOf, type AllServersOptions } from './aggregate.ts' // prettier-ignore
import type { CallContext } from './context.ts'
import { onCall } from './pipeline.ts'
import { resolveRoute } from './route.ts'
import { listAll, type Connection, type ListKind, type Server } from './server.ts'

const START_TIMEOUT_MS = 30_000

const SESSION_CAPABILITIES: JsonObject = {
  ...AGGREGATE_CAPABILITIES,
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  logging: {},
}

type Question = { readonly connection: Connection; readonly id: JsonRpcRequest['id'] }

export function openAllServersSession(options: AllServersOptions, peer: Peer): SessionBackend<CallContext> {
  const { pipeline, logger, servers } = options
  const connections = new Map<string, Promise<Connection>>()
  const questions = new Map<string, Question>()
  let nextQuestion = 1
  let initializeParams: JsonObject = {}
  let logLevel: JsonObject | undefined
  let ended = false

  /** A server's question gets an id of the session's own: two servers may use the same. */
  const outward = (message: JsonRpcMessage, server: Server, connection: Connection): JsonRpcMessage => {
    if (isRequest(message)) {
      const id = `${server.id}-${nextQuestion++}`
      questions.set(id, { connection, id: message.id })
      return { ...message, id }
    }
    if (isResponse(message)) return message
    const { params } = message
    if (message.method === 'notifications/resources/updated' && typeof params?.['uri'] === 'string') {
      return { ...message, params: { ...params, uri: joinUri(server.id, params['uri']) } }
    }
    if (message.method === 'notifications/cancelled') {
      for (const [id, question] of questions) {
        if (question.connection === connection && question.id === params?.['requestId']) {
          questions.delete(id)
          return { ...message, params: { ...params, requestId: id } }
        }
      }
    }
    return message
  }

  const open = async (server: Server): Promise<Connection> => {
    if (ended) throw new WireError('WIRE_SESSION_UNKNOWN', 'the session has ended')
    const early: JsonRpcMessage[] = []
    let connection: Connection | undefined
    const upstream = server.connect((message) => {
      if (connection === undefined) early.push(message)
      else if (!isResponse(message)) peer.send(outward(message, server, connection))
    })
    try {
      const signal = AbortSignal.timeout(START_TIMEOUT_MS)
      const initialize = { jsonrpc: '2.0', id: 'initialize', method: 'initialize', params: initializeParams } as const
      const { result, error } = await outcome(upstream, initialize, signal)
      if (!isObject(result)) {
        throw new WireError(
          'WIRE_UPSTREAM_REFUSED',
          `server ${server.id} refused initialize: ${error?.message ?? 'no result'}`,
        )
      }
      connection = { upstream, profile: profileOf(result) }
      await upstream.notify({ jsonrpc: '2.0', method: 'notifications/initialized' })
      if (logLevel !== undefined) await setLevel(connection, logLevel)
      for (const message of early) if (!isResponse(message)) peer.send(outward(message, server, connection))
      void upstream.closed.then(() => connections.delete(server.id))
      return connection
    } catch (error) {
      await upstream[Symbol.asyncDispose]()
      throw error
    }
  }

  const connectionTo = (server: Server): Promise<Connection> => {
    const known = connections.get(server.id)
    if (known !== undefined) return known
    const opening = open(server)
    connections.set(server.id, opening)
    opening.catch(() => connections.delete(server.id))
    return opening
  }

  const openConnections = async (): Promise<readonly Connection[]> => {
    const settled = await Promise.allSettled(connections.values())
    return settled.flatMap((item) => (item.status === 'fulfilled' ? [item.value] : []))
  }

  const local = async (message: JsonRpcRequest, signal: AbortSignal | undefined): Promise<JsonRpcResponse> => {
    const params = isObject(message.params) ? message.params : {}
    switch (message.method) {
      case 'initialize':
        initializeParams = params
        return resultResponse(message.id, initializeResult(params, options.clientInfo))
      case 'ping':
        return resultResponse(message.id, {})
      case 'logging/setLevel':
        logLevel = params
        await Promise.all((await openConnections()).map((connection) => setLevel(connection, params)))
        return resultResponse(message.id, {})
      default: {
        const kind = listKindOf(message.method)
        if (kind === undefined) throw new WireError('WIRE_METHOD_NOT_FOUND', `${message.method} is not offered on /mcp`)
        const listOf = async (server: Server) => listAll(await connectionTo(server), kind, options.clientInfo, signal)
        return resultResponse(message.id, {
          [kind]: await listEverywhere({ kind, servers: servers(), listOf, logger, onLate: announce(kind) }),
        })
      }
    }
  }

  /** A server that was too slow for a list has it now: the client is told to ask again. */
  const announce = (kind: ListKind) => () => {
    const subject = kind === 'resourceTemplates' ? 'resources' : kind
    if (!ended) peer.send({ jsonrpc: '2.0', method: `notifications/${subject}/list_changed` })
  }

  const forward = async (
    server: Server,
    message: JsonRpcRequest,
    requestOptions: RequestOptions,
  ): Promise<Exchange> => {
    const connection = await connectionTo(server)
    return outwardAll(connection.upstream.request(message, requestOptions), server, connection)
  }

  async function* outwardAll(exchange: Exchange, server: Server, connection: Connection): Exchange {
    const joined = joinResponse(exchange, server.id)
    try {
      for (;;) {
        const next = await joined.next()
        if (next.done) return next.value
        yield outward(next.value, server, connection)
      }
    } finally {
      // Leaving early must reach the connection, which then tells its server.
      await joined.return(undefined as never)
    }
  }

  return {
    request(message, context, requestOptions) {
      const route = resolveRoute(message, servers())
      if (route === undefined) {
        const forwardLocal = () => answer(() => local(message, requestOptions.signal))
        return onCall({ ...context, message, server: undefined, forward: forwardLocal }, pipeline)
      }
      const call = async () => {
        const { server, params } = await route
        return forward(server, { ...message, params }, requestOptions)
      }
      return onCall({ ...context, message, server: route.serverId, forward: call }, pipeline)
    },
    async notify(message) {
      if (message.method === 'notifications/initialized') return
      await Promise.all((await openConnections()).map(({ upstream }) => upstream.notify(message)))
    },
    async respond(message) {
      const id = typeof message.id === 'string' ? message.id : ''
      const question = questions.get(id)
      if (question === undefined) return
      questions.delete(id)
      await question.connection.upstream.respond({ ...message, id: question.id })
    },
    async [Symbol.asyncDispose]() {
      ended = true
      await Promise.all((await openConnections()).map(({ upstream }) => upstream[Symbol.asyncDispose]()))
    },
  }
}

function initializeResult(params: JsonObject, serverInfo: JsonObject): JsonObject {
  const asked = String(params['protocolVersion'])
  const protocolVersion = LEGACY_VERSIONS.includes(asked) ? asked : LEGACY_VERSIONS[0]
  return { protocolVersion, capabilities: SESSION_CAPABILITIES, serverInfo }
}

function profileOf(result: JsonObject): ServerProfile {
  return {
    era: 'legacy',
    protocolVersion: String(result['protocolVersion']),
    capabilities: isObject(result['capabilities']) ? result['capabilities'] : {},
    serverInfo: isObject(result['serverInfo']) ? result['serverInfo'] : undefined,
    instructions: undefined,
  }
}

async function setLevel({ upstream, profile }: Connection, params: JsonObject): Promise<void> {
  if (profile.capabilities['logging'] === undefined) return
  await outcome(upstream, { jsonrpc: '2.0', id: 'level', method: 'logging/setLevel', params })
}
