/** `/mcp/server/:id`: one server, nothing renamed. */
import type { Backend, Exchange, JsonRpcRequest, RequestOptions, SessionBackend } from '@mcp-gateway/wire'
import { askerOf, type Asker, type CallContext } from './context.ts'
import { onCall, type Pipeline } from './pipeline.ts'
import type { Server } from './server.ts'

export function singleServerBackend(server: Server, pipeline: Pipeline): Backend<CallContext> {
  return {
    request(message, context, options) {
      const forward = (granted: JsonRpcRequest) => requestGranted(server, granted, message, context, options)
      return onCall({ ...context, message, sent: () => message, server: server.id, forward }, pipeline)
    },
    async notify(message, context) {
      // The id in it is the client's, on a connection where ids are ours; over HTTP closing the stream is the cancel.
      if (message.method !== 'notifications/cancelled') await server.notify(message, context)
    },
    openSession: (opener, peer): SessionBackend<CallContext> => {
      let asker = askerOf(opener)
      const session = server.openSession(() => asker, peer)
      return {
        request(message, context, options) {
          asker = askerOf(context)
          const forward = (granted: JsonRpcRequest) => session.request(granted, options)
          return onCall({ ...context, message, sent: () => message, server: server.id, forward }, pipeline)
        },
        notify(message, context) {
          asker = askerOf(context)
          return session.notify(message)
        },
        respond: (message) => session.respond(message),
        [Symbol.asyncDispose]: async () => session[Symbol.asyncDispose](),
      }
    },
  }
}

/** Arguments that were redacted are no longer those of the client's `Mcp-Param-*` headers (SEP-2243). */
export function requestGranted(
  server: Server,
  granted: JsonRpcRequest,
  message: JsonRpcRequest,
  asker: Asker,
  options: RequestOptions,
): Exchange | Promise<Exchange> {
  const isUntouched = granted.params?.['arguments'] === message.params?.['arguments']
  if (isUntouched) return server.request(granted, asker, options)
  return server.mirrorHeaders(granted, asker).then((headers) => server.request(granted, asker, { ...options, headers }))
}
