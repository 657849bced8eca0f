/**
 * One log line per call: who called what, how it ended, how long it took. Calls that went well are `debug`, others `info`.
 * And one entry in the audit log, written by whichever way out comes first: a result, a failure, or a client that left.
 */
import { performance } from 'node:perf_hooks'
import type { JsonRpcResponse } from '@mcp-gateway/wire'
import { isToolError, type CallEnd, type CallStatus } from './ledger-entry.ts'
import type { Ledger } from './ledger.ts'
import type { Logger } from './log.ts'
import type { Call } from './pipeline.ts'
import { describeFailure } from './replies.ts'

export type CallRecord = Disposable & {
  /** A promise when there is an audit log to wait for. */
  result(response: JsonRpcResponse): JsonRpcResponse | Promise<JsonRpcResponse>
  /** What to throw. */
  fail(error: unknown): unknown
}

export type Recorder = (call: Call) => CallRecord

export type CallRecorder = { readonly record: Recorder; readonly inFlight: () => number }

export function createRecorder(logger: Logger, ledger?: Ledger): CallRecorder {
  let inFlight = 0
  const record: Recorder = (call) => {
    // A subscription has no end of its own: nobody waits for it when the gateway stops.
    const counts = call.message.method === 'subscriptions/listen' ? 0 : 1
    inFlight += counts
    const from = performance.now()
    let outcome: Outcome = { status: 'abandoned' }
    // A ping carries nothing and may come every second.
    let isEntered = ledger === undefined || call.message.method === 'ping'
    const endOf = (response?: JsonRpcResponse): CallEnd => {
      isEntered = true
      return { ...outcome, ...(response && { response }), latencyMs: performance.now() - from }
    }
    return {
      result(response) {
        outcome = outcomeOf(response)
        const committed = isEntered ? undefined : ledger?.close(call, endOf(response))
        return committed === undefined ? response : committed.then(() => response)
      },
      fail(error) {
        const { code, message, status } = describeFailure(error)
        outcome = { status: statusOf(code, status), code, error: message.slice(0, MAX_REASON) }
        // A call that could not be recorded is one that could not be recorded, and not tried again as a failure.
        if (isEntered || code === 'GATEWAY_AUDIT_UNAVAILABLE') return error
        const committed = ledger?.close(call, endOf())
        return (
          committed?.then(
            () => error,
            (unrecorded: unknown) => unrecorded,
          ) ?? error
        )
      },
      [Symbol.dispose]() {
        inFlight -= counts
        if (!isEntered && outcome.code !== 'GATEWAY_AUDIT_UNAVAILABLE') ledger?.closeAbandoned(call, endOf())
        const level = outcome === SERVED ? 'debug' : 'info'
        if (!logger.isLevelEnabled(level)) return
        const { message, caller, requestId, server } = call
        const name = message.params?.['name'] ?? message.params?.['uri']
        logger[level]({ requestId, caller: caller.id, server, method: message.method, name, ...outcome, ms: Math.round(performance.now() - from) }, 'call') // prettier-ignore
      },
    }
  }
  return { record, inFlight: () => inFlight }
}

/** A reason may quote what a server sent. */
const MAX_REASON = 500

type Outcome = { readonly status: CallStatus; readonly code?: string | number; readonly error?: string }

const SERVED: Outcome = { status: 'served' }
const TOOL_ERROR: Outcome = { status: 'tool_error' }

function outcomeOf(response: JsonRpcResponse): Outcome {
  if (response.error !== undefined) return { status: 'error', code: response.error.code }
  return isToolError(response) ? TOOL_ERROR : SERVED
}

function statusOf(code: string, httpStatus: number): CallStatus {
  if (code === 'WIRE_CANCELLED') return 'abandoned'
  if (code === 'WIRE_UPSTREAM_TIMEOUT') return 'timeout'
  return httpStatus < 500 ? 'refused' : 'failed'
}
