/** `/mcp/server/:id`: one server, nothing renamed. */
import {
  checkParamHeaders,
  WireError,
  type Backend,
  type Exchange,
  type JsonRpcRequest,
  type RequestOptions,
  type SessionBackend,
} from '@mcp-gateway/wire'
import type { CallContext } from './context.ts'
import { onCall, type Pipeline } from './pipeline.ts'
import type { Connection, Server } from './server.ts'

export function singleServerBackend(server: Server, pipeline: Pipeline): Backend<CallContext> {
  return {
    request: (message, context, options) =>
      onCall(
        { ...context, message, server: server.id, forward: () => forwardModern(server, message, options) },
        pipeline,
      ),
    async notify(message) {
      // The id in it is the client's, on a connection where ids are ours; over HTTP closing the stream is the cancel.
      if (message.method === 'notifications/cancelled') return
      const { upstream, profile } = await server.shared()
      if (profile.era === 'modern') await upstream.notify(message)
    },
    openSession: (_context, peer): SessionBackend<CallContext> => {
      const upstream = server.connect((message) => peer.send(message))
      // The server is gone: with 404 the client learns that its session is, too, and opens a new one.
      void upstream.closed.then(() => peer.close())
      return {
        request: (message, callContext, options) =>
          onCall(
            { ...callContext, message, server: server.id, forward: () => upstream.request(message, options) },
            pipeline,
          ),
        notify: (message) => upstream.notify(message),
        respond: (message) => upstream.respond(message),
        [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose](),
      }
    },
  }
}

/** A modern request over the shared connection. Without an await when the connection is open and no header is to be checked. */
export function forwardModern(
  server: Server,
  message: JsonRpcRequest,
  options: RequestOptions,
): Exchange | Promise<Exchange> {
  const connection = server.current()
  if (connection === undefined) return server.shared().then((opened) => forwardOver(server, opened, message, options))
  return forwardOver(server, connection, message, options)
}

function forwardOver(
  server: Server,
  connection: Connection,
  message: JsonRpcRequest,
  options: RequestOptions,
): Exchange | Promise<Exchange> {
  const { upstream, profile } = connection
  if (profile.era !== 'modern') {
    throw new WireError(
      'WIRE_ERA_MISMATCH',
      `server ${server.id} speaks protocol versions up to ${profile.protocolVersion}; connect with initialize`,
    )
  }
  // A server behind HTTP compares its own headers; behind stdio nobody else can (SEP-2243).
  if (server.transport !== 'stdio' || message.method !== 'tools/call') return upstream.request(message, options)
  const declared = server.paramHeaders(String(message.params?.['name']))
  if (!(declared instanceof Promise)) {
    checkParamHeaders(declared, message.params?.['arguments'], options.headers ?? {})
    return upstream.request(message, options)
  }
  return declared.then((found) => {
    checkParamHeaders(found, message.params?.['arguments'], options.headers ?? {})
    return upstream.request(message, options)
  })
}
