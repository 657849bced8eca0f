/** `/mcp/server/:id`: one server, nothing renamed. */
import type { Backend, SessionBackend } from '@mcp-gateway/wire'
import type { CallContext } from './context.ts'
import { onCall, type Pipeline } from './pipeline.ts'
import type { Server } from './server.ts'

export function singleServerBackend(server: Server, pipeline: Pipeline): Backend<CallContext> {
  return {
    request(message, context, options) {
      const forward = () => server.request(message, context.principal, options)
      return onCall({ ...context, message, server: server.id, forward }, pipeline)
    },
    async notify(message) {
      // The id in it is the client's, on a connection where ids are ours; over HTTP closing the stream is the cancel.
      if (message.method !== 'notifications/cancelled') await server.notify(message)
    },
    openSession: ({ principal }, peer): SessionBackend<CallContext> => {
      const session = server.openSession(principal, peer)
      return {
        request(message, context, options) {
          const forward = () => session.request(message, options)
          return onCall({ ...context, message, server: server.id, forward }, pipeline)
        },
        notify: (message) => session.notify(message),
        respond: (message) => session.respond(message),
        [Symbol.asyncDispose]: async () => session[Symbol.asyncDispose](),
      }
    },
  }
}
