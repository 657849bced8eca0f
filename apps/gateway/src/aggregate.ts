/** What both eras of `/mcp` share: one list out of many, and results that name their resources for this endpoint. */
import {
  isObject,
  joinName,
  joinResource,
  joinResultUris,
  type Exchange,
  type JsonObject,
  type JsonRpcResponse,
} from '@mcp-gateway/wire'
import { errorText } from './connection-pool.ts'
import { LIST_METHODS, type ListKind, type ServerList } from './list-cache.ts'
import type { Logger } from './log.ts'
import type { Server, ServerState } from './server.ts'

/** What `/mcp` offers whatever the servers do: lists may be empty, and the gateway announces changes itself. */
const AGGREGATE_CAPABILITIES: JsonObject = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  completions: {},
  logging: {},
}

/** The union of what the servers can do. Of a capability that several have, the last one's details win. */
export function unionOf(states: readonly ServerState[]): JsonObject {
  let union = AGGREGATE_CAPABILITIES
  for (const { profile } of states) {
    for (const [name, value] of Object.entries(profile?.capabilities ?? {})) {
      // Tasks of 2025-11-25 live at one server; behind several nobody could say whose a task id is.
      if (name === 'tasks' || name in AGGREGATE_CAPABILITIES) continue
      const before = union[name]
      union = { ...union, [name]: isObject(before) && isObject(value) ? { ...before, ...value } : value }
    }
  }
  return union
}

/** The kind of list that a method asks for. */
export function listKindOf(method: string): ListKind | undefined {
  return KIND_OF.get(method)
}

const KIND_OF: ReadonlyMap<string, ListKind> = new Map(
  Object.entries(LIST_METHODS).map(([kind, method]) => [method, kind as ListKind]),
)

/** How long a list waits for a server, so that one that hangs hides no other. */
const LIST_WAIT_MS = 10_000

export type ListOptions = {
  readonly kind: ListKind
  readonly servers: readonly Server[]
  readonly listOf: (server: Server) => Promise<ServerList>
  readonly logger: Logger
  /** A server that was left out for being slow has its list after all. */
  readonly onLate?: () => void
}

/** The lists of all servers. One that fails or is slow is logged and left out: a broken server hides no other. */
export async function listEverywhere({ kind, servers, listOf, logger, onLate }: ListOptions): Promise<ServerList> {
  const lists = await Promise.all(
    servers.map(async (server): Promise<ServerList | undefined> => {
      const asked = listOf(server)
      try {
        const list = await within(asked, LIST_WAIT_MS)
        if (list !== undefined) return joined(kind, server.id, list, logger)
        logger.warn({ server: server.id, kind }, 'left out of a list: too slow')
        asked.then(onLate, (error: unknown) => logger.warn({ server: server.id, kind, error: errorText(error) }, 'no list')) // prettier-ignore
      } catch (error) {
        logger.warn({ server: server.id, kind, error: errorText(error) }, 'left out of a list')
      }
      return undefined
    }),
  )
  return merged(lists)
}

/** A list as this endpoint shows it, made once for as long as the server's list stays the same. */
const joinedLists = new WeakMap<ServerList, ServerList>()

function joined(kind: ListKind, serverId: string, list: ServerList, logger: Logger): ServerList {
  const known = joinedLists.get(list)
  if (known !== undefined) return known
  const items = new Map<string, JsonObject>()
  for (const item of list.items) {
    const shown = joinItem(kind, serverId, item)
    const key = keyOf(kind, shown)
    // Two long names may shorten to one; calling the wrong tool is worse than missing one.
    if (items.has(key))
      logger.error({ server: serverId, kind, name: item['name'], shown: key }, 'left out of a list: its name is taken') // prettier-ignore
    else items.set(key, shown)
  }
  const result = { ...list, items: [...items.values()] }
  joinedLists.set(list, result)
  return result
}

/** The shortest lifetime and the narrowest scope of all hold for the whole. */
function merged(lists: readonly (ServerList | undefined)[]): ServerList {
  const known = lists.filter((list) => list !== undefined)
  return {
    items: known.flatMap(({ items }) => items),
    ttlMs: lists.length > known.length || known.length === 0 ? 0 : Math.min(...known.map(({ ttlMs }) => ttlMs)),
    isPublic: known.length > 0 && known.every(({ isPublic }) => isPublic),
  }
}

export type Page = { readonly items: readonly JsonObject[]; readonly nextCursor?: string }

const PAGE_SIZE = 5000

/** Sorted, because clients cache what they prompt with. A cursor names the last item of its page: it holds when servers come and go. */
export function pageOf(kind: ListKind, items: readonly JsonObject[], cursor: unknown): Page {
  const sorted = items.toSorted((a, b) => compare(keyOf(kind, a), keyOf(kind, b)))
  const after = typeof cursor === 'string' ? Buffer.from(cursor, 'base64url').toString('utf8') : undefined
  const from = after === undefined ? 0 : sorted.findIndex((item) => compare(keyOf(kind, item), after) > 0)
  const page = from === -1 ? [] : sorted.slice(from, from + PAGE_SIZE)
  const last = page.at(-1)
  const isLast = last === undefined || last === sorted.at(-1)
  return { items: page, ...(!isLast && { nextCursor: Buffer.from(keyOf(kind, last)).toString('base64url') }) }
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
export async function* answer(respond: () => JsonRpcResponse | Promise<JsonRpcResponse>): Exchange {
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

function keyOf(kind: ListKind, item: JsonObject): string {
  if (kind === 'resources') return String(item['uri'])
  return String(kind === 'resourceTemplates' ? item['uriTemplate'] : item['name'])
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
