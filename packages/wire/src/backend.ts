/** What a proxy author supplies: where the messages of downstream clients go. */
import type { RequestOptions } from './correlator.ts'
import type { Exchange } from './exchange.ts'
import type { JsonRpcMessage, JsonRpcNotification, JsonRpcRequest, JsonRpcResponse } from './json-rpc.ts'

/** `principal` binds a session: the same id presented by anybody else is an unknown session. */
export type Context = {
  readonly principal: string
  /**
   * Go out with every answer, e.g. a request id: names and values in turns, as `writeHead` takes them. Given here rather than
   * set on the response, which would cost 1 µs. Read when the answer leaves, so that more can be added until then.
   */
  readonly responseHeaders?: readonly string[] | undefined
  /** The body, where somebody had to see it before: a signature covers it. Otherwise the endpoint reads it. */
  readonly body?: (() => Promise<Buffer>) | undefined
}

export interface Backend<C extends Context> {
  /** One request of the modern era. */
  request(message: JsonRpcRequest, context: C, options: RequestOptions): Exchange
  /** One notification of the modern era. */
  notify(message: JsonRpcNotification, context: C): Promise<void>
  /** A legacy session begins. `peer` reaches its client. The first request is `initialize`. */
  openSession(context: C, peer: Peer): SessionBackend<C>
}

export type Peer = {
  /** To the client, outside of any request. */
  send(message: JsonRpcMessage): void
  /** Ends the session, e.g. because its server is gone: the client is told with 404 and initialises again. */
  close(): void
}

export interface SessionBackend<C extends Context> extends AsyncDisposable {
  request(message: JsonRpcRequest, context: C, options: RequestOptions): Exchange
  notify(message: JsonRpcNotification, context: C): Promise<void>
  /** The client's answer to a question that went out through an exchange or through the peer. */
  respond(message: JsonRpcResponse, context: C): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
