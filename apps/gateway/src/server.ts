/**
 * One configured server and the connections to it: a shared one for stateless traffic (the modern era, REST, lists), and one
 * for every legacy session, because what `initialize` settles holds for the whole connection. Each starts when it is first used.
 */
import {
  createHttpUpstream,
  createSseUpstream,
  createStdioUpstream,
  handshake,
  isObject,
  modernMeta,
  outcome,
  paramHeadersOf,
  WireError,
  type ClientInfo,
  type JsonObject,
  type JsonRpcMessage,
  type ParamHeader,
  type ServerProfile,
  type Transport,
  type Upstream,
  type UpstreamEvents,
  type UpstreamLimits,
} from '@mcp-gateway/wire'
import type { Config, RemoteServerConfig, ServerConfig } from './config.ts'
import type { Logger } from './log.ts'

export type Connection = { readonly upstream: Upstream; readonly profile: ServerProfile }

export type Server = {
  readonly id: string
  readonly config: ServerConfig
  readonly transport: Transport
  readonly state: () => ServerState
  /** The shared connection if it is open now; the hot path asks this first. */
  readonly current: () => Connection | undefined
  shared(): Promise<Connection>
  /** A connection of one's own, without a handshake. */
  connect(onMessage: (message: JsonRpcMessage) => void): Upstream
  /** Every item of a paged list, over the shared connection. */
  list(kind: ListKind): Promise<readonly JsonObject[]>
  /** The arguments that a modern client mirrors into headers. A promise only until the tools were listed once. */
  paramHeaders(tool: string): readonly ParamHeader[] | Promise<readonly ParamHeader[]>
  close(): Promise<void>
}

type ParamHeaders = ReadonlyMap<string, readonly ParamHeader[]>

export type ServerState = {
  readonly status: 'idle' | 'starting' | 'ready' | 'failed'
  readonly profile?: ServerProfile
  readonly error?: string
}

export const LIST_METHODS = {
  tools: 'tools/list',
  prompts: 'prompts/list',
  resources: 'resources/list',
  resourceTemplates: 'resources/templates/list',
} as const
export type ListKind = keyof typeof LIST_METHODS

export type ServerOptions = {
  readonly config: ServerConfig
  readonly limits: Config['limits']
  readonly environment: Readonly<Record<string, string>>
  readonly clientInfo: ClientInfo
  readonly logger: Logger
}

const START_TIMEOUT_MS = 30_000
/** How `Upstream.closed` begins when there was no process at all. */
const NOT_STARTED = 'it could not be started'
const MAX_LIST_PAGES = 100
/** A server that fails to start is tried again after this, doubled with every failure. */
const FIRST_RETRY_MS = 250
const MAX_RETRY_MS = 30_000

