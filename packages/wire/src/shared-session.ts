/**
 * One legacy session at a server, shared by several clients that told it the same of themselves. What `initialize` settled
 * holds for all of them; what changes later (subscriptions, log level) is kept for each and merged towards the server.
 */
import type { Connection } from './connection.ts'
import type { RequestOptions } from './correlator.ts'
import { mapExchange, type Exchange } from './exchange.ts'
import { answerAlone, outcome } from './handshake.ts'
import { isRequest, type JsonObject, type JsonRpcMessage, type JsonRpcNotification, type JsonRpcRequest, type JsonRpcResponse } from './json-rpc.ts' // prettier-ignore
import { isAtLeast, isLogLevel, mostVerbose } from './log-levels.ts'

export type MemberEvents = {
  /** A notification that belongs to no request and that this member asked for. */
  readonly onNotification: (message: JsonRpcNotification) => void
  /** A question that belongs to no request. Without this, the member can't be asked. */
  readonly onQuestion?: (message: JsonRpcRequest) => void
  /** The server's session has ended. */
  readonly onClosed?: (reason: string) => void
}

export type Member = {
  request(message: JsonRpcRequest, options: RequestOptions): Exchange
  /** Undefined when another member had subscribed already: then the server was not asked. */
  subscribe(uri: string, params: JsonObject, signal?: AbortSignal): Promise<JsonRpcResponse | undefined>
  unsubscribe(uri: string, params: JsonObject, signal?: AbortSignal): Promise<JsonRpcResponse | undefined>
  setLevel(params: JsonObject, signal?: AbortSignal): Promise<JsonRpcResponse | undefined>
  leave(): void
}

export type SharedSession = {
  readonly connection: Connection
  readonly members: () => number
  /** False once a successor takes new requests; those under way may end here. */
  readonly isCurrent: () => boolean
  join(events: MemberEvents): Member
}

/** Servers ask for roots as soon as their session is open; the client whose session it is comes a moment later. */
const HOLD_MS = 1000
const MAX_HELD = 100

type Seat = { readonly events: MemberEvents; readonly uris: Set<string>; level: string | undefined }

export function createSharedSession(connection: Connection, isCurrent: () => boolean = () => true): SharedSession {
  const { upstream, profile } = connection
  const seats = new Set<Seat>()
  let upstreamLevel: string | undefined

  const ask = (method: string, params: JsonObject, signal?: AbortSignal): Promise<JsonRpcResponse> =>
    outcome(upstream, { jsonrpc: '2.0', id: method, method, params }, signal, { isBackground: true })
  const hasSubscriber = (uri: string): boolean => [...seats].some(({ uris }) => uris.has(uri))

  /** The URI may be of a part of what was subscribed (server/resources, subscriptions), so a stranger's goes to all subscribers. */
  const onUpdated = (message: JsonRpcNotification): void => {
    const uri = String(message.params?.['uri'])
    const exact = [...seats].filter(({ uris }) => uris.has(uri))
    const told = exact.length > 0 ? exact : [...seats].filter(({ uris }) => uris.size > 0)
    for (const { events } of told) events.onNotification(message)
  }

  // One reaction for all: a member's own would stay with the connection after the member had left.
  void upstream.closed.then((reason) => {
    for (const { events } of seats) events.onClosed?.(reason)
  })
  /** What the server said before its first client was there. Undefined once that one has it, or is not coming. */
  let held: (JsonRpcRequest | JsonRpcNotification)[] | undefined = []
  const hold = (message: JsonRpcRequest | JsonRpcNotification): boolean => {
    if (held === undefined || held.length >= MAX_HELD) return false
    held.push(message)
    return true
  }
  /** False for a question that nobody can be asked. */
  const deliver = (message: JsonRpcRequest | JsonRpcNotification): boolean => {
    if (isRequest(message)) {
      const seat = [...seats].toReversed().find(({ events }) => events.onQuestion !== undefined)
      seat?.events.onQuestion?.(message)
      return seat !== undefined || (message.method !== 'ping' && hold(message))
    }
    if (seats.size === 0) hold(message)
    else if (message.method === 'notifications/resources/updated') onUpdated(message)
    else for (const seat of seats) if (isWanted(message, seat.level)) seat.events.onNotification(message)
    return true
  }
  const release = (): void => {
    const messages = held ?? []
    held = undefined
    for (const message of messages) {
      // A server that is gone meanwhile waits for no answer.
      if (!deliver(message) && isRequest(message)) upstream.respond(answerAlone(message)).catch(() => undefined)
    }
  }
  setTimeout(release, HOLD_MS).unref()
  connection.listen(deliver)

  const applyLevel = async (params: JsonObject, signal?: AbortSignal): Promise<JsonRpcResponse | undefined> => {
    const wanted = mostVerbose([...seats].flatMap(({ level }) => level ?? []))
    if (wanted === undefined || wanted === upstreamLevel) return undefined
    const response = await ask('logging/setLevel', { ...params, level: wanted }, signal)
    // What the server did not take has to be asked again.
    if (response.error === undefined) upstreamLevel = wanted
    return response
  }

  return {
    connection,
    isCurrent,
    members: () => seats.size,
    join(events) {
      const seat: Seat = { events, uris: new Set(), level: undefined }
      seats.add(seat)
      if (events.onQuestion !== undefined) release()
      return {
        request(message, options) {
          const exchange = upstream.request(message, options)
          return seat.level === undefined ? exchange : onlyWanted(exchange, seat)
        },
        async subscribe(uri, params, signal) {
          const isFirst = !hasSubscriber(uri)
          seat.uris.add(uri)
          if (!isFirst) return undefined
          const response = await ask('resources/subscribe', params, signal)
          if (response.error !== undefined) seat.uris.delete(uri)
          return response
        },
        async unsubscribe(uri, params, signal) {
          const was = seat.uris.delete(uri)
          return was && hasSubscriber(uri) ? undefined : ask('resources/unsubscribe', params, signal)
        },
        async setLevel(params, signal) {
          const { level } = params
          // What the server would refuse is for the server to refuse.
          if (!isLogLevel(level)) return ask('logging/setLevel', params, signal)
          seat.level = level
          return profile.capabilities['logging'] === undefined ? undefined : applyLevel(params, signal)
        },
        leave() {
          if (!seats.delete(seat)) return
          for (const uri of seat.uris) {
            // Nobody waits for this; a server that is gone has no subscriptions left.
            if (!hasSubscriber(uri)) ask('resources/unsubscribe', { uri }).catch(() => undefined)
          }
        },
      }
    },
  }
}

function onlyWanted(exchange: Exchange, seat: Seat): Exchange {
  return mapExchange(exchange, { onMessage: (message) => (isWanted(message, seat.level) ? message : undefined) })
}

function isWanted(message: JsonRpcMessage, level: string | undefined): boolean {
  if (level === undefined || message['method'] !== 'notifications/message') return true
  return isAtLeast((message['params'] as JsonObject | undefined)?.['level'], level)
}
