/**
 * A legacy client's session with one server. Whether the server takes `initialize` shows when it is sent: a server that speaks
 * both eras is met in the client's own, one that refuses is translated.
 */
import { WireError, type Exchange, type JsonRpcNotification, type JsonRpcRequest, type JsonRpcResponse, type LegacyToLegacy, type LegacyToModern, type RequestOptions } from '@mcp-gateway/wire' // prettier-ignore
import type { ListKind, ServerList } from './list-cache.ts'

export type ServerSession = AsyncDisposable & {
  request(message: JsonRpcRequest, options: RequestOptions): Exchange
  notify(message: JsonRpcNotification): Promise<void>
  respond(message: JsonRpcResponse): Promise<void>
  list(kind: ListKind): Promise<ServerList>
  [Symbol.asyncDispose](): Promise<void>
}

type Inner = LegacyToLegacy | LegacyToModern

export type ServerSessionOptions = {
  readonly legacy: () => LegacyToLegacy
  readonly modern: () => LegacyToModern
  /** The server is known to refuse `initialize`. */
  readonly isTranslated: () => boolean
  readonly onRefused: () => void
  readonly isModern: () => Promise<boolean>
  readonly timed: (message: JsonRpcRequest, options: RequestOptions) => RequestOptions
  readonly list: (kind: ListKind, session: Inner) => Promise<ServerList>
  readonly onEnd: () => void
}

export function createServerSession(options: ServerSessionOptions): ServerSession {
  let inner: Inner = options.isTranslated() ? options.modern() : options.legacy()

  const initialize = async (message: JsonRpcRequest, requestOptions: RequestOptions): Promise<JsonRpcResponse> => {
    try {
      return await ended(inner.request(message, requestOptions))
    } catch (error) {
      if ('meta' in inner || !isStartFailure(error)) throw error
      const isModern = await options.isModern().catch(() => false)
      if (!isModern) throw error
      options.onRefused()
      await inner[Symbol.asyncDispose]()
      inner = options.modern()
      return ended(inner.request(message, requestOptions))
    }
  }

  return {
    async *request(message, requestOptions) {
      if (message.method === 'initialize') return await initialize(message, requestOptions)
      return yield* inner.request(message, options.timed(message, requestOptions))
    },
    notify: (message) => inner.notify(message),
    respond: (message) => inner.respond(message),
    list: (kind) => options.list(kind, inner),
    async [Symbol.asyncDispose]() {
      await inner[Symbol.asyncDispose]()
      options.onEnd()
    },
  }
}

/** The response of an exchange in which nothing precedes it. */
async function ended(exchange: Exchange): Promise<JsonRpcResponse> {
  for (;;) {
    const next = await exchange.next()
    if (next.done) return next.value
  }
}

function isStartFailure(error: unknown): boolean {
  return error instanceof WireError && error.code === 'WIRE_UPSTREAM_START_FAILED'
}
