/**
 * An exchange between whoever holds the connection, who puts in what the server says, and one reader.
 *
 * It is neither a generator, which takes five promises for a call whose response is all there is, nor closures, which take
 * a thousand bytes more: one object with both ends, and one promise.
 */
import { WireError } from './errors.ts'
import { seenMessage, seenResponse, type ExchangeView, type Step, type Viewable } from './exchange.ts'
import type { JsonRpcMessage, JsonRpcResponse } from './json-rpc.ts'

/** What may wait for a slow client before the exchange fails with WIRE_BUFFER_FULL. */
export const MAX_WAITING_MESSAGES = 10_000
const MAX_WAITING_CHARS = 16 * 1024 * 1024

const NONE: readonly ExchangeView[] = []

type Waiting = { readonly message: JsonRpcMessage; readonly size: number }

/** Everything after the first settle or fail is ignored. */
export class Mailbox implements Viewable {
  readonly #onAbandon: () => void
  readonly #waiting: Waiting[] = []
  #waitingChars = 0
  #response: JsonRpcResponse | undefined
  #failure: { readonly error: unknown } | undefined
  /** Who waits for what comes next: one as a rule. */
  readonly #readers: PromiseWithResolvers<Step>[] = []
  #views: readonly ExchangeView[] = NONE
  /** The end was read, or nobody reads any more. */
  #isOver = false

  /** `onAbandon` runs once if the reader leaves before the response is there. */
  constructor(onAbandon: () => void) {
    this.#onAbandon = onAbandon
  }

  isOpen(): boolean {
    return this.#response === undefined && this.#failure === undefined
  }

  /** `size` in characters, as the server sent it. */
  push(message: JsonRpcMessage, size: number): void {
    if (!this.isOpen()) return
    const waiting = this.#waiting
    // One message alone may be as long as a server may send.
    const isTooLong = waiting.length > 0 && this.#waitingChars + size > MAX_WAITING_CHARS
    if (waiting.length >= MAX_WAITING_MESSAGES || isTooLong) {
      this.#abandon(new WireError('WIRE_BUFFER_FULL', 'the client reads too slowly'))
    } else {
      this.#waitingChars += size
      waiting.push({ message, size })
    }
    this.#signal()
  }

  settle(response: JsonRpcResponse): void {
    if (!this.isOpen()) return
    this.#response = response
    this.#signal()
  }

  fail(error: unknown): void {
    if (!this.isOpen()) return
    this.#failure = { error }
    this.#signal()
  }

  addView(view: ExchangeView): void {
    this.#views = [...this.#views, view]
  }

  /** No async function: one that returns a promise takes three turns more. */
  next(): Promise<Step> {
    try {
      const step = this.#readers.length === 0 ? this.#take() : undefined
      if (step !== undefined) return Promise.resolve(step)
    } catch (error) {
      return Promise.reject(error)
    }
    const reader = Promise.withResolvers<Step>()
    this.#readers.push(reader)
    return reader.promise
  }

  async return(value: JsonRpcResponse | PromiseLike<JsonRpcResponse>): Promise<Step> {
    this.#leave()
    return { done: true, value: await value }
  }

  async throw(error: unknown): Promise<Step> {
    this.#leave()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave()
  }

  /** Undefined while there is nothing to be read. @throws what the exchange failed with, once */
  #take(): Step | undefined {
    for (;;) {
      if (this.#isOver) return { done: true, value: undefined as never }
      const next = this.#waiting.shift()
      if (next === undefined) break
      this.#waitingChars -= next.size
      const message = this.#seen(next.message)
      if (message !== undefined) return { done: false, value: message }
    }
    if (this.isOpen()) return undefined
    this.#isOver = true
    let response = this.#response
    if (response === undefined) throw this.#failure?.error
    for (const view of this.#views) response = seenResponse(response, view)
    return { done: true, value: response }
  }

  /** What cannot be shown ends the exchange. */
  #seen(said: JsonRpcMessage): JsonRpcMessage | undefined {
    let message: JsonRpcMessage | undefined = said
    try {
      for (const view of this.#views) message = message && seenMessage(message, view)
    } catch (error) {
      if (this.isOpen()) this.#abandon(error)
      this.#isOver = true
      throw error
    }
    return message
  }

  #signal(): void {
    for (let reader = this.#readers[0]; reader !== undefined; reader = this.#readers[0]) {
      try {
        const step = this.#take()
        if (step === undefined) return
        reader.resolve(step)
      } catch (error) {
        reader.reject(error)
      }
      this.#readers.shift()
    }
  }

  #leave(): void {
    if (this.isOpen()) this.#abandon(new WireError('WIRE_CANCELLED', 'the caller left'))
    this.#waiting.length = 0
    this.#signal()
    this.#isOver = true
  }

  #abandon(error: unknown): void {
    this.#failure = { error }
    this.#waiting.length = 0
    this.#onAbandon()
  }
}
