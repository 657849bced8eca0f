/**
 * A legacy client in front of a legacy server. The client's session outlives the server's: when the server was started again,
 * or its session has expired, the client's `initialize` is repeated, and its subscriptions and log level are set again.
 */
import type { Peer } from '../backend.ts'
import type { RequestOptions } from '../correlator.ts'
import { WireError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { idKey, isObject, isRequest, type JsonObject, type JsonRpcId, type JsonRpcNotification, type JsonRpcRequest, type JsonRpcResponse } from '../json-rpc.ts' // prettier-ignore
import { untilSent } from '../resend.ts'
import type { Member, SharedSession } from '../shared-session.ts'
import type { Upstream } from '../upstream.ts'

export type LegacyToLegacyOptions = {
  /** A session that was initialised with these params. Asked again whenever the last one has ended. */
  readonly open: (initialize: JsonObject) => Promise<SharedSession>
  readonly peer: Pick<Peer, 'send'>
  /** What went wrong where nobody waits for an answer. */
  readonly onDiagnostic: (text: string) => void
}

export type LegacyToLegacy = AsyncDisposable & {
  request(message: JsonRpcRequest, options: RequestOptions): Exchange
  notify(message: JsonRpcNotification): Promise<void>
  respond(message: JsonRpcResponse): Promise<void>
  /** The session at the server as it is now. */
  current(): Promise<SharedSession>
}

type Started = { readonly exchange: Exchange; readonly upstream: Upstream } | { readonly response: JsonRpcResponse }

/** Questions a client may leave unanswered before the oldest is forgotten. */
const MAX_QUESTIONS = 1000

type Joined = { readonly shared: SharedSession; readonly member: Member }

export function openLegacyToLegacy({ open, peer, onDiagnostic }: LegacyToLegacyOptions): LegacyToLegacy {
  const uris = new Set<string>()
  /** Who waits for the client's answer. */
  const questions = new Map<string | number, Upstream>()
  let initializeParams: JsonObject = {}
  let level: JsonObject | undefined
  let joined: Joined | undefined
  let joining: Promise<Joined> | undefined
  let isFirst = true
  let ended = false

  const remembered = (message: JsonRpcRequest, upstream: Upstream): void => {
    const [oldest] = questions.keys()
    if (oldest !== undefined && questions.size >= MAX_QUESTIONS) questions.delete(oldest)
    questions.set(idKey(message.id), upstream)
  }

  const join = async (): Promise<Joined> => {
    if (ended) throw new WireError('WIRE_SESSION_UNKNOWN', 'the session has ended')
    const shared = await open(initializeParams)
    const { upstream } = shared.connection
    const member = shared.join({
      onNotification(message) {
        // Of a question that another client of this session was asked.
        if (message.method === 'notifications/cancelled' && !questions.has(idOf(message))) return
        peer.send(message)
      },
      onQuestion(message) {
        remembered(message, upstream)
        peer.send(message)
      },
      onClosed() {
        if (joined?.shared === shared) joined = undefined
        member.leave()
        // Somebody who only listens would never notice.
        if (!ended && uris.size > 0)
          current().catch((error: unknown) => onDiagnostic(`not subscribed any more: ${String(error)}`))
      },
    })
    const mine: Joined = { shared, member }
    joined = mine
    if (ended) member.leave()
    else if (!isFirst) await restore(mine)
    isFirst = false
    return mine
  }

  const restore = async ({ shared, member }: Joined): Promise<void> => {
    if (level !== undefined) await member.setLevel(level)
    for (const uri of uris) await member.subscribe(uri, { uri })
    for (const kind of ['tools', 'prompts', 'resources']) {
      const declared = shared.connection.profile.capabilities[kind]
      // Another process may have other lists.
      if (isObject(declared) && declared['listChanged'] === true) {
        peer.send({ jsonrpc: '2.0', method: `notifications/${kind}/list_changed` })
      }
    }
  }

  /** The member to use now, if the next request needn't wait for one. */
  const ready = (): Joined | undefined => {
    if (joined?.shared.isCurrent() === false) {
      joined.member.leave()
      joined = undefined
    }
    return joined
  }

  const current = (): Promise<Joined> => {
    const known = ready()
    if (known !== undefined) return Promise.resolve(known)
    joining ??= join().finally(() => {
      joining = undefined
    })
    return joining
  }

  /** What is the session's to remember. Undefined for everything else. */
  const remember = async (
    { member }: Joined,
    { method, params = {} }: JsonRpcRequest,
    signal?: AbortSignal,
  ): Promise<JsonRpcResponse | undefined> => {
    const done: JsonRpcResponse = { jsonrpc: '2.0', result: {} }
    const uri = String(params['uri'])
    if (method === 'resources/subscribe') {
      const response = (await member.subscribe(uri, params, signal)) ?? done
      if (response.error === undefined) uris.add(uri)
      return response
    }
    if (method === 'resources/unsubscribe') {
      uris.delete(uri)
      return (await member.unsubscribe(uri, params, signal)) ?? done
    }
    if (method !== 'logging/setLevel') return undefined
    const response = (await member.setLevel(params, signal)) ?? done
    if (response.error === undefined) level = params
    return response
  }

  return {
    current: async () => (await current()).shared,
    async *request(message, options) {
      if (message.method === 'initialize') {
        initializeParams = message.params ?? {}
        const { shared } = await current()
        return { jsonrpc: '2.0', id: message.id, result: shared.connection.profile.result }
      }
      const start = async (): Promise<Started> => {
        const now = ready() ?? (await current())
        const { upstream } = now.shared.connection
        const response = await remember(now, message, options.signal)
        return response === undefined ? { exchange: now.member.request(message, options), upstream } : { response }
      }
      const started = await untilSent(start)
      if ('response' in started) return { ...started.response, id: message.id }
      const { exchange, upstream } = started
      try {
        for (;;) {
          const next = await exchange.next()
          if (next.done) return next.value
          if (isRequest(next.value)) remembered(next.value, upstream)
          yield next.value
        }
      } finally {
        // Leaving early must reach the connection, which then tells its server.
        await exchange.return(undefined as never)
      }
    },
    async notify(message) {
      // The server was told when its session was opened.
      if (message.method === 'notifications/initialized') return
      const { shared } = await current()
      await shared.connection.upstream.notify(message)
    },
    async respond(message) {
      const key = message.id == null ? undefined : idKey(message.id)
      const upstream = key === undefined ? undefined : questions.get(key)
      if (key === undefined || upstream === undefined) return
      questions.delete(key)
      await upstream.respond(message)
    },
    async [Symbol.asyncDispose]() {
      ended = true
      joined?.member.leave()
    },
  }
}

function idOf(message: JsonRpcNotification): string | number {
  return idKey((message.params?.['requestId'] ?? '') as JsonRpcId)
}
