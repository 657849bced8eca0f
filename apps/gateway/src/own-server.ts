/** The gateway as an MCP server: its own tools, on `/mcp` as `gateway__…` and alone at `/mcp/server/gateway`. */
import { isObject, joinName, resultResponse, splitName, WireError, without, type JsonObject, type JsonRpcRequest, type JsonRpcResponse } from '@mcp-gateway/wire' // prettier-ignore
import { errorText } from './connection-pool.ts'
import type { CallContext } from './context.ts'
import type { ServerList } from './list-cache.ts'
import type { OwnTool } from './own-tools.ts'

/** No server of the configuration may be called so. */
export const OWN_ID = 'gateway'

export type OwnServer = {
  /** Its tools under their own names. */
  readonly tools: () => ServerList
  /** These as `/mcp` shows them. */
  readonly prefixed: (list: ServerList) => ServerList
  /** Whether a request on `/mcp` calls one of its tools. */
  offers(message: JsonRpcRequest): boolean
  /** A call of one of its tools under the tool's own name. */
  named(message: JsonRpcRequest): JsonRpcRequest
  /** Answers `tools/call`, with the name as it is on `/mcp` or without its prefix. */
  answer(message: JsonRpcRequest, context: CallContext, signal?: AbortSignal): Promise<JsonRpcResponse>
}

export function createOwnServer(ownTools: () => readonly OwnTool[]): OwnServer {
  const describe = (tool: OwnTool): JsonObject => without(tool, 'run')
  return {
    tools: () => ({ items: ownTools().map(describe), ttlMs: 0, isPublic: false }),
    prefixed: ({ items, ...list }) => ({
      ...list,
      items: items.map((tool) => ({ ...tool, name: joinName(OWN_ID, String(tool['name'])) })),
    }),
    offers: ({ method, params }) => method === 'tools/call' && splitName(String(params?.['name']))?.serverId === OWN_ID,
    named: (message) =>
      message.method === 'tools/call' ? { ...message, params: { ...message.params, name: ownName(message) } } : message,
    async answer(message, context, signal) {
      const { id, params = {} } = message
      const asked = String(params['name'])
      const name = ownName(message)
      const tool = ownTools().find((item) => item.name === name)
      if (tool === undefined) throw new WireError('WIRE_UNKNOWN_NAME', `unknown tool: ${asked.slice(0, 200)}`)
      const args = isObject(params['arguments']) ? params['arguments'] : {}
      return resultResponse(id, { resultType: 'complete', ...(await outcomeOf(tool, args, context, signal)) })
    },
  }
}

function ownName({ params }: JsonRpcRequest): string {
  const asked = String(params?.['name'])
  const parts = splitName(asked)
  return parts?.serverId === OWN_ID ? parts.name : asked
}

/** A tool's failure is a result that the model reads (server/tools, error handling). */
async function outcomeOf(
  tool: OwnTool,
  args: JsonObject,
  context: CallContext,
  signal?: AbortSignal,
): Promise<JsonObject> {
  try {
    const result = await tool.run(args, context, signal)
    // A call of another server's tool is passed on as it came.
    if (Array.isArray(result['content'])) return result
    return { content: [{ type: 'text', text: JSON.stringify(result) }], structuredContent: result }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? `${String(error.code)}: ` : ''
    return { content: [{ type: 'text', text: `${code}${errorText(error)}` }], isError: true }
  }
}
