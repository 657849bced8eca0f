/** The cheapest question that every server of an era must answer. */
import { modernMeta, type ClientInfo, type Era, type JsonRpcRequest } from '@mcp-gateway/wire'

export function probeRequest(era: Era, clientInfo: ClientInfo): JsonRpcRequest {
  return era === 'modern'
    ? { jsonrpc: '2.0', id: 'health', method: 'server/discover', params: { _meta: modernMeta(clientInfo) } }
    : { jsonrpc: '2.0', id: 'health', method: 'ping' }
}
