/**
 * The lists of one connection. A server that announces changes is asked once and again after each of them; any other is asked
 * as often as it says (`ttlMs`), which for a legacy server is every time. Callers that come meanwhile share one question.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isObject, META_CLIENT_CAPABILITIES, modernMeta, outcome, WireError, type ClientInfo, type Connection, type JsonObject } from '@mcp-gateway/wire' // prettier-ignore
import type { Logger } from './log.ts'

export const LIST_METHODS = {
  tools: 'tools/list',
  prompts: 'prompts/list',
  resources: 'resources/list',
  resourceTemplates: 'resources/templates/list',
} as const
export type ListKind = keyof typeof LIST_METHODS

/** What capabilities and notifications call them. */
export const SUBJECTS: Readonly<Record<ListKind, 'tools' | 'prompts' | 'resources'>> = {
  tools: 'tools',
  prompts: 'prompts',
  resources: 'resources',
  resourceTemplates: 'resources',
}

export type ServerList = {
  readonly items: readonly JsonObject[]
  /** How long it holds, in milliseconds; the shortest of its pages. */
  readonly ttlMs: number
  readonly isPublic: boolean
}

export type ListCache = {
  /** Every item. A method that the server doesn't have is an empty list. */
  get(kind: ListKind, capabilities: JsonObject): Promise<ServerList>
  /** Subscriptions that this cache holds at the server. */
  readonly streams: () => number
  close(): void
}

export type ListCacheOptions = {
  readonly connection: Connection
  readonly clientInfo: ClientInfo
  readonly onChanged: (kind: ListKind) => void
  readonly logger: Logger
}

const MAX_PAGES = 100
/** Clients with different capabilities may be shown different lists; more kinds of clients than this share the cache's places. */
const MAX_LISTS = 64
const WATCH_AGAIN_MS = 5000

const CHANGES: Readonly<Record<string, readonly ListKind[]>> = {
  'notifications/tools/list_changed': ['tools'],
  'notifications/prompts/list_changed': ['prompts'],
  'notifications/resources/list_changed': ['resources', 'resourceTemplates'],
}

type Cached = { readonly list: Promise<ServerList>; until: number }

export function createListCache({ connection, clientInfo, onChanged, logger }: ListCacheOptions): ListCache {
  const { upstream, profile } = connection
  const cached = new Map<string, Cached>()
  const stop = new AbortController()
  let watching = false
  let acknowledged = false
  let streams = 0

  const announces = (kind: ListKind): boolean => {
    const declared = profile.capabilities[SUBJECTS[kind]]
    return isObject(declared) && declared['listChanged'] === true
  }
  const forget = (method: unknown): void => {
    for (const kind of CHANGES[String(method)] ?? []) {
      for (const key of cached.keys()) if (key.startsWith(`${kind} `)) cached.delete(key)
      onChanged(kind)
    }
  }
  if (profile.era === 'legacy') connection.listen(({ method }) => forget(method))

  /** A modern server announces changes only to those who listen. */
  const watch = async (): Promise<void> => {
    watching = true
    const notifications = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true }
    const params = { notifications, _meta: modernMeta(clientInfo) }
    while (!stop.signal.aborted) {
      streams += 1
      try {
        const exchange = upstream.request({ jsonrpc: '2.0', id: 'watch', method: 'subscriptions/listen', params }, { signal: stop.signal }) // prettier-ignore
        for (let next = await exchange.next(); !next.done; next = await exchange.next()) {
          acknowledged ||= next.value['method'] === 'notifications/subscriptions/acknowledged'
          forget(next.value['method'])
        }
      } catch (error) {
        if (!stop.signal.aborted) logger.debug({ error: String(error) }, 'the watch on the lists ended')
      }
      streams -= 1
      // What changed while nobody watched is not known.
      acknowledged = false
      cached.clear()
      await sleep(WATCH_AGAIN_MS, undefined, { signal: stop.signal, ref: false }).catch(() => undefined)
    }
  }
  const isWatched = (kind: ListKind): boolean => announces(kind) && (profile.era === 'legacy' || acknowledged)

  return {
    streams: () => streams,
    get(kind, capabilities) {
      const key = `${kind} ${profile.era === 'modern' ? JSON.stringify(capabilities) : ''}`
      const known = cached.get(key)
      if (known !== undefined && Date.now() < known.until) return known.list
      if (profile.era === 'modern' && announces(kind) && !watching) void watch()
      const list = readAll(connection, kind, clientInfo, capabilities)
      const entry: Cached = { list, until: Number.POSITIVE_INFINITY }
      if (cached.size >= MAX_LISTS) cached.clear()
      cached.set(key, entry)
      list.then(
        ({ ttlMs }) => {
          if (!isWatched(kind)) entry.until = Date.now() + ttlMs
        },
        () => {
          if (cached.get(key) === entry) cached.delete(key)
        },
      )
      return list
    },
    close: () => stop.abort({ reason: 'the connection was closed' }),
  }
}

async function readAll(
  { upstream, profile }: Connection,
  kind: ListKind,
  clientInfo: ClientInfo,
  capabilities: JsonObject,
): Promise<ServerList> {
  const items: JsonObject[] = []
  const meta = profile.era === 'modern' ? { _meta: { ...modernMeta(clientInfo), [META_CLIENT_CAPABILITIES]: capabilities } } : {} // prettier-ignore
  let cursor: unknown
  let ttlMs = Number.POSITIVE_INFINITY
  let isPublic = true
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const params = { ...meta, ...(cursor !== undefined && { cursor }) }
    const request = { jsonrpc: '2.0', id: `list-${page}`, method: LIST_METHODS[kind], params } as const
    const { result, error } = await outcome(upstream, request, undefined, { isBackground: true })
    if (error?.code === -32601) return { items, ttlMs: 0, isPublic }
    if (!isObject(result)) {
      throw new WireError('WIRE_UPSTREAM_REFUSED', `${LIST_METHODS[kind]} failed: ${error?.message ?? 'no result'}`)
    }
    const found = result[kind]
    if (Array.isArray(found)) items.push(...found.filter(isObject))
    ttlMs = Math.min(ttlMs, typeof result['ttlMs'] === 'number' && result['ttlMs'] > 0 ? result['ttlMs'] : 0)
    isPublic &&= result['cacheScope'] === 'public'
    cursor = result['nextCursor']
    if (cursor === undefined || cursor === null) return { items, ttlMs, isPublic }
  }
  throw new WireError('WIRE_UPSTREAM_PROTOCOL', `${LIST_METHODS[kind]} has more than ${MAX_PAGES} pages`)
}
