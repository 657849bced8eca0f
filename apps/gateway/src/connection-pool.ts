/**
 * The connections to one server. Those who told the server the same of themselves share one; it is opened by its first use,
 * closed when nobody has used it for a while, and replaced when it ends or the configuration changes.
 */
import { createHash } from 'node:crypto'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { createSharedSession, isAboutCredentials, outcome, WireError, type ClientInfo, type Connection, type JsonObject, type SharedSession } from '@mcp-gateway/wire' // prettier-ignore
import { createListCache, type ListCache, type ListKind } from './list-cache.ts'
import type { Logger } from './log.ts'
import { probeRequest } from './probe.ts'
import type { ServerStatus, Supervisor } from './supervisor.ts'
import { createToolTraits, type ToolTraits } from './tool-traits.ts'

export type Pooled = {
  readonly key: string
  readonly connection: Connection
  /** How several legacy clients use it together. */
  readonly shared: SharedSession
  readonly lists: ListCache
  readonly traits: ToolTraits
  readonly isCurrent: () => boolean
}

export type OpenConnection = () => Promise<Connection>

export type PoolOptions = {
  readonly supervisor: Supervisor
  readonly clientInfo: ClientInfo
  readonly logger: Logger
  /** Read again for every use: a configuration may change. */
  readonly settings: () => PoolSettings
  readonly onListChanged: (kind: ListKind) => void
  /** Whether a start that ended so says that the server is unwell. */
  readonly isFailure: (key: string, error: unknown) => boolean
}

export type PoolSettings = {
  readonly maxConnections: number
  /** 0 keeps connections for ever. */
  readonly idleStop: number
  /** 0 asks for no signs of life. */
  readonly healthInterval: number
  /** How long an answer to a ping may take: what a handshake may. */
  readonly startTimeout: number
}

export type ConnectionPool = {
  /** The open connection of a key. */
  peek(key: string): Pooled | undefined
  /** Opens it when there is none; callers that come meanwhile wait for the same one. */
  get(key: string, open: OpenConnection): Promise<Pooled>
  /** Closes one connection when its calls have ended. */
  retire(key: string): void
  /** Closes all when their calls have ended, and resolves then; new requests get new connections at once. */
  retireAll(): Promise<void>
  readonly status: () => Exclude<ServerStatus, 'backoff' | 'open'>
  close(): Promise<void>
}

type Entry = Pooled & { current: boolean; usedAt: number; closing: boolean; answeredAtStart: number }

const SWEEP_MS = 1000
const DRAIN_POLL_MS = 20

