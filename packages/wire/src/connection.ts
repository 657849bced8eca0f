/** An upstream after its handshake. What the server says unasked goes to everybody who listens. */
import { answerAlone, handshake, type HandshakeOptions, type ServerProfile } from './handshake.ts'
import {
  isRequest,
  isResponse,
  type JsonRpcMessage,
  type JsonRpcNotification,
  type JsonRpcRequest,
} from './json-rpc.ts'
import type { Upstream } from './upstream.ts'

/** A question goes to the newest listener that takes it (returns true); a notification goes to all. */
export type Listener = (message: JsonRpcRequest | JsonRpcNotification) => boolean | void

export type Connection = {
  readonly upstream: Upstream
  readonly profile: ServerProfile
  /** Returns how to stop. */
  listen(listener: Listener): () => void
}

/** What a server may say between its handshake and the first listener. */
const MAX_EARLY_MESSAGES = 100

/** Connects and shakes hands. Rejects when either fails, and then the upstream is closed. */
export async function openConnection(
  connect: (onMessage: (message: JsonRpcMessage) => void) => Upstream,
  options: HandshakeOptions,
): Promise<Connection> {
  const listeners = new Set<Listener>()
  let early: (JsonRpcRequest | JsonRpcNotification)[] | undefined = []

  const deliver = (message: JsonRpcRequest | JsonRpcNotification): void => {
    if (!isRequest(message)) {
      for (const listener of listeners) listener(message)
      return
    }
    const taken = [...listeners].toReversed().some((listener) => listener(message) === true)
    // A server that waits for ever for an answer would hold its own session up.
    if (!taken) upstream.respond(answerAlone(message)).catch(() => undefined)
  }
  const upstream = connect((message) => {
    if (isResponse(message)) return
    if (early === undefined) deliver(message)
    else if (early.length < MAX_EARLY_MESSAGES) early.push(message)
  })

  try {
    const profile = await handshake(upstream, options)
    return {
      upstream,
      profile,
      listen(listener) {
        listeners.add(listener)
        const kept = early
        early = undefined
        for (const message of kept ?? []) deliver(message)
        return () => void listeners.delete(listener)
      },
    }
  } catch (error) {
    await upstream[Symbol.asyncDispose]()
    throw error
  }
}
