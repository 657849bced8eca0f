// Clients of 2026-07-28 in front of a server of 2025-11-25, from @mcp-gateway/wire alone. The server asks its client in the
// middle of a call; the client gets `input_required` instead, and brings the answer with its next request.
import { createServer, type Server } from 'node:http'
import {
  baseEnvironment,
  createHttpEndpoint,
  createModernToLegacy,
  createSharedSession,
  createStateSealer,
  createStdioUpstream,
  openConnection,
  WireError,
} from '@mcp-gateway/wire'

export async function createProxy(
  command: string,
  args: readonly string[],
): Promise<AsyncDisposable & { server: Server }> {
  // What the server is told of its client: that it can be asked.
  const initialize = {
    protocolVersion: '2025-11-25',
    capabilities: { elicitation: {} },
    clientInfo: { name: 'proxy', version: '1.0.0' },
  }
  const env = baseEnvironment(process.env)
  const connection = await openConnection(
    (onMessage) =>
      createStdioUpstream({ command, args, env, attribution: 'newest', onMessage, onDiagnostic: console.error }),
    { clientInfo: initialize.clientInfo, probe: false, initialize },
  )
  const session = createSharedSession(connection)
  const translator = createModernToLegacy({ serverId: 'old', sealer: createStateSealer() })
  const endpoint = createHttpEndpoint({
    backend: {
      request: (message, { principal }, options) => translator.request(message, principal, () => session, options),
      notify: async () => undefined,
      openSession: () => {
        throw new WireError('WIRE_METHOD_NOT_FOUND', 'this example is for clients of 2026-07-28')
      },
    },
  })
  const server = createServer((req, res) => void endpoint.handle(req, res, { principal: 'anybody' }))
  return {
    server,
    async [Symbol.asyncDispose]() {
      server.close().closeAllConnections()
      await endpoint.close()
      translator.close()
      await connection.upstream[Symbol.asyncDispose]()
    },
  }
}