export function createConnectionPool(options: PoolOptions): ConnectionPool {
  const { supervisor, logger, settings } = options
  const entries = new Map<string, Entry>()
  const opening = new Map<string, Promise<Pooled>>()
  const draining = new Set<Entry>()
  let sweep: NodeJS.Timeout | undefined
  let closed = false
  /** What is still opening when all are retired is out of date when it is open. */
  let generation = 0

  const dispose = async (entry: Entry, why: string): Promise<void> => {
    entry.current = false
    entry.closing = true
    if (entries.get(entry.key) === entry) entries.delete(entry.key)
    draining.delete(entry)
    entry.lists.close()
    logger.debug({ connection: entry.key, why }, 'closing connection')
    await entry.connection.upstream[Symbol.asyncDispose]()
  }

  const drain = async (entry: Entry): Promise<void> => {
    entry.current = false
    if (entries.get(entry.key) === entry) entries.delete(entry.key)
    draining.add(entry)
    const { upstream } = entry.connection
    // Whoever was handed this connection a moment ago is about to use it.
    await nextTurn()
    while (draining.has(entry) && upstream.load().calls > 0) await sleep(DRAIN_POLL_MS)
    if (draining.has(entry)) await dispose(entry, 'replaced')
  }

  const enter = (key: string, connection: Connection): Entry => {
    const isCurrent = (): boolean => entry.current
    const onChanged = (kind: ListKind): void => {
      if (kind === 'tools') traits.forget()
      options.onListChanged(kind)
    }
    // The first to listen: what the server has said already is for its clients.
    const shared = createSharedSession(connection, isCurrent)
    const lists = createListCache({ connection, clientInfo: options.clientInfo, onChanged, logger })
    const traits = createToolTraits(async () => (await lists.get('tools', {})).items)
    const entry: Entry = {
      key,
      connection,
      shared,
      lists,
      traits,
      isCurrent,
      current: true,
      closing: false,
      usedAt: Date.now(),
      answeredAtStart: connection.upstream.answered(),
    }
    if (!entries.has(key)) entries.set(key, entry)
    void connection.upstream.closed.then((reason) => {
      if (entry.closing) return
      supervisor.crashed(reason, connection.upstream.answered() > entry.answeredAtStart)
      logger.warn({ connection: key, reason }, 'server connection ended; the next call opens it again')
      // An HTTP server that forgot the session may still be answering what runs.
      if (!draining.has(entry)) void drain(entry).catch(report)
    })
    sweep ??= setInterval(sweepOnce, SWEEP_MS).unref()
    return entry
  }

  const makeRoom = (): void => {
    const { maxConnections } = settings()
    if (entries.size + opening.size < maxConnections) return
    const [idlest] = [...entries.values()].filter(isIdle).toSorted((a, b) => a.usedAt - b.usedAt)
    if (idlest === undefined) {
      throw new WireError('WIRE_CALL_LIMIT', `${maxConnections} connections to this server are in use already`)
    }
    void dispose(idlest, 'its place is needed').catch(report)
  }

  const start = async (key: string, open: OpenConnection): Promise<Pooled> => {
    if (closed) throw new WireError('WIRE_UPSTREAM_CLOSED', 'the server was removed from the configuration')
    makeRoom()
    await supervisor.admit()
    const born = generation
    try {
      const connection = await open()
      supervisor.started()
      const entry = enter(key, connection)
      if (closed) await dispose(entry, 'stopped')
      else if (born !== generation) void drain(entry).catch(report)
      return entry
    } catch (error) {
      if (options.isFailure(key, error)) supervisor.failed(error)
      else if (isAboutCredentials(error)) supervisor.refused(error)
      else supervisor.started()
      logger.warn({ connection: key, error: errorText(error) }, 'server failed to start')
      throw error
    }
  }

  const sweepOnce = (): void => {
    const { idleStop, healthInterval, startTimeout } = settings()
    const now = Date.now()
    for (const entry of entries.values()) {
      const idleFor = now - entry.usedAt
      if (idleStop > 0 && idleFor >= idleStop && isIdle(entry)) void dispose(entry, 'idle').catch(report)
      else if (healthInterval > 0) checkHealth(entry, healthInterval, startTimeout, now)
    }
    if (entries.size > 0) return
    clearInterval(sweep)
    sweep = undefined
  }

  const pinged = new WeakMap<Entry, number>()
  const checkHealth = (entry: Entry, intervalMs: number, startTimeout: number, now: number): void => {
    // A server that is busy with a call shows soon enough whether it is well.
    if (now - Math.max(entry.usedAt, pinged.get(entry) ?? 0) < intervalMs || entry.connection.upstream.load().calls > 0)
      return
    pinged.set(entry, now)
    const { upstream, profile } = entry.connection
    outcome(upstream, probeRequest(profile.era, options.clientInfo), AbortSignal.timeout(startTimeout), {
      isBackground: true,
    }).catch(
      // prettier-ignore
      (error: unknown) => {
        // Says nothing of the server; and its sessions must not end because the provider of tokens is away, or a caller's has ended.
        if (!entry.current || isAboutCredentials(error)) return
        logger.warn({ connection: entry.key, error: errorText(error) }, 'health check failed; the connection is closed')
        void dispose(entry, 'unhealthy').catch(report)
      },
    )
  }

  const report = (error: unknown): void => logger.warn({ error: errorText(error) }, 'closing a connection failed')

  return {
    peek(key) {
      const entry = entries.get(key)
      if (entry !== undefined) entry.usedAt = Date.now()
      return entry
    },
    get(key, open) {
      const entry = entries.get(key)
      if (entry !== undefined) {
        entry.usedAt = Date.now()
        return Promise.resolve(entry)
      }
      const known = opening.get(key)
      if (known !== undefined) return known
      const attempt = start(key, open).finally(() => {
        if (opening.get(key) === attempt) opening.delete(key)
      })
      opening.set(key, attempt)
      return attempt
    },
    retire(key) {
      const entry = entries.get(key)
      if (entry !== undefined) void drain(entry).catch(report)
    },
    async retireAll() {
      generation += 1
      const started = [...opening.values()]
      opening.clear()
      const drained = Array.from(entries.values(), (entry) => drain(entry).catch(report))
      await Promise.allSettled(started)
      await Promise.all(drained)
      while (draining.size > 0) await sleep(DRAIN_POLL_MS)
    },
    status() {
      if (opening.size > 0) return 'starting'
      if (entries.size > 0) return 'ready'
      return draining.size > 0 ? 'draining' : 'stopped'
    },
    async close() {
      closed = true
      clearInterval(sweep)
      await Promise.allSettled(opening.values())
      await Promise.all([...entries.values(), ...draining].map((entry) => dispose(entry, 'stopped')))
    },
  }
}

/** Nothing runs and nobody is attached; the gateway's own watch on the lists doesn't count. */
function isIdle({ connection, shared, lists }: Entry): boolean {
  const { calls, subscriptions } = connection.upstream.load()
  return calls === 0 && subscriptions <= lists.streams() && shared.members() === 0
}

/** Connections of the same owner that said the same in `initialize` are one. */
export function connectionKey(owner: readonly string[], initialize: JsonObject): string {
  return createHash('sha256')
    .update(JSON.stringify([owner, initialize]))
    .digest('base64url')
    .slice(0, 22)
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
