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

type Step = IteratorResult<JsonRpcMessage, JsonRpcResponse>

/**
 * `onAbandon` runs once if the reader leaves before the response is there.
 *
 * The exchange is no generator: that takes five promises for a call whose response is all there is, and this takes one.
 */
export function createMailbox(onAbandon: () => void): Mailbox {
  const waiting: { readonly message: JsonRpcMessage; readonly size: number }[] = []
  let waitingChars = 0
  let response: JsonRpcResponse | undefined
  let failure: { readonly error: unknown } | undefined
  /** Who waits for what comes next: one as a rule. */
  const readers: PromiseWithResolvers<Step>[] = []
  /** The end was read, or nobody reads any more. */
  let isOver = false

  const isOpen = (): boolean => response === undefined && failure === undefined
  /** Undefined while there is nothing to be read. @throws what the exchange failed with, once */
  const take = (): Step | undefined => {
    if (isOver) return { done: true, value: undefined as never }
    const next = waiting.shift()
    if (next !== undefined) {
      waitingChars -= next.size
      return { done: false, value: next.message }
    }
    if (isOpen()) return undefined
    isOver = true
    if (response !== undefined) return { done: true, value: response }
    throw failure?.error
  }
  const signal = (): void => {
    for (let reader = readers[0]; reader !== undefined; reader = readers[0]) {
      try {
        const step = take()
        if (step === undefined) return
        reader.resolve(step)
      } catch (error) {
        reader.reject(error)
      }
      readers.shift()
    }
  }
  /** No async function: one that returns a promise takes three turns more. */
  const next = (): Promise<Step> => {
    try {
      const step = readers.length === 0 ? take() : undefined
      if (step !== undefined) return Promise.resolve(step)
    } catch (error) {
      return Promise.reject(error)
    }
    const reader = Promise.withResolvers<Step>()
    readers.push(reader)
    return reader.promise
  }
  const leave = (): void => {
    const wasOpen = isOpen()
    if (wasOpen) failure = { error: new WireError('WIRE_CANCELLED', 'the caller left') }
    waiting.length = 0
    signal()
    isOver = true
    if (wasOpen) onAbandon()
  }

  return {
    exchange: exchangeOf(next, async () => leave()),
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

/** A reader who leaves calls `leave`, and gets its own value or error back, as from a generator. */
function exchangeOf(next: () => Promise<Step>, leave: () => Promise<void>): Exchange {
  return {
    next,
    return: async (value) => {
      await leave()
      return { done: true, value: await value }
    },
    throw: async (error) => {
      await leave()
      throw error
    },
    [Symbol.asyncIterator]() {
      return this
    },
    [Symbol.asyncDispose]: leave,
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

/** The exchange with its messages changed, or left out where `onMessage` gives undefined, and its response changed. */
export function mapExchange(
  exchange: Exchange,
  onMessage: (message: JsonRpcMessage) => JsonRpcMessage | undefined,
  onResponse: (response: JsonRpcResponse) => JsonRpcResponse = (response) => response,
): Exchange {
  /** It must reach the connection, which then tells its server. */
  const leave = async (): Promise<void> => {
    await exchange.return(undefined as never)
  }
  const step = (next: Step): Step | Promise<Step> => {
    if (next.done) return { done: true, value: onResponse(next.value) }
    let message: JsonRpcMessage | undefined
    try {
      message = onMessage(next.value)
    } catch (error) {
      return leave().then(() => Promise.reject(error))
    }
    return message === undefined ? exchange.next().then(step) : { done: false, value: message }
  }
  return exchangeOf(() => exchange.next().then(step), leave)
}
