/** `subscriptions/listen` on `/mcp`: one stream out of the changes of many servers. */
import {
  isObject,
  isRequest,
  joinUri,
  MAX_SUBSCRIPTIONS,
  META_SUBSCRIPTION,
  splitUri,
  WireError,
  withMeta,
  type Exchange,
  type JsonObject,
  type JsonRpcNotification,
  type JsonRpcRequest,
} from '@mcp-gateway/wire'
import type { AllServersOptions } from './all-servers.ts'
import { errorText } from './connection-pool.ts'
import type { CallContext } from './context.ts'
import { SUBJECTS, type ListKind } from './list-cache.ts'
import type { Server } from './server.ts'

/** Notifications that may wait for a slow client; past them it is told to come back. */
const MAX_WAITING = 1000
/** How long the acknowledgement waits for the servers. */
const ACKNOWLEDGE_MS = 10_000

export async function* listenEverywhere(
  { discovery, logger, pipeline }: AllServersOptions,
  message: JsonRpcRequest,
  context: CallContext,
  signal: AbortSignal | undefined,
): Exchange {
  const wanted = isObject(message.params?.['notifications']) ? message.params['notifications'] : {}
  const uris = Array.isArray(wanted['resourceSubscriptions']) ? wanted['resourceSubscriptions'].map(String) : []
  if (uris.length > MAX_SUBSCRIPTIONS) {
    throw new WireError('WIRE_CALL_LIMIT', `more than ${MAX_SUBSCRIPTIONS} resources in one subscription`)
  }
  const may = (uri: string): boolean => {
    const parts = splitUri(uri)
    if (parts === undefined) return false
    const target = { server: parts.serverId, tool: 'resources/subscribe', args: { uri: parts.uri } }
    return pipeline.authority.may(context, { ...target, address: context.address })
  }
  const stop = new AbortController()
  const stops = [signal, stop.signal].filter((item) => item !== undefined)
  const until = AbortSignal.any(stops)
  const waiting: JsonRpcNotification[] = []
  let wake: (() => void) | undefined
  let overflow = false
  const push = (notification: JsonRpcNotification): void => {
    overflow ||= waiting.length >= MAX_WAITING
    if (!overflow) waiting.push(withMeta(notification, { [META_SUBSCRIPTION]: message.id }))
    wake?.()
  }
  until.addEventListener('abort', () => wake?.(), { once: true })

  const onChanged = (kind: ListKind): void => {
    const subject = SUBJECTS[kind]
    if (wanted[`${subject}ListChanged`] === true) push({ jsonrpc: '2.0', method: `notifications/${subject}/list_changed` }) // prettier-ignore
  }
  const stopWatching = discovery.onListChanged(context, onChanged)
  try {
    const subscribed = await subscribeAll(discovery.visible(context), uris.filter(may), { message, context, signal: until, push, onLost: (server, error) => logger.debug({ server, error }, 'a subscription ended') }) // prettier-ignore
    const honoured: Record<string, unknown> = {}
    for (const name of ['toolsListChanged', 'promptsListChanged', 'resourcesListChanged']) {
      if (wanted[name] === true) honoured[name] = true
    }
    if (subscribed.length > 0) honoured['resourceSubscriptions'] = subscribed
    const method = 'notifications/subscriptions/acknowledged'
    yield withMeta({ jsonrpc: '2.0', method, params: { notifications: honoured } }, { [META_SUBSCRIPTION]: message.id })
    for (;;) {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield next
      if (overflow) throw new WireError('WIRE_BUFFER_FULL', 'the client reads too slowly')
      if (until.aborted) throw new WireError('WIRE_CANCELLED', 'the caller left')
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  } finally {
    stopWatching()
    stop.abort({ reason: 'the subscription ended' })
  }
}

type SubscribeOptions = {
  readonly message: JsonRpcRequest
  readonly context: CallContext
  readonly signal: AbortSignal
  readonly push: (notification: JsonRpcNotification) => void
  readonly onLost: (server: string, error: string) => void
}

/** One stream per server that owns any of the resources. The URIs that were acknowledged, as they are called here. */
async function subscribeAll(
  servers: readonly Server[],
  uris: readonly string[],
  options: SubscribeOptions,
): Promise<readonly string[]> {
  const perServer = Map.groupBy(uris, (uri) => splitUri(uri)?.serverId)
  const streams = servers.flatMap((server) => {
    const own = perServer.get(server.id)?.flatMap((uri) => splitUri(uri)?.uri ?? [])
    return own === undefined ? [] : [subscribe(server, own, options)]
  })
  const late = new Promise<string[]>((resolve) => setTimeout(() => resolve([]), ACKNOWLEDGE_MS).unref())
  return (await Promise.all(streams.map((stream) => Promise.race([stream, late])))).flat()
}

function subscribe(
  server: Server,
  uris: readonly string[],
  { message, context, signal, push, onLost }: SubscribeOptions,
): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<string[]>()
  const run = async (): Promise<void> => {
    const params = { ...message.params, notifications: { resourceSubscriptions: uris } }
    const exchange = await server.request({ ...message, params }, context, { signal })
    for (let next = await exchange.next(); !next.done; next = await exchange.next()) {
      const notification = next.value
      if (isRequest(notification)) continue
      if (notification['method'] === 'notifications/subscriptions/acknowledged') {
        resolve(acknowledged(notification as JsonRpcNotification).map((uri) => joinUri(server.id, uri)))
      } else if (notification['method'] === 'notifications/resources/updated') {
        push(joined(notification as JsonRpcNotification, server.id))
      }
    }
  }
  run()
    .catch((error: unknown) => onLost(server.id, errorText(error)))
    .finally(() => resolve([]))
  return promise
}

function acknowledged({ params }: JsonRpcNotification): readonly string[] {
  const honoured = isObject(params?.['notifications']) ? params['notifications']['resourceSubscriptions'] : undefined
  return Array.isArray(honoured) ? honoured.map(String) : []
}

function joined(notification: JsonRpcNotification, serverId: string): JsonRpcNotification {
  const params: JsonObject = notification.params ?? {}
  return { ...notification, params: { ...params, uri: joinUri(serverId, String(params['uri'])) } }
}
