/**
 * One request and everything that belongs to it: the server's notifications and questions are yielded while it runs,
 * its response is returned. Leaving the generator early abandons the request.
 */
import type { JsonRpcMessage, JsonRpcResponse } from './json-rpc.ts'

export type Exchange = AsyncGenerator<JsonRpcMessage, JsonRpcResponse, void>

/** What came next: a message, or at the end the response. */
export type Step = IteratorResult<JsonRpcMessage, JsonRpcResponse>

/** What its reader sees of an exchange, in place of each message, or instead of it nothing, and of the response. @default all */
export type ExchangeView = {
  onMessage?(message: JsonRpcMessage): JsonRpcMessage | undefined
  onResponse?(response: JsonRpcResponse): JsonRpcResponse
}

/** An exchange that changes what it gives before its reader gets it: another one around it would cost a promise more. */
export type Viewable = Exchange & { readonly addView: (view: ExchangeView) => void }

/** The response; `onMessage` is given what comes before it. */
export async function responseOf(
  exchange: Exchange,
  onMessage?: (message: JsonRpcMessage) => Promise<void> | void,
): Promise<JsonRpcResponse> {
  for (;;) {
    const next = await exchange.next()
    if (next.done) return next.value
    await onMessage?.(next.value)
  }
}

/** The exchange as `view` shows it. It takes the place of the one it is made of, which nobody may read any more. */
export function mapExchange(exchange: Exchange, view: ExchangeView): Exchange {
  if (!isViewable(exchange)) return mapped(exchange, view)
  exchange.addView(view)
  return exchange
}

function isViewable(exchange: Exchange): exchange is Viewable {
  return 'addView' in exchange
}

/** No generator: one that nobody has read yet does not hear that its reader left. */
function mapped(source: Exchange, view: ExchangeView): Exchange {
  /** It must reach the connection, which then tells its server. */
  const leave = async (): Promise<void> => {
    await source.return(undefined as never)
  }
  return {
    async next() {
      for (;;) {
        const next = await source.next()
        // Behind the end there is no response.
        if (next.done) return next.value === undefined ? next : { done: true, value: seenResponse(next.value, view) }
        let message: JsonRpcMessage | undefined
        try {
          message = seenMessage(next.value, view)
        } catch (error) {
          await leave()
          throw error
        }
        if (message !== undefined) return { done: false, value: message }
      }
    },
    async return(value) {
      await leave()
      return { done: true, value: await value }
    },
    async throw(error) {
      await leave()
      throw error
    },
    [Symbol.asyncIterator]() {
      return this
    },
    [Symbol.asyncDispose]: leave,
  }
}

export function seenMessage(message: JsonRpcMessage, view: ExchangeView): JsonRpcMessage | undefined {
  return view.onMessage === undefined ? message : view.onMessage(message)
}

export function seenResponse(response: JsonRpcResponse, view: ExchangeView): JsonRpcResponse {
  return view.onResponse === undefined ? response : view.onResponse(response)
}
