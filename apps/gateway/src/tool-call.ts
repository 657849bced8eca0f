/** A tool called over REST: the same pipeline, as a modern client without capabilities. */
import { isObject, legacyResult, modernMeta, responseOf, WireError, type JsonObject, type JsonRpcRequest } from '@mcp-gateway/wire' // prettier-ignore
import type { CallContext } from './context.ts'
import { GatewayError } from './errors.ts'
import { onCall, type Pipeline } from './pipeline.ts'
import type { Server } from './server.ts'

/** The `CallToolResult`, `isError` included. Throws GATEWAY_SERVER_ERROR when the server answers with a JSON-RPC error. */
export async function callTool(
  server: Server,
  name: string,
  args: JsonObject,
  context: CallContext,
  pipeline: Pipeline,
  signal: AbortSignal | undefined,
): Promise<JsonObject> {
  const params = { name, arguments: args, _meta: modernMeta({ name: context.caller.id, version: '1' }) }
  const message: JsonRpcRequest = { jsonrpc: '2.0', id: context.requestId, method: 'tools/call', params }
  const forward = async (granted: JsonRpcRequest) => {
    const headers = await server.mirrorHeaders(granted, context)
    return server.request(granted, context, { signal, headers })
  }
  const exchange = onCall({ ...context, message, sent: () => message, server: server.id, forward }, pipeline)
  const { result, error } = await responseOf(exchange).catch(withoutName)
  // REST knows no protocol versions: what is only about them is left out.
  if (isObject(result)) return legacyResult(result)
  const invalid = error?.code === -32602 || error?.code === -32601
  throw new GatewayError(
    invalid ? 'GATEWAY_INVALID_REQUEST' : 'GATEWAY_SERVER_ERROR',
    `server ${server.id} answered with error ${error?.code}: ${error?.message}`,
    { data: { rpcCode: error?.code } },
  )
}

/** A tool that is hidden from the caller fails as one does that its server has never heard of. */
function withoutName(failure: unknown): never {
  if (failure instanceof WireError && failure.code === 'WIRE_UNKNOWN_NAME')
    throw new GatewayError('GATEWAY_INVALID_REQUEST', failure.message)
  throw failure
}
