/**
 * The answer to one modern request: JSON when nothing precedes the result, an event stream when something does.
 * A client that closes the connection cancels the request (2026-07-28, streamable-http, cancellation).
 */
import type { ServerResponse } from 'node:http'
import type { Exchange } from '../exchange.ts'
import type { JsonRpcId, JsonRpcResponse } from '../json-rpc.ts'
import { formatEvent, KEEP_ALIVE_COMMENT } from '../sse.ts'
import {
  failureResponse,
  sendFailure,
  sendJson,
  startEvents,
  statusOf,
  type Failure,
  type ResponseHeaders,
} from './http-reply.ts'
import type { StreamLimits } from './legacy-stream.ts'

export async function streamModern(
  id: JsonRpcId,
  exchange: Exchange,
  res: ServerResponse,
  abort: AbortController,
  limits: StreamLimits,
  headers: ResponseHeaders,
  onError: (error: unknown) => Failure,
): Promise<void> {
  // Not `once`, which makes two objects more: it comes once.
  res.on('close', () => {
    if (!res.writableFinished) abort.abort({ reason: 'the client closed the connection' })
  })
  let keepAlive: NodeJS.Timeout | undefined
  let response: JsonRpcResponse
  try {
    for (;;) {
      const next = await exchange.next()
      if (next.done) {
        response = next.value
        break
      }
      if (keepAlive === undefined) {
        startEvents(res, headers)
        keepAlive = setInterval(() => res.write(KEEP_ALIVE_COMMENT), limits.keepAliveMs).unref()
      }
      // A slow reader holds the exchange back; the mailbox behind it has a limit.
      if (!res.write(formatEvent(next.value))) await drained(res)
    }
  } catch (error) {
    if (res.destroyed) return
    const failure = onError(error)
    response = failureResponse(failure, id)
    if (failure.challenge !== undefined && keepAlive === undefined) return sendFailure(res, failure, id, headers)
  } finally {
    clearInterval(keepAlive)
  }
  if (keepAlive === undefined) sendJson(res, statusOf(response), response, headers)
  else res.end(formatEvent(response))
}

function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    res.once('drain', resolve)
    res.once('close', resolve)
  })
}
