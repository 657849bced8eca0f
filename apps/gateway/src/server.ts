/**
 * One configured server, whatever it speaks: modern requests and legacy sessions go in, and where the server is of the other
 * era they are translated. Connections are opened by their first use and supervised (connection-pool.ts, supervisor.ts).
 */
import {
  checkParamHeaders,
  createModernToLegacy,
  isObject,
  isUnsent,
  LEGACY_VERSIONS,
  META_CLIENT_CAPABILITIES,
  metaOf,
  mirrorParamHeaders,
  untilSent,
  isAboutCredentials,
  WireError,
  type ClientInfo,
  type Exchange,
  type Headers,
  type JsonObject,
  type JsonRpcNotification,
  type JsonRpcRequest,
  type ParamHeader,
  type Peer,
  type RequestOptions,
  type ServerProfile,
  type StateSealer,
} from '@mcp-gateway/wire'
import type { Config, ServerConfig } from './config.ts'
import { connectionKey, createConnectionPool, type Pooled } from './connection-pool.ts'
import { askerOf, type Asker } from './context.ts'
import type { ListKind, ServerList } from './list-cache.ts'
import type { Logger } from './log.ts'
import { createConnector, type OnTools } from './connector.ts'
import { retryOnce } from './retry.ts'
import { openServerSession, type ServerSession } from './server-session.ts'
import { createSupervisor, type ServerStatus } from './supervisor.ts'
import { createUpstreamTokens, type UpstreamTokens } from './upstream-tokens.ts'

/** Who asks, in the terms that decide which connection answers. */
export type View = Asker & { readonly capabilities: JsonObject }

export type ServerState = { readonly status: ServerStatus; readonly profile?: ServerProfile; readonly error?: string }

export type Server = {
  readonly id: string
  readonly config: () => ServerConfig
  readonly state: () => ServerState
  /** What the server said of itself last; undefined until it has, as it is configured now. */
  readonly lastProfile: () => ServerProfile | undefined
  /** What the server said of itself; starts it when that is not known. */
  profile(asker: Asker): Promise<ServerProfile>
  /** One request of the modern era. Without an await when the server is modern, open, and nothing is to be checked. */
  request(message: JsonRpcRequest, asker: Asker, options: RequestOptions): Exchange | Promise<Exchange>
  /** A notification of the modern era. A legacy server has no use for any of them. */
  notify(message: JsonRpcNotification, asker: Asker): Promise<void>
  /** `Mcp-Param-*` for a call of a client that doesn't send them itself. */
  mirrorHeaders(call: JsonRpcRequest, asker: Asker): Promise<Headers>
  /** A session of the legacy era. `asker` is asked each time: a caller may come with a new token. */
  openSession(asker: () => Asker, peer: Pick<Peer, 'send'>): ServerSession
  list(kind: ListKind, view: View): Promise<ServerList>
  /** Returns how to stop. */
  onListChanged(listener: (kind: ListKind) => void): () => void
  /** Takes effect for the next request; calls under way end on the connection they have. */
  reconfigure(config: ServerConfig): void
  /** Resolves when the calls under way have ended. */
  drain(): Promise<void>
  close(): Promise<void>
}

export type ServerOptions = {
  readonly config: ServerConfig
  readonly limits: () => Config['limits']
  readonly environment: Readonly<Record<string, string>>
  readonly clientInfo: ClientInfo
  readonly sealer: StateSealer
  readonly logger: Logger
  readonly onTools?: OnTools | undefined
}

/** What everybody without capabilities of their own shares. */
const COMMON = 'common'
/** The capabilities that let a server ask its client; the others change nothing for a legacy server. */
const ASKING = ['sampling', 'elicitation', 'roots'] as const

