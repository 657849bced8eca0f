/** Modern clients in front of a legacy server: what 2026-07-28 asks per request is answered out of a session of 2025-11-25. */
import type { RequestOptions } from '../correlator.ts'
import { META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_SUBSCRIPTION, META_VERSION } from '../era.ts'
import { WireError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { Mailbox } from '../mailbox.ts'
import { isObject, metaOf, withMeta, without, type JsonObject, type JsonRpcNotification, type JsonRpcRequest } from '../json-rpc.ts' // prettier-ignore
import { isLogLevel } from '../log-levels.ts'
import { untilSent } from '../resend.ts'
import type { SharedSession } from '../shared-session.ts'
import { discoverResult } from './modern-results.ts'
import { createParkedCalls, type ParkedCallsOptions } from './parked-calls.ts'

export type ModernToLegacy = {
  /** Calls that wait for their client. */
  readonly parked: () => number
  /** `open` gives a session that was initialised with the capabilities this request declares. */
  request(
    message: JsonRpcRequest,
    principal: string,
    open: () => SharedSession | Promise<SharedSession>,
    options: RequestOptions,
  ): Exchange
  close(): void
}

/** What a legacy client may ask and a modern one may not: the session is ours. */
const OF_THE_SESSION: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
])
const LIST_CHANGED: Readonly<Record<string, string>> = {
  'notifications/tools/list_changed': 'toolsListChanged',
  'notifications/prompts/list_changed': 'promptsListChanged',
  'notifications/resources/list_changed': 'resourcesListChanged',
}
/** List changes and updates are short: their number is what is limited. */
const UNMEASURED = 0

/** Resources that one `subscriptions/listen` may name. */
export const MAX_SUBSCRIPTIONS = 1000

export function createModernToLegacy(options: ParkedCallsOptions): ModernToLegacy {
  const calls = createParkedCalls(options)
  return {
    parked: calls.parked,
    close: calls.close,
    async *request(message, principal, open, requestOptions) {
      const { method, params } = message
      // Tasks of 2025-11-25 are not the tasks extension of 2026-07-28: they pass in their own era only.
      if (OF_THE_SESSION.has(method) || method.startsWith('tasks/')) {
        throw new WireError('WIRE_METHOD_NOT_FOUND', `${method} is not offered to clients of this protocol version`)
      }
      if (params?.['requestState'] !== undefined) return yield* calls.resume(message, principal, requestOptions)
      const shared = await open()
      if (method === 'server/discover') {
        return { jsonrpc: '2.0', id: message.id, result: discoverResult(shared.connection.profile) }
      }
      if (method === 'subscriptions/listen') return yield* listen(shared, message, requestOptions.signal)
      const level = metaOf(message)?.[META_LOG_LEVEL]
      const logger = isLogLevel(level) ? shared.join({ onNotification: () => undefined }) : undefined
      try {
        await logger?.setLevel({ level })
        const start = async () => ({ exchange: calls.start(await open(), message, outbound(message), principal, requestOptions) }) // prettier-ignore
        const { exchange } = await untilSent(start)
        return yield* exchange
      } finally {
        logger?.leave()
      }
    },
  }
}

/** The request without what only the modern era knows. */
function outbound(message: JsonRpcRequest): JsonRpcRequest {
  const params = without(message.params ?? {}, 'inputResponses', 'requestState', '_meta')
  const meta = without(metaOf(message) ?? {}, META_VERSION, META_CLIENT_INFO, META_CLIENT_CAPABILITIES, META_LOG_LEVEL)
  return { ...message, params: Object.keys(meta).length === 0 ? params : { ...params, _meta: meta } }
}

/** `subscriptions/listen` out of list changes and `resources/subscribe` (2026-07-28, server/utilities/subscriptions). */
async function* listen(shared: SharedSession, message: JsonRpcRequest, signal: AbortSignal | undefined): Exchange {
  const wanted = isObject(message.params?.['notifications']) ? message.params['notifications'] : {}
  const uris = stringsOf(wanted['resourceSubscriptions'])
  if (uris.length > MAX_SUBSCRIPTIONS) {
    throw new WireError('WIRE_CALL_LIMIT', `more than ${MAX_SUBSCRIPTIONS} resources in one subscription`)
  }
  const { profile } = shared.connection
  const tag = (notification: JsonRpcNotification): JsonRpcNotification =>
    withMeta(notification, { [META_SUBSCRIPTION]: message.id })
  const mailbox = new Mailbox(() => undefined)
  const member = shared.join({
    onNotification(notification) {
      const kind = LIST_CHANGED[notification.method]
      const isWanted = kind === undefined ? notification.method === 'notifications/resources/updated' : wanted[kind] === true // prettier-ignore
      if (isWanted) mailbox.push(tag(notification), UNMEASURED)
    },
    onClosed: (reason) => mailbox.fail(new WireError('WIRE_UPSTREAM_CLOSED', `the server's session ended: ${reason}`)),
  })
  const onAbort = (): void => mailbox.fail(new WireError('WIRE_CANCELLED', 'the caller left'))
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted === true) onAbort()
  try {
    const subscribed = await subscribeAll(uris, profile.capabilities, (uri) => member.subscribe(uri, { uri }, signal))
    const honoured: Record<string, unknown> = {}
    for (const kind of Object.values(LIST_CHANGED)) if (wanted[kind] === true) honoured[kind] = true
    if (subscribed.length > 0) honoured['resourceSubscriptions'] = subscribed
    const method = 'notifications/subscriptions/acknowledged'
    yield tag({ jsonrpc: '2.0', method, params: { notifications: honoured } })
    return yield* mailbox
  } finally {
    signal?.removeEventListener('abort', onAbort)
    member.leave()
  }
}

async function subscribeAll(
  uris: readonly string[],
  capabilities: JsonObject,
  subscribe: (uri: string) => Promise<{ readonly error?: unknown } | undefined>,
): Promise<readonly string[]> {
  const resources = isObject(capabilities['resources']) ? capabilities['resources'] : {}
  if (resources['subscribe'] !== true) return []
  const responses = await Promise.all(uris.map(subscribe))
  return uris.filter((_, at) => responses[at]?.error === undefined)
}

function stringsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
}
