/**
 * What a caller sees of the servers on `/mcp`. With `discovery: opt-in`, or with more tools than `discoveryThreshold`, that is
 * the gateway's own tools and the servers the caller has enabled with them: a model that is shown two thousand tools calls
 * the wrong ones. It is no permission; what a caller may call is decided elsewhere.
 */
import type { Config } from './config.ts'
import type { CallContext } from './context.ts'
import type { EnablementStore } from './enablement-store.ts'
import type { ListKind, ServerList } from './list-cache.ts'
import type { Server } from './server.ts'

export type Discovery = {
  readonly isOptIn: () => boolean
  /** The servers that this caller sees. */
  visible(context: CallContext): readonly Server[]
  /** The caller's list; `listAll` makes one of the servers it is given. */
  list(kind: ListKind, context: CallContext, listAll: (servers: readonly Server[]) => Promise<ServerList>): Promise<ServerList> // prettier-ignore
  /** True when it was not enabled before. */
  enable(context: CallContext, serverId: string): boolean
  disable(context: CallContext, serverId: string): boolean
  enabled(context: CallContext): readonly string[]
  /** Changes of the lists this caller sees. Returns how to stop. */
  onListChanged(context: CallContext, listener: (kind: ListKind) => void): () => void
  /** The servers are others now. */
  serversChanged(): void
}

export type DiscoveryOptions = {
  readonly config: () => Pick<Config, 'discovery' | 'discoveryThreshold'>
  readonly servers: () => readonly Server[]
  readonly store: EnablementStore
  /** The gateway's own tools, under the names they have on `/mcp`. */
  readonly ownTools: () => ServerList
}

export function createDiscovery({ config, servers, store, ownTools }: DiscoveryOptions): Discovery {
  const listeners = new Set<{ readonly scope: string; readonly listener: (kind: ListKind) => void }>()
  /** More tools than a client should be shown were counted. */
  let isCrowded = false
  const watches = new Map<Server, () => void>()

  const isOptIn = (): boolean => {
    const { discovery, discoveryThreshold } = config()
    return discovery === 'opt-in' || isCrowded || servers().length > discoveryThreshold
  }
  const tell = (kind: ListKind, concerns: (scope: string) => boolean): void => {
    for (const { scope, listener } of listeners) if (concerns(scope)) listener(kind)
  }
  const KINDS: readonly ListKind[] = ['tools', 'prompts', 'resources']
  const tellAll = (concerns: (scope: string) => boolean): void => {
    for (const kind of KINDS) tell(kind, concerns)
  }
  const sees = (scope: string, serverId: string): boolean => !isOptIn() || store.enabled(scope).has(serverId)

  const watchServers = (): void => {
    const known = new Set(servers())
    for (const [server, stop] of watches) {
      if (known.has(server)) continue
      stop()
      watches.delete(server)
    }
    for (const server of known) {
      if (watches.has(server)) continue
      const stop = server.onListChanged((kind) => tell(kind, (scope) => sees(scope, server.id)))
      watches.set(server, stop)
    }
  }
  watchServers()

  const visible = (context: CallContext): readonly Server[] => {
    if (!isOptIn()) return servers()
    const enabled = store.enabled(scopeOf(context))
    return enabled.size === 0 ? [] : servers().filter(({ id }) => enabled.has(id))
  }

  return {
    isOptIn,
    visible,
    async list(kind, context, listAll) {
      const list = await listAll(visible(context))
      if (kind !== 'tools') return isOptIn() ? { ...list, isPublic: false } : list
      if (!isOptIn()) {
        if (list.items.length <= config().discoveryThreshold) return list
        isCrowded = true
        tell('tools', () => true)
        return ownTools()
      }
      const own = ownTools()
      return { items: [...own.items, ...list.items], ttlMs: 0, isPublic: false }
    },
    enable(context, serverId) {
      const scope = scopeOf(context)
      const isNew = store.enable(scope, context.caller.id, serverId)
      if (isNew) tellAll((other) => other === scope)
      return isNew
    },
    disable(context, serverId) {
      const scope = scopeOf(context)
      const was = store.disable(scope, serverId)
      if (was) tellAll((other) => other === scope)
      return was
    },
    enabled: (context) => [...store.enabled(scopeOf(context))],
    onListChanged(context, listener) {
      const entry = { scope: scopeOf(context), listener }
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    serversChanged() {
      isCrowded = false
      watchServers()
      tellAll(() => true)
    },
  }
}

/** What an enablement belongs to: the caller, or one of the caller's sessions when it names one with `X-MCP-Session`. */
function scopeOf({ caller, clientSession }: CallContext): string {
  return clientSession === undefined ? caller.id : `${caller.id}\n${clientSession}`
}
