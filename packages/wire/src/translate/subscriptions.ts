/** The `subscriptions/listen` streams that a legacy session holds at a modern server: one for lists, one for each resource. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '../connection.ts'
import { WireError } from '../errors.ts'
import { isObject, isRequest, withMeta, type JsonObject, type JsonRpcNotification } from '../json-rpc.ts'
import { MAX_SUBSCRIPTIONS } from './modern-to-legacy.ts'

export type SubscriptionsOptions = {
  readonly connection: () => Connection | Promise<Connection>
  readonly meta: () => JsonObject
  readonly onNotification: (message: JsonRpcNotification) => void
  readonly onDiagnostic: (text: string) => void
}

export type Subscriptions = {
  /** Resolves when the server has acknowledged it, or has said that it has nothing to tell. */
  start(): Promise<void>
  subscribe(uri: string): Promise<void>
  unsubscribe(uri: string): void
  close(): void
}

/** A stream that ended is opened again after this, doubled until the last. */
const FIRST_PAUSE_MS = 500
const LAST_PAUSE_MS = 30_000
/** How long the client's handshake waits for the acknowledgement. */
const ACKNOWLEDGE_MS = 3000

const LISTS: Readonly<Record<string, string>> = {
  tools: 'toolsListChanged',
  prompts: 'promptsListChanged',
  resources: 'resourcesListChanged',
}

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const stop = new AbortController()
  const resources = new Map<string, AbortController>()
  let nextId = 1

  /** One stream, until it ends. `onOpen` hears of the acknowledgement. */
  const stream = async (wanted: JsonObject, signal: AbortSignal, onOpen: () => void): Promise<void> => {
    const { upstream } = await options.connection()
    const params = { notifications: wanted }
    const message = { jsonrpc: '2.0', id: `listen-${nextId++}`, method: 'subscriptions/listen', params } as const
    const exchange = upstream.request(withMeta(message, options.meta()), { signal })
    for (;;) {
      const next = await exchange.next()
      if (next.done) {
        const { error } = next.value
        if (error === undefined) return
        throw new WireError('WIRE_UPSTREAM_REFUSED', `subscriptions/listen was refused: ${error.message}`, {
          data: { rpcCode: error.code },
        })
      }
      if (next.value['method'] === 'notifications/subscriptions/acknowledged') onOpen()
      else if (!isRequest(next.value)) options.onNotification(next.value as JsonRpcNotification)
    }
  }

  /** Keeps a stream open. The first attempt's refusal is the caller's; later ones are only logged and tried again. */
  const keep = (wanted: JsonObject, signal: AbortSignal): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const run = async (): Promise<void> => {
      let isOpen = false
      for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(pause * 2, LAST_PAUSE_MS)) {
        try {
          await stream(wanted, signal, () => {
            isOpen = true
            pause = FIRST_PAUSE_MS
            resolve()
          })
        } catch (error) {
          if (signal.aborted) return
          if (!isOpen) return reject(error)
          options.onDiagnostic(`subscriptions/listen ended: ${String(error)}`)
        }
        await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined)
      }
    }
    void run().finally(resolve)
    return promise
  }

  return {
    async start() {
      const { profile } = await options.connection()
      const wanted: Record<string, true> = {}
      for (const [capability, kind] of Object.entries(LISTS)) {
        const declared = profile.capabilities[capability]
        if (isObject(declared) && declared['listChanged'] === true) wanted[kind] = true
      }
      if (Object.keys(wanted).length === 0) return
      const opened = keep(wanted, stop.signal).catch((error: unknown) =>
        options.onDiagnostic(`no list changes: ${String(error)}`),
      )
      await Promise.race([opened, sleep(ACKNOWLEDGE_MS, undefined, { ref: false })])
    },
    async subscribe(uri) {
      if (resources.has(uri)) return
      if (resources.size >= MAX_SUBSCRIPTIONS) {
        throw new WireError('WIRE_CALL_LIMIT', `${MAX_SUBSCRIPTIONS} resources are subscribed to already`)
      }
      const own = new AbortController()
      resources.set(uri, own)
      try {
        await keep({ resourceSubscriptions: [uri] }, AbortSignal.any([own.signal, stop.signal]))
      } catch (error) {
        resources.delete(uri)
        throw error
      }
    },
    unsubscribe(uri) {
      resources.get(uri)?.abort({ reason: 'unsubscribed' })
      resources.delete(uri)
    },
    close() {
      stop.abort({ reason: 'the session ended' })
      resources.clear()
    },
  }
}
