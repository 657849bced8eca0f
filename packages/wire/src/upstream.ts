/** A connection to one MCP server, whatever it runs on. */
import type { RequestOptions } from './correlator.ts'
import type { Exchange } from './exchange.ts'
import type { JsonRpcMessage, JsonRpcNotification, JsonRpcRequest, JsonRpcResponse } from './json-rpc.ts'

export type Transport = 'stdio' | 'http' | 'sse'

export interface Upstream extends AsyncDisposable {
  readonly transport: Transport
  /**
   * Ends with the server's response, or with a WireError when the connection is lost. Throws WIRE_NOT_SENT when it is closed
   * already: such a request may be made again elsewhere, whatever it does.
   */
  request(message: JsonRpcRequest, options?: RequestOptions): Exchange
  notify(message: JsonRpcNotification): Promise<void>
  /** The client's answer to a question that came out of `request` or `onMessage`. */
  respond(message: JsonRpcResponse): Promise<void>
  /** What has not been answered yet. */
  readonly load: () => Load
  /** Responses that have arrived so far. */
  readonly answered: () => number
  /** Resolves with the reason once the connection has ended, by either side. Never rejects. */
  readonly closed: Promise<string>
  [Symbol.asyncDispose](): Promise<void>
}

/** A subscription has no end of its own: whoever waits for calls to end must not wait for it. */
export type Load = { readonly calls: number; readonly subscriptions: number }

export function loadOf(requests: readonly JsonRpcRequest[]): Load {
  const subscriptions = requests.filter(({ method }) => method === 'subscriptions/listen').length
  return { calls: requests.length - subscriptions, subscriptions }
}

export type UpstreamEvents = {
  /** Messages that belong to no running request. */
  readonly onMessage: (message: JsonRpcMessage) => void
  /** A line a person should see: what the server wrote on stderr, or what was wrong with what it sent. */
  readonly onDiagnostic: (text: string) => void
}

export type UpstreamLimits = {
  /** Longest silence of a running request. @default 60_000 */
  readonly idleTimeoutMs: number
  /** Requests in flight on one connection. @default 1_000 */
  readonly maxInFlight: number
  /** Longest line or event from the server, in characters. @default 16 Mi: a longer one holds up everybody while it is parsed */
  readonly maxLineBytes: number
  /** Deepest nesting in what the server sends. @default 128 */
  readonly maxDepth: number
}

export const defaultUpstreamLimits: UpstreamLimits = {
  idleTimeoutMs: 60_000,
  maxInFlight: 1_000,
  maxLineBytes: 16 * 1024 * 1024,
  maxDepth: 128,
}