export function createServer({ config, limits, environment, clientInfo, logger }: ServerOptions): Server {
  const log = logger.child({ server: config.id })
  const { transport } = config
  let opening: Promise<Connection> | undefined
  let open: Connection | undefined
  let failure: { readonly error: unknown; readonly retryAt: number; readonly count: number } | undefined
  let headers: ParamHeaders | Promise<ParamHeaders> | undefined
  const own = new Set<Upstream>()

  const connect = (onMessage: (message: JsonRpcMessage) => void, attribution: 'newest' | 'sole'): Upstream => {
    const events = { onMessage, onDiagnostic: (text: string) => log.debug({ text }, 'server diagnostic') }
    const upstreamLimits = {
      idleTimeoutMs: config.timeout,
      maxInFlight: limits.maxConcurrentCalls,
      maxLineBytes: limits.maxLineBytes,
      maxDepth: limits.maxDepth,
    }
    const upstream =
      config.transport !== 'stdio'
        ? openRemote(config, attribution, upstreamLimits, events)
        : createStdioUpstream({
            command: config.command,
            args: config.args,
            cwd: config.cwd,
            env: { ...environment, ...config.env },
            attribution,
            limits: upstreamLimits,
            ...events,
          })
    own.add(upstream)
    void upstream.closed.then((reason) => {
      own.delete(upstream)
      log.debug({ reason }, 'connection closed')
    })
    return upstream
  }

  const start = async (probe: boolean): Promise<Connection> => {
    const upstream = connect(onSharedMessage, 'sole')
    const signal = AbortSignal.timeout(START_TIMEOUT_MS)
    try {
      const profile = await handshake(upstream, { clientInfo, signal, probe })
      log.info(
        { era: profile.era, protocolVersion: profile.protocolVersion, serverInfo: profile.serverInfo },
        'server ready',
      )
      return { upstream, profile }
    } catch (cause) {
      await upstream[Symbol.asyncDispose]()
      const reason = await upstream.closed
      const closed = cause instanceof WireError && cause.code === 'WIRE_UPSTREAM_CLOSED'
      // Some legacy servers end when their first message is not initialize: they get a second start without the probe.
      if (closed && probe && transport === 'stdio' && !reason.startsWith(NOT_STARTED)) return start(false)
      const late = signal.aborted ? `no answer within ${START_TIMEOUT_MS / 1000} s` : String(cause)
      const detail = closed ? reason : late
      throw new WireError('WIRE_UPSTREAM_START_FAILED', `server ${config.id} could not be started: ${detail}`, {
        cause,
      })
    }
  }

  const onSharedMessage = (message: JsonRpcMessage): void => {
    if (message['method'] === 'notifications/tools/list_changed') headers = undefined
  }

  const shared = (): Promise<Connection> => {
    if (opening !== undefined) return opening
    if (failure !== undefined && Date.now() < failure.retryAt) return Promise.reject(failure.error)
    const attempt = start(true)
    opening = attempt
    attempt.then(
      (connection) => {
        open = connection
        failure = undefined
        void connection.upstream.closed.then((reason) => {
          if (opening !== attempt) return
          log.warn({ reason }, 'server connection ended; the next call opens it again')
          opening = open = headers = undefined
        })
      },
      (error: unknown) => {
        const count = (failure?.count ?? 0) + 1
        failure = { error, count, retryAt: Date.now() + Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (count - 1)) }
        opening = undefined
        log.warn({ error: String(error) }, 'server failed to start')
      },
    )
    return attempt
  }

  const list = async (kind: ListKind): Promise<readonly JsonObject[]> => listAll(await shared(), kind, clientInfo)

  const readParamHeaders = async (): Promise<ParamHeaders> => {
    const tools = await list('tools')
    return new Map(
      tools.flatMap((tool) => {
        const declared = paramHeadersOf(tool['inputSchema'])
        return declared === undefined || declared.length === 0 ? [] : [[String(tool['name']), declared] as const]
      }),
    )
  }

  return {
    id: config.id,
    config,
    transport,
    state: () => {
      if (open !== undefined) return { status: 'ready', profile: open.profile }
      if (opening !== undefined) return { status: 'starting' }
      return failure === undefined ? { status: 'idle' } : { status: 'failed', error: errorText(failure.error) }
    },
    current: () => open,
    shared,
    connect: (onMessage) => connect(onMessage, 'newest'),
    list,
    paramHeaders(tool) {
      if (headers instanceof Map) return headers.get(tool) ?? []
      headers ??= readParamHeaders().then(
        (known) => (headers = known),
        (error: unknown) => {
          // Refusing is the safe side: without the list nobody can say that header and argument agree.
          headers = undefined
          throw error
        },
      )
      return Promise.resolve(headers).then((known) => known.get(tool) ?? [])
    },
    async close() {
      opening = open = undefined
      await Promise.all(Array.from(own, (upstream) => upstream[Symbol.asyncDispose]()))
    },
  }
}

/** Every page of a list. A method that the server doesn't have is an empty list. */
export async function listAll(
  { upstream, profile }: Connection,
  kind: ListKind,
  clientInfo: ClientInfo,
  signal?: AbortSignal,
): Promise<readonly JsonObject[]> {
  const items: JsonObject[] = []
  let cursor: unknown
  for (let page = 0; page < MAX_LIST_PAGES; page += 1) {
    const meta = profile.era === 'modern' ? { _meta: modernMeta(clientInfo) } : {}
    const params = { ...meta, ...(cursor !== undefined && { cursor }) }
    const response = await outcome(
      upstream,
      { jsonrpc: '2.0', id: `list-${page}`, method: LIST_METHODS[kind], params },
      signal,
    )
    const { result, error } = response
    if (error?.code === -32601) return items
    if (!isObject(result)) {
      throw new WireError('WIRE_UPSTREAM_REFUSED', `${LIST_METHODS[kind]} failed: ${error?.message ?? 'no result'}`)
    }
    const found = result[kind]
    if (Array.isArray(found)) items.push(...found.filter(isObject))
    cursor = result['nextCursor']
    if (cursor === undefined || cursor === null) break
  }
  return items
}

function openRemote(
  { transport, url, headers }: RemoteServerConfig,
  attribution: 'newest' | 'sole',
  limits: Partial<UpstreamLimits>,
  events: UpstreamEvents,
): Upstream {
  const options = { url, headers, limits, ...events }
  return transport === 'sse' ? createSseUpstream({ ...options, attribution }) : createHttpUpstream(options)
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
