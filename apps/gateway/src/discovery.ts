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
  readonly isOptIn: (context: CallContext) => boolean
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
  readonly tenants: () => readonly string[]
  readonly servers: (tenantId: string) => readonly Server[]
  readonly store: EnablementStore
  /** The gateway's own tools, under the names they have on `/mcp`. */
  readonly ownTools: (context: CallContext) => ServerList
}

type Listening = { readonly scope: string; readonly tenantId: string; readonly listener: (kind: ListKind) => void }

export function createDiscovery({ config, tenants, servers, store, ownTools }: DiscoveryOptions): Discovery {
  const listeners = new Set<Listening>()
  /** Tenants with more tools than a client should be shown. */
  const crowded = new Set<string>()
  const watches = new Map<Server, () => void>()

  const isOptInFor = (tenantId: string): boolean => {
    const { discovery, discoveryThreshold } = config()
    return discovery === 'opt-in' || crowded.has(tenantId) || servers(tenantId).length > discoveryThreshold
  }
  const isOptIn = ({ caller }: CallContext): boolean => isOptInFor(caller.tenantId)
  const tell = (kind: ListKind, concerns: (listening: Listening) => boolean): void => {
    for (const listening of listeners) if (concerns(listening)) listening.listener(kind)
  }
  const KINDS: readonly ListKind[] = ['tools', 'prompts', 'resources']
  const tellAll = (concerns: (listening: Listening) => boolean): void => {
    for (const kind of KINDS) tell(kind, concerns)
  }
  const sees = ({ scope, tenantId }: Listening, owner: string, serverId: string): boolean =>
    tenantId === owner && (!isOptInFor(tenantId) || store.enabled(scope).has(serverId))

  const watchServers = (): void => {
    const known = new Map(
      tenants().flatMap((tenantId) => servers(tenantId).map((server) => [server, tenantId] as const)),
    )
    for (const [server, stop] of watches) {
      if (known.has(server)) continue
      stop()
      watches.delete(server)
    }
    for (const [server, owner] of known) {
      if (watches.has(server)) continue
      const stop = server.onListChanged((kind) => tell(kind, (listening) => sees(listening, owner, server.id)))
      watches.set(server, stop)
    }
  }
  watchServers()

  const visible = (context: CallContext): readonly Server[] => {
    const all = servers(context.caller.tenantId)
    if (!isOptIn(context)) return all
    const enabled = store.enabled(scopeOf(context))
    return enabled.size === 0 ? [] : all.filter(({ id }) => enabled.has(id))
  }

  return {
    isOptIn,
    visible,
    async list(kind, context, listAll) {
      const list = await listAll(visible(context))
      if (kind !== 'tools') return isOptIn(context) ? { ...list, isPublic: false } : list
      if (!isOptIn(context)) {
        if (list.items.length <= config().discoveryThreshold) return list
        const { tenantId } = context.caller
        crowded.add(tenantId)
        tell('tools', (listening) => listening.tenantId === tenantId)
        return ownTools(context)
      }
      const own = ownTools(context)
      return { items: [...own.items, ...list.items], ttlMs: 0, isPublic: false }
    },
    enable(context, serverId) {
      const scope = scopeOf(context)
      const isNew = store.enable(scope, context.principal, serverId)
      if (isNew) tellAll((other) => other.scope === scope)
      return isNew
    },
    disable(context, serverId) {
      const scope = scopeOf(context)
      const was = store.disable(scope, serverId)
      if (was) tellAll((other) => other.scope === scope)
      return was
    },
    enabled: (context) => [...store.enabled(scopeOf(context))],
    onListChanged(context, listener) {
      const entry = { scope: scopeOf(context), tenantId: context.caller.tenantId, listener }
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    serversChanged() {
      crowded.clear()
      watchServers()
      tellAll(() => true)
    },
  }
}

/** What an enablement belongs to: the caller, or one of the caller's sessions when it names one with `X-MCP-Session`. */
function scopeOf({ principal, clientSession }: CallContext): string {
  return clientSession === undefined ? principal : `${principal}\n${clientSession}`
}
