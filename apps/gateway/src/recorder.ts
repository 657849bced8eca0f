/** One log line per call: who called what, how it ended, how long it took. Calls that went well are `debug`, others `info`. */
import { performance } from 'node:perf_hooks'
import type { JsonRpcResponse } from '@mcp-gateway/wire'
import type { Logger } from './log.ts'
import type { Call } from './pipeline.ts'
import { describeFailure } from './replies.ts'

export type CallRecord = Disposable & {
  result(response: JsonRpcResponse): JsonRpcResponse
  fail(error: unknown): unknown
}

export type Recorder = (call: Call) => CallRecord

export type CallRecorder = { readonly record: Recorder; readonly inFlight: () => number }

export function createRecorder(logger: Logger): CallRecorder {
  let inFlight = 0
  const record: Recorder = (call) => {
    // A subscription has no end of its own: nobody waits for it when the gateway stops.
    const counts = call.message.method === 'subscriptions/listen' ? 0 : 1
    inFlight += counts
    const from = performance.now()
    let outcome: { readonly status: string; readonly code?: string | number; readonly error?: string } = {
      status: 'abandoned',
    }
    return {
      result(response) {
        outcome = response.error === undefined ? SERVED : { status: 'error', code: response.error.code }
        return response
      },
      fail(error) {
        const { code, message } = describeFailure(error)
        outcome = { status: 'failed', code, error: message.slice(0, MAX_REASON) }
        return error
      },
      [Symbol.dispose]() {
        inFlight -= counts
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

const SERVED = { status: 'served' } as const
