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

/** How long a list waits for a server, so that one that hangs hides no other. */
const LIST_WAIT_MS = 10_000

export type ListOptions = {
  readonly kind: ListKind
  readonly servers: readonly Server[]
  readonly listOf: (server: Server) => Promise<readonly JsonObject[]>
  readonly logger: Logger
  /** A server that was left out for being slow has its list after all. */
  readonly onLate?: () => void
}

/** One list out of many, in the order of the configuration. A server that fails or is slow is logged and left out. */
export async function listEverywhere({
  kind,
  servers,
  listOf,
  logger,
  onLate,
}: ListOptions): Promise<readonly JsonObject[]> {
  const lists = await Promise.all(
    servers.map(async (server) => {
      const asked = listOf(server)
      try {
        const items = await within(asked, LIST_WAIT_MS)
        if (items !== undefined) return items.map((item) => joinItem(kind, server.id, item))
        logger.warn({ server: server.id, kind }, 'left out of a list: too slow')
        asked.then(onLate, (error: unknown) =>
          logger.warn({ server: server.id, kind, error: String(error) }, 'no list'),
        )
      } catch (error) {
        logger.warn({ server: server.id, kind, error: String(error) }, 'left out of a list')
      }
      return []
    }),
  )
  return lists.flat()
}

/** The value, or undefined when it takes longer. */
export async function within<T>(value: Promise<T>, ms: number): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), ms)
  try {
    return await Promise.race([value, late])
  } finally {
    clearTimeout(timer)
  }
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
