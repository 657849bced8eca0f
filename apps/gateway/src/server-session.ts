/**
 * A legacy client's session with one server. Whether the server takes `initialize` shows when it is sent: a server that speaks
 * both eras is met in the client's own, one that refuses is translated.
 */
import { randomUUID } from 'node:crypto'
import {
  isObject,
  META_CLIENT_CAPABILITIES,
  openLegacyToLegacy,
  openLegacyToModern,
  responseOf,
  WireError,
  type Exchange,
  type Headers,
  type JsonObject,
  type JsonRpcNotification,
  type JsonRpcRequest,
  type JsonRpcResponse,
  type LegacyToLegacy,
  type LegacyToModern,
  type Peer,
  type RequestOptions,
} from '@mcp-gateway/wire'
import { connectionKey, type ConnectionPool, type Pooled } from './connection-pool.ts'
import type { Connector } from './connector.ts'
import type { Asker } from './context.ts'
import type { ListKind, ServerList } from './list-cache.ts'
import type { Logger } from './log.ts'
import type { View } from './server.ts'

export type ServerSession = AsyncDisposable & {
  request(message: JsonRpcRequest, options: RequestOptions): Exchange
  notify(message: JsonRpcNotification): Promise<void>
  respond(message: JsonRpcResponse): Promise<void>
  list(kind: ListKind): Promise<ServerList>
  [Symbol.asyncDispose](): Promise<void>
}

export type ServerSessionOptions = {
  readonly id: string
  /** Whom the session speaks for now. */
  readonly asker: () => Asker
  /** Whose its connections are now. */
  readonly owners: () => readonly string[]
  readonly peer: Pick<Peer, 'send'>
  readonly isolation: 'caller' | 'session'
  readonly pool: ConnectionPool
  readonly connect: Connector
  /** The connection that modern requests use. */
  readonly common: (asker: Asker) => Promise<Pooled>
  readonly list: (kind: ListKind, view: View) => Promise<ServerList>
  readonly mirrorHeaders: (call: JsonRpcRequest, asker: Asker) => Promise<Headers>
  readonly timed: (message: JsonRpcRequest, options: RequestOptions) => RequestOptions
  /** Whether the server is known to refuse `initialize`: then nobody asks again. Shared by its sessions. */
  readonly refusal: { isKnown: boolean }
  readonly log: Logger
}

const EMPTY: ServerList = { items: [], ttlMs: 0, isPublic: false }

export function openServerSession(options: ServerSessionOptions): ServerSession {
  const { id, asker, peer, pool, connect, refusal, log } = options
  const common = (): Promise<Pooled> => options.common(asker())
  const part = options.isolation === 'session' ? randomUUID() : 'sessions'
  const keyFor = (initialize: JsonObject): string => connectionKey([...options.owners(), part], initialize)
  const keys = new Set<string>()
  const onDiagnostic = (text: string): void => log.debug({ text }, 'session diagnostic')

  const openLegacy = (): LegacyToLegacy =>
    openLegacyToLegacy({
      peer,
      onDiagnostic,
      async open(initialize) {
        const key = keyFor(initialize)
        keys.add(key)
        const { shared } = await pool.get(key, () => connect('newest', asker(), initialize))
        // With another token of its caller the session goes on, at the server it begins anew.
        return { ...shared, isCurrent: () => shared.isCurrent() && keyFor(initialize) === key }
      },
    })
  const openModern = (): LegacyToModern =>
    openLegacyToModern({
      peer,
      onDiagnostic,
      serverName: id,
      async connection() {
        const { connection } = await common()
        if (connection.profile.era === 'modern') return connection
        throw new WireError(
          'WIRE_SESSION_UNKNOWN',
          `server ${id} speaks another protocol version now; initialize again`,
        )
      },
      headers: (message) => options.mirrorHeaders(message, asker()),
    })
  let inner: LegacyToLegacy | LegacyToModern = refusal.isKnown ? openModern() : openLegacy()

  const isModern = async (): Promise<boolean> => {
    try {
      return (await common()).connection.profile.era === 'modern'
    } catch {
      // What the caller is told is why `initialize` failed.
      return false
    }
  }

  const initialize = async (message: JsonRpcRequest, requestOptions: RequestOptions): Promise<JsonRpcResponse> => {
    try {
      return await responseOf(inner.request(message, requestOptions))
    } catch (error) {
      if ('meta' in inner || !isStartFailure(error) || !(await isModern())) throw error
      refusal.isKnown = true
      await inner[Symbol.asyncDispose]()
      inner = openModern()
      return responseOf(inner.request(message, requestOptions))
    }
  }

  return {
    async *request(message, requestOptions) {
      if (message.method === 'initialize') return await initialize(message, requestOptions)
      return yield* inner.request(message, options.timed(message, requestOptions))
    },
    notify: (message) => inner.notify(message),
    respond: (message) => inner.respond(message),
    async list(kind) {
      if ('meta' in inner) {
        const declared = inner.meta()[META_CLIENT_CAPABILITIES]
        return options.list(kind, { ...asker(), capabilities: isObject(declared) ? declared : {} })
      }
      const { connection } = await inner.current()
      const pooled = [...keys].flatMap((key) => pool.peek(key) ?? []).find((item) => item.connection === connection)
      return pooled === undefined ? EMPTY : pooled.lists.get(kind, {})
    },
    async [Symbol.asyncDispose]() {
      await inner[Symbol.asyncDispose]()
      if (options.isolation === 'session') for (const key of keys) pool.retire(key)
    },
  }
}

function isStartFailure(error: unknown): boolean {
  return error instanceof WireError && error.code === 'WIRE_UPSTREAM_START_FAILED'
}
