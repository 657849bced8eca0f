/**
 * One request and everything that belongs to it: the server's notifications and questions are yielded while it runs,
 * its response is returned. Leaving the generator early abandons the request.
 */
import { WireError } from './errors.ts'
import type { JsonRpcMessage, JsonRpcResponse } from './json-rpc.ts'

export type Exchange = AsyncGenerator<JsonRpcMessage, JsonRpcResponse, void>

/** The end of an exchange that the upstream side holds. Everything after the first settle or fail is ignored. */
export type Mailbox = {
  readonly exchange: Exchange
  readonly isOpen: () => boolean
  /** `size` in characters, as the server sent it. */
  push(message: JsonRpcMessage, size: number): void
  settle(response: JsonRpcResponse): void
  fail(error: unknown): void
}

/** What may wait for a slow client before the exchange fails with WIRE_BUFFER_FULL. */
export const MAX_WAITING_MESSAGES = 10_000
const MAX_WAITING_CHARS = 16 * 1024 * 1024

/** `onAbandon` runs once if the reader leaves before the response is there. */
export function createMailbox(onAbandon: () => void): Mailbox {
  const waiting: { readonly message: JsonRpcMessage; readonly size: number }[] = []
  let waitingChars = 0
  let response: JsonRpcResponse | undefined
  let failure: { readonly error: unknown } | undefined
  let wake: (() => void) | undefined

  const isOpen = (): boolean => response === undefined && failure === undefined
  const signal = (): void => {
    wake?.()
    wake = undefined
  }

  async function* read(): Exchange {
    try {
      for (;;) {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          waitingChars -= next.size
          yield next.message
        }
        if (response !== undefined) return response
        if (failure !== undefined) throw failure.error
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      if (isOpen()) {
        failure = { error: new WireError('WIRE_CANCELLED', 'the caller left') }
        onAbandon()
      }
    }
  }

  return {
    exchange: read(),
    isOpen,
    push(message, size) {
      if (!isOpen()) return
      // One message alone may be as long as a server may send.
      if (waiting.length >= MAX_WAITING_MESSAGES || (waiting.length > 0 && waitingChars + size > MAX_WAITING_CHARS)) {
        failure = { error: new WireError('WIRE_BUFFER_FULL', 'the client reads too slowly') }
        waiting.length = 0
        onAbandon()
      } else {
        waitingChars += size
        waiting.push({ message, size })
      }
      signal()
    },
    settle(message) {
      if (!isOpen()) return
      response = message
      signal()
    },
    fail(error) {
      if (!isOpen()) return
      failure = { error }
      signal()
    },
  }
}

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

/**
 * The exchange with its messages changed, or left out where `onMessage` gives undefined, and its response changed. Not a
 * generator: one inside of another costs every call five promises more.
 */
export function mapExchange(
  exchange: Exchange,
  onMessage: (message: JsonRpcMessage) => JsonRpcMessage | undefined,
  onResponse: (response: JsonRpcResponse) => JsonRpcResponse = (response) => response,
): Exchange {
  const step = (next: Step): Step | Promise<Step> => {
    if (next.done) return { done: true, value: onResponse(next.value) }
    let message: JsonRpcMessage | undefined
    try {
      message = onMessage(next.value)
    } catch (error) {
      return leave(error)
    }
    return message === undefined ? exchange.next().then(step) : { done: false, value: message }
  }
  /** It must reach the connection, which then tells its server. */
  const leave = async (error: unknown): Promise<never> => {
    await exchange.return(undefined as never)
    throw error
  }
  return {
    next: () => exchange.next().then(step),
    return: (value) => exchange.return(value),
    throw: (error) => exchange.throw(error),
    [Symbol.asyncIterator]() {
      return this
    },
    [Symbol.asyncDispose]: () => exchange[Symbol.asyncDispose](),
  }
}

type Step = IteratorResult<JsonRpcMessage, JsonRpcResponse>