export function createServer(options: ServerOptions): Server {
  const { clientInfo, limits } = options
  const { id } = options.config
  const log = options.logger.child({ server: id })
  const supervisor = createSupervisor({ serverId: id })
  const listeners = new Set<(kind: ListKind) => void>()
  let config = options.config
  let tokens = createUpstreamTokens(config)
  let profile: ServerProfile | undefined
  const refusal = { isKnown: false }

  const pool = createConnectionPool({
    supervisor,
    clientInfo,
    logger: log,
    settings: () => ({ ...config, maxConnections: limits().maxConnectionsPerServer }),
    // A modern server refuses the `initialize` of a legacy client, and is well.
    isFailure: (key, error) => !isAboutCredentials(error) && (key === COMMON || !isRefusal(error)),
    onListChanged(kind) {
      for (const listener of listeners) listener(kind)
    },
  })
  const translator = createModernToLegacy({ serverId: id, sealer: options.sealer, maxParked: limits().maxParkedCalls })

  const connect = createConnector({ ...options, config: () => config, tokens: () => tokens, log })
  const commonKey = (asker: Asker): string => {
    const owner = tokens.owner(asker)
    return owner === undefined ? COMMON : `${COMMON} ${owner}`
  }

  const common = (asker: Asker): Promise<Pooled> =>
    pool.get(commonKey(asker), async () => {
      const connection = await connect('sole', asker)
      profile = connection.profile
      // It may have been replaced by an older one.
      if (profile.era === 'legacy') refusal.isKnown = false
      return connection
    })

  /** A legacy server fixes what its client can do at `initialize`, so clients with different abilities don't share. */
  const connectionFor = async ({ capabilities, ...asker }: View): Promise<Pooled> => {
    const pooled = await common(asker)
    const asking = Object.fromEntries(ASKING.flatMap((name) => (isObject(capabilities[name]) ? [[name, capabilities[name]]] : []))) // prettier-ignore
    if (pooled.connection.profile.era === 'modern' || Object.keys(asking).length === 0) return pooled
    const initialize = { protocolVersion: LEGACY_VERSIONS[0], capabilities: asking, clientInfo }
    return pool.get(connectionKey(ownersOf(asker, tokens), initialize), () => connect('newest', asker, initialize))
  }

  const list = async (kind: ListKind, view: View): Promise<ServerList> => {
    const { lists } = await connectionFor(view)
    return lists.get(kind, view.capabilities)
  }

  const timed = (message: JsonRpcRequest, requestOptions: RequestOptions): RequestOptions => {
    const { timeout, maxTimeout, tools } = config
    const own = message.method === 'tools/call' ? tools[String(message.params?.['name'])] : undefined
    const maxTimeoutMs = own?.maxTimeout ?? maxTimeout
    return { ...requestOptions, idleTimeoutMs: own?.timeout ?? timeout, ...(maxTimeoutMs > 0 && { maxTimeoutMs }) }
  }

  const send = (
    pooled: Pooled,
    message: JsonRpcRequest,
    asker: Asker,
    requestOptions: RequestOptions,
  ): Exchange | Promise<Exchange> => {
    const { upstream, profile: spoken } = pooled.connection
    const isLegacy = spoken.era === 'legacy'
    const go = (): Exchange => {
      if (!isLegacy) return upstream.request(message, requestOptions)
      const view = { ...askerOf(asker), capabilities: capabilitiesOf(message) }
      return translator.request(
        message,
        asker.principal,
        async () => (await connectionFor(view)).shared,
        requestOptions,
      )
    }
    // A modern server behind HTTP compares its own headers; for the others nobody else can (SEP-2243).
    if (message.method !== 'tools/call' || (!isLegacy && config.transport !== 'stdio')) return go()
    const check = (declared: readonly ParamHeader[]): Exchange => {
      checkParamHeaders(declared, message.params?.['arguments'], requestOptions.headers ?? {})
      return go()
    }
    const declared = pooled.traits.headers(String(message.params?.['name']))
    return declared instanceof Promise ? declared.then(check) : check(declared)
  }

  const request: Server['request'] = (message, asker, requestOptions) => {
    const withTimes = timed(message, requestOptions)
    const attempt = (): Exchange | Promise<Exchange> => {
      const pooled = pool.peek(commonKey(asker))
      if (pooled !== undefined) return send(pooled, message, asker, withTimes)
      return common(asker).then((opened) => send(opened, message, asker, withTimes))
    }
    /** A connection that was replaced meanwhile has not seen the request: it goes to the new one. */
    const first = (): Exchange | Promise<Exchange> => {
      try {
        const exchange = attempt()
        return exchange instanceof Promise ? exchange.catch(again) : exchange
      } catch (error) {
        return again(error)
      }
    }
    const again = (error: unknown): Promise<Exchange> => {
      if (!isUnsent(error)) throw error
      return untilSent(attempt)
    }
    // Only what may run twice is tried twice, and a call waits for nothing to find out.
    if (
      message.method === 'subscriptions/listen' ||
      (message.method === 'tools/call' && pool.peek(commonKey(asker))?.traits.isIdempotent(message) !== true)
    ) {
      return first()
    }
    return retryOnce(first)
  }

  const mirrorHeaders = async ({ method, params }: JsonRpcRequest, asker: Asker): Promise<Headers> => {
    if (method !== 'tools/call') return {}
    const { traits } = await common(asker)
    return mirrorParamHeaders(await traits.headers(String(params?.['name'])), params?.['arguments'])
  }

  return {
    id,
    mirrorHeaders,
    config: () => config,
    state() {
      const status = supervisor.status() === 'clear' || pool.status() === 'ready' ? pool.status() : supervisor.status()
      const error = supervisor.lastError()
      return {
        status: status as ServerStatus,
        ...(status === 'ready' && profile !== undefined && { profile }),
        ...(status !== 'ready' && error !== undefined && { error }),
      }
    },
    lastProfile: () => profile,
    profile: async (asker) => (await common(asker)).connection.profile,
    request,
    async notify(message, asker) {
      const { upstream, profile: spoken } = (await common(asker)).connection
      if (spoken.era === 'modern') await upstream.notify(message)
    },
    openSession: (asker, peer) =>
      openServerSession({ id, asker, owners: () => ownersOf(asker(), tokens), peer, pool, log, connect, common, list, mirrorHeaders, timed, refusal, isolation: config.isolation }), // prettier-ignore
    list,
    onListChanged(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    reconfigure(next) {
      const replaces = launchOf(next) !== launchOf(config)
      config = next
      if (!replaces) return
      tokens = createUpstreamTokens(next)
      log.info('configuration changed; new calls get new connections')
      supervisor.reset()
      profile = undefined
      refusal.isKnown = false
      void pool.retireAll()
    },
    drain: pool.retireAll,
    async close() {
      translator.close()
      await pool.close()
    },
  }
}

/** Settings that apply at once; a running connection depends on all the others. */
const LIVE: ReadonlySet<string> = new Set('name description enabled tenants tags timeout maxTimeout startTimeout idleStop healthInterval tools'.split(' ')) // prettier-ignore

/** Whose connection it is that can be asked something, or tells its caller's own. */
function ownersOf(asker: Asker, tokens: UpstreamTokens): readonly string[] {
  const owner = tokens.owner(asker)
  return owner === undefined ? [asker.principal] : [asker.principal, owner]
}

function launchOf(config: ServerConfig): string {
  return JSON.stringify(Object.entries(config).filter(([key]) => !LIVE.has(key)))
}

function isRefusal(error: unknown): boolean {
  return error instanceof WireError && error.data?.['rpcCode'] !== undefined
}

function capabilitiesOf(message: JsonRpcRequest): JsonObject {
  const declared = metaOf(message)?.[META_CLIENT_CAPABILITIES]
  return isObject(declared) ? declared : {}
}
