/** What both eras of `/mcp` share: one list out of many, and results that name their resources for this endpoint. */
import {
  joinName,
  joinResource,
  joinResultUris,
  type ClientInfo,
  type Exchange,
  type JsonObject,
  type JsonRpcResponse,
} from '@mcp-gateway/wire'
import type { Logger } from './log.ts'
import type { Pipeline } from './pipeline.ts'
import { LIST_METHODS, type ListKind, type Server } from './server.ts'

export type AllServersOptions = {
  readonly servers: () => readonly Server[]
  readonly clientInfo: ClientInfo
  readonly pipeline: Pipeline
  readonly logger: Logger
}

/** What `/mcp` offers whatever the servers do: lists may be empty. */
export const AGGREGATE_CAPABILITIES: JsonObject = { tools: {}, prompts: {}, resources: {}, completions: {} }

/** The kind of list that a method asks for. */
export function listKindOf(method: string): ListKind | undefined {
  return (Object.keys(LIST_METHODS) as ListKind[]).find((kind) => LIST_METHODS[kind] === method)
}

/** One list out of many, sorted by server; a server that fails is logged and left out, so that it hides no other. */
export async function listEverywhere(
  kind: ListKind,
  servers: readonly Server[],
  list: (server: Server) => Promise<readonly JsonObject[]>,
  logger: Logger,
): Promise<readonly JsonObject[]> {
  const lists = await Promise.all(
    servers.map(async (server) => {
      try {
        return (await list(server)).map((item) => joinItem(kind, server.id, item))
      } catch (error) {
        logger.warn({ server: server.id, kind, error: String(error) }, 'left out of a list')
        return []
      }
    }),
  )
  return lists.flat()
}

/** An exchange that the gateway answers itself. */
export async function* answer(respond: () => Promise<JsonRpcResponse>): Exchange {
  return await respond()
}

/** The exchange of one server with the resource URIs of its result joined. */
export async function* joinResponse(exchange: Exchange, serverId: string): Exchange {
  const response = yield* exchange
  return response.result === undefined ? response : { ...response, result: joinResultUris(serverId, response.result) }
}

function joinItem(kind: ListKind, serverId: string, item: JsonObject): JsonObject {
  if (kind === 'resources' || kind === 'resourceTemplates') return joinResource(serverId, item)
  return { ...item, name: joinName(serverId, String(item['name'])) }
}
