// A whole MCP proxy from @mcp-gateway/wire alone: Streamable HTTP in front, a child on stdio behind, both eras.
// The modern era has no sessions, so all its clients share one child; every legacy session gets a child of its own.
import { createServer, type Server } from 'node:http'
import { baseEnvironment, createHttpEndpoint, createStdioUpstream } from '@mcp-gateway/wire'
import type { Backend, Context, JsonRpcMessage, Upstream } from '@mcp-gateway/wire'

export function createProxy(command: string, args: readonly string[]): AsyncDisposable & { server: Server } {
  const connect = (onMessage: (message: JsonRpcMessage) => void): Upstream =>
    createStdioUpstream({
      command,
      args,
      env: baseEnvironment(process.env),
      attribution: 'newest',
      onMessage,
      onDiagnostic: console.error,
    })
  const shared = connect(() => undefined)
  const backend: Backend<Context> = {
    request: (message, _context, options) => shared.request(message, options),
    notify: (message) => shared.notify(message),
    openSession(_context, peer) {
      const child = connect(peer.send)
      return { ...child, request: (message, _caller, options) => child.request(message, options) }
    },
  }
  const endpoint = createHttpEndpoint({ backend })
  const server = createServer((req, res) => void endpoint.handle(req, res, { principal: 'anybody' }))
  return {
    server,
    async [Symbol.asyncDispose]() {
      server.close().closeAllConnections()
      await endpoint.close()
      await shared[Symbol.asyncDispose]()
    },
  }
}
