/**
 * One log line per call: who called what, how it ended, how long it took. Calls that went well are `debug`, others `info`.
 * And one entry in the audit log, written by whichever way out comes first: a result, a failure, or a client that left.
 */
import { performance } from 'node:perf_hooks'
import { PolicyError } from '@mcp-gateway/policy'
import { WireError, type JsonRpcResponse } from '@mcp-gateway/wire'
import type { CallMetrics } from './call-metrics.ts'
import { nameWithoutSecrets } from './foreign-text.ts'
import type { Grant } from './grant.ts'
import { isToolError, type CallEnd, type CallStatus } from './ledger-entry.ts'
import type { Ledger } from './ledger.ts'
import type { Logger } from './log.ts'
import type { Call } from './pipeline.ts'
import { describeFailure } from './replies.ts'

export type CallRecord = {
  /** What the log says of it besides. */
  granted(grant: Grant): Grant
  /** A promise when there is an audit log to wait for. */
  result(response: JsonRpcResponse): JsonRpcResponse | Promise<JsonRpcResponse>
  /** What to throw. */
  fail(error: unknown): unknown
  /** Whatever happened. */
  end(): void
}

export type Recorder = (call: Call) => CallRecord

export type CallRecorder = { readonly record: Recorder; readonly inFlight: () => number }

export function createRecorder(
  logger: Logger,
  ledgerOf?: (tenantId: string) => Ledger | undefined,
  metrics?: CallMetrics,
): CallRecorder {
  let inFlight = 0
  const record: Recorder = (call) => {
    // A subscription has no end of its own: nobody waits for it when the gateway stops.
    const counts = call.message.method === 'subscriptions/listen' ? 0 : 1
    inFlight += counts
    const from = performance.now()
    let grant: Grant | undefined
    let outcome: Outcome = { status: 'abandoned' }
    // A ping carries nothing and may come every second.
    let isEntered = ledgerOf === undefined || call.message.method === 'ping'
    const endOf = (response?: JsonRpcResponse): CallEnd => {
      isEntered = true
      const latencyMs = performance.now() - from
      const { notes, detail } = grant ?? NOTHING_GRANTED
      const sent = grant?.message ?? call.message
      return { ...outcome, ...(response && { response }), latencyMs, notes, detail, sent }
    }
    return {
      granted: (given) => (grant = given),
      result(response) {
        outcome = outcomeOf(response)
        const committed = isEntered ? undefined : ledgerOf?.(call.caller.tenantId)?.close(call, endOf(response))
        return committed === undefined ? response : committed.then(() => response)
      },
      fail(error) {
        const { code, message, status } = describeFailure(error)
        outcome = { status: statusOf(code, status), code, error: message.slice(0, MAX_REASON) }
        const told = concealed(error)
        if (error instanceof PolicyError && error.rule !== undefined) outcome = { ...outcome, rule: error.rule }
        // A call that could not be recorded is one that could not be recorded, and not tried again as a failure.
        if (isEntered || UNRECORDED.has(code)) return told
        const committed = ledgerOf?.(call.caller.tenantId)?.close(call, endOf())
        return (
          committed?.then(
            () => told,
            (unrecorded: unknown) => unrecorded,
          ) ?? told
        )
      },
      end() {
        inFlight -= counts
        if (!isEntered && !UNRECORDED.has(outcome.code)) ledgerOf?.(call.caller.tenantId)?.closeAbandoned(call, endOf())
        metrics?.ended(call, grant?.message, outcome.status, outcome.code, performance.now() - from)
        const level = outcome === SERVED ? 'debug' : 'info'
        if (!logger.isLevelEnabled(level)) return
        const { message, caller, requestId, server } = call
        const given = message.params?.['name'] ?? message.params?.['uri']
        const name = typeof given === 'string' ? nameWithoutSecrets(given.slice(0, MAX_REASON)) : undefined
        logger[level]({ requestId, caller: caller.id, server, method: message.method, name, ...outcome, ms: Math.round(performance.now() - from) }, 'call') // prettier-ignore
      },
    }
  }
  return { record, inFlight: () => inFlight }
}

/** Nothing can be written of these; ledger.ts and ledger-storage.ts count them. */
const UNRECORDED: ReadonlySet<unknown> = new Set(['GATEWAY_AUDIT_UNAVAILABLE', 'GATEWAY_STORAGE_QUOTA_REACHED'])

/** A reason may quote what a server sent. */
const MAX_REASON = 500

type Outcome = {
  readonly status: CallStatus
  readonly code?: string | number
  readonly error?: string
  readonly rule?: string
}
const NOTHING_GRANTED = { notes: {}, detail: 'bodies' } as const

const SERVED: Outcome = { status: 'served' }
const TOOL_ERROR: Outcome = { status: 'tool_error' }

function outcomeOf(response: JsonRpcResponse): Outcome {
  if (response.error !== undefined) return { status: 'error', code: response.error.code }
  return isToolError(response) ? TOOL_ERROR : SERVED
}

/** Who may not know of a tool is told what everybody is told of a name that leads nowhere. */
function concealed(error: unknown): unknown {
  const hides = error instanceof PolicyError && error.code === 'POLICY_UNKNOWN_TOOL'
  return hides ? new WireError('WIRE_UNKNOWN_NAME', error.message) : error
}

function statusOf(code: string, httpStatus: number): CallStatus {
  if (code === 'WIRE_CANCELLED') return 'abandoned'
  if (code === 'WIRE_UPSTREAM_TIMEOUT') return 'timeout'
  return httpStatus < 500 ? 'refused' : 'failed'
}
