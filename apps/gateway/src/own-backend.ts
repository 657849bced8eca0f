/** `/mcp/server/gateway`: the gateway's own tools, for clients of both eras. */
import {
  META_SERVER_INFO,
  MODERN_VERSIONS,
  negotiateVersion,
  resultResponse,
  WireError,
  type Backend,
  type ClientInfo,
  type Exchange,
  type JsonObject,
  type JsonRpcRequest,
  type JsonRpcResponse,
  type RequestOptions,
} from '@mcp-gateway/wire'
import { answer } from './aggregate.ts'
import type { CallContext } from './context.ts'
import { OWN_ID, type OwnServer } from './own-server.ts'
import { onCall, type Pipeline } from './pipeline.ts'

export function ownBackend(own: OwnServer, clientInfo: ClientInfo, pipeline: Pipeline): Backend<CallContext> {
  const instructions = 'Find MCP servers with search_servers, look at one with server_info, call any tool with call.'
  const respond = async (
    message: JsonRpcRequest,
    context: CallContext,
    signal?: AbortSignal,
  ): Promise<JsonRpcResponse> => {
    const done = (result: JsonObject): JsonRpcResponse => resultResponse(message.id, result)
    const uncached = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' }
    switch (message.method) {
      case 'tools/call':
        return own.answer(message, context, signal)
      case 'tools/list':
        return done({ ...uncached, tools: own.tools().items })
      case 'server/discover':
        return done({ ...uncached, supportedVersions: MODERN_VERSIONS, capabilities: { tools: {} }, instructions, _meta: { [META_SERVER_INFO]: clientInfo } }) // prettier-ignore
      case 'initialize': {
        const protocolVersion = negotiateVersion(message.params?.['protocolVersion'])
        return done({ protocolVersion, capabilities: { tools: {} }, serverInfo: clientInfo, instructions })
      }
      case 'ping':
        return done({})
      default:
        throw new WireError('WIRE_METHOD_NOT_FOUND', `${message.method} is not offered here`)
    }
  }
  const request = (message: JsonRpcRequest, context: CallContext, { signal }: RequestOptions): Exchange =>
    onCall({ ...context, message, sent: () => own.named(message), server: OWN_ID, forward: () => answer(() => respond(message, context, signal)) }, pipeline) // prettier-ignore
  const ignore = async (): Promise<void> => undefined
  return {
    request,
    notify: ignore,
    openSession: () => ({ request, notify: ignore, respond: ignore, [Symbol.asyncDispose]: ignore }),
  }
}
