/**
 * Calls of modern clients at legacy servers. A legacy server asks its client in the middle of a call; a modern client is
 * asked by ending the call (`input_required`) and comes back with the answers. In between, the server's call is parked.
 *
 * The adversary is a client that parks calls and never comes back, comes back twice, or with another call's state.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RequestOptions } from '../correlator.ts'
import { META_CLIENT_CAPABILITIES, META_LOG_LEVEL, META_SERVER_INFO } from '../era.ts'
import { WireError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { errorResponse, isObject, isRequest, metaOf, without, type JsonObject, type JsonRpcMessage, type JsonRpcRequest, type JsonRpcResponse } from '../json-rpc.ts' // prettier-ignore
import { isAtLeast, isLogLevel } from '../log-levels.ts'
import type { SharedSession } from '../shared-session.ts'
import { modernResponse } from './modern-results.ts'
import { digestOf, type StateSealer } from './request-state.ts'

export type ParkedCallsOptions = {
  /** Bound into `requestState`: the state of one server is of no use at another. */
  readonly serverId: string
  readonly sealer: StateSealer
  /** How long the client may take to answer. @default 600_000 */
  readonly parkMs?: number
  /** @default 1_000 */
  readonly maxParked?: number
}

export type ParkedCalls = {
  readonly parked: () => number
  /** Sends the request on its way. `outbound` is what the legacy server gets of it. */
  start(
    shared: SharedSession,
    message: JsonRpcRequest,
    outbound: JsonRpcRequest,
    principal: string,
    options: RequestOptions,
  ): Exchange
  /** A client comes back with `inputResponses`. Throws WIRE_REQUEST_STATE_INVALID. */
  resume(message: JsonRpcRequest, principal: string, options: RequestOptions): Exchange
  close(): void
}

type Call = {
  readonly shared: SharedSession
  readonly exchange: Exchange
  readonly abort: AbortController
  /** A read that is under way already. */
  upcoming: Promise<IteratorResult<JsonRpcMessage, JsonRpcResponse>> | undefined
}

type Parked = {
  readonly call: Call
  readonly questions: ReadonlyMap<string, JsonRpcRequest>
  readonly principal: string
  readonly digest: string
  readonly timer: NodeJS.Timeout
}

/** Questions that a server asks at once arrive within this; each round costs the client a request. */
const COALESCE_MS = 15

const CAPABILITY_OF: Readonly<Record<string, string>> = {
  'sampling/createMessage': 'sampling',
  'elicitation/create': 'elicitation',
  'roots/list': 'roots',
}
/** The requests that may be answered with `input_required` (basic/mrtr). */
const CAN_ASK: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read'])

export function createParkedCalls(options: ParkedCallsOptions): ParkedCalls {
  const parkMs = options.parkMs ?? 600_000
  const maxParked = options.maxParked ?? 1000
  const table = new Map<string, Parked>()

  const park = (call: Call, questions: Parked['questions'], message: JsonRpcRequest, principal: string): string => {
    if (table.size >= maxParked) {
      throw new WireError('WIRE_CALL_LIMIT', `${maxParked} calls wait for their client's input already`)
    }
    const id = randomUUID()
    const timer = setTimeout(() => {
      table.delete(id)
      call.abort.abort({ reason: 'the client did not come back with its input' })
    }, parkMs).unref()
    const digest = digestOf(message)
    table.set(id, { call, questions, principal, digest, timer })
    return options.sealer.seal({ id, principal, serverId: options.serverId, digest, expiresAt: Date.now() + parkMs })
  }

  async function* run(call: Call, message: JsonRpcRequest, principal: string, signal?: AbortSignal): Exchange {
    const onAbort = (): void => call.abort.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    const { upstream, profile } = call.shared.connection
    const level = metaOf(message)?.[META_LOG_LEVEL]
    let rests = false
    try {
      for (;;) {
        const next = await take(call)
        if (next.done) {
          rests = true
          return modernResponse(next.value, message.id, message.method, profile)
        }
        if (!isRequest(next.value)) {
          const passed = notification(next.value, message, level)
          if (passed !== undefined) yield passed
        } else if (next.value.method === 'ping') {
          await upstream.respond({ jsonrpc: '2.0', id: next.value.id, result: {} })
        } else {
          const missing = missingCapability(next.value, message)
          if (missing !== undefined) {
            await upstream.respond(errorResponse(next.value.id, -32601, `the client does not support ${missing}`))
            throw new WireError('WIRE_CAPABILITY_MISSING', `the server asks for ${next.value.method}`, {
              data: { requiredCapabilities: { [missing]: {} } },
            })
          }
          const questions = await collect(call, next.value)
          const requestState = park(call, questions, message, principal)
          rests = true
          return inputRequired(message, questions, requestState, profile.serverInfo)
        }
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
      if (!rests) call.abort.abort(signal?.reason)
    }
  }

  return {
    parked: () => table.size,
    start(shared, message, outbound, principal, { signal, ...rest }) {
      const abort = new AbortController()
      const exchange = shared.connection.upstream.request(outbound, { ...rest, signal: abort.signal })
      return run({ shared, exchange, abort, upcoming: undefined }, message, principal, signal)
    },
    async *resume(message, principal, { signal }) {
      const state = options.sealer.open(message.params?.['requestState'])
      const parked = table.get(state.id)
      const fits =
        parked !== undefined &&
        state.serverId === options.serverId &&
        state.principal === principal &&
        parked.principal === principal &&
        state.expiresAt > Date.now() &&
        state.digest === parked.digest &&
        parked.digest === digestOf(message)
      if (!fits) throw new WireError('WIRE_REQUEST_STATE_INVALID', 'requestState is invalid, was used already or has expired') // prettier-ignore
      const responses = isObject(message.params?.['inputResponses']) ? message.params['inputResponses'] : {}
      const { upstream, profile } = parked.call.shared.connection
      const open = new Map([...parked.questions].filter(([key]) => !isObject(responses[key])))
      if (open.size > 0) {
        return inputRequired(message, open, String(message.params?.['requestState']), profile.serverInfo)
      }
      // Taken out before anything waits: of two that come back with the same state, one finds nothing.
      table.delete(state.id)
      clearTimeout(parked.timer)
      for (const [key, { id }] of parked.questions) {
        await upstream.respond({ jsonrpc: '2.0', id, result: responses[key] })
      }
      return yield* run(parked.call, message, principal, signal)
    },
    close() {
      for (const { call, timer } of table.values()) {
        clearTimeout(timer)
        call.abort.abort({ reason: 'the gateway stops' })
      }
      table.clear()
    },
  }
}

async function take(call: Call): Promise<IteratorResult<JsonRpcMessage, JsonRpcResponse>> {
  const next = await (call.upcoming ?? call.exchange.next())
  call.upcoming = undefined
  return next
}

/** The question and those that come with it. What else comes waits in the exchange. */
async function collect(call: Call, first: JsonRpcRequest): Promise<ReadonlyMap<string, JsonRpcRequest>> {
  const questions = new Map([['r0', first]])
  const late = sleep(COALESCE_MS, undefined)
  for (;;) {
    call.upcoming = call.exchange.next()
    // It may fail while nobody reads it: whoever resumes finds that out.
    call.upcoming.catch(() => undefined)
    const next = await Promise.race([call.upcoming, late])
    if (next === undefined || next.done || !isRequest(next.value) || next.value.method === 'ping') return questions
    questions.set(`r${questions.size}`, next.value)
  }
}

function missingCapability(question: JsonRpcRequest, message: JsonRpcRequest): string | undefined {
  const capability = CAPABILITY_OF[question.method]
  if (capability === undefined || !CAN_ASK.has(message.method)) return question.method
  const declared = metaOf(message)?.[META_CLIENT_CAPABILITIES]
  return isObject(declared) && declared[capability] !== undefined ? undefined : capability
}

function inputRequired(
  { id }: JsonRpcRequest,
  questions: ReadonlyMap<string, JsonRpcRequest>,
  requestState: string,
  serverInfo: JsonObject | undefined,
): JsonRpcResponse {
  const inputRequests = Object.fromEntries(
    [...questions].map(([key, { method, params }]) => {
      // Ids of the legacy exchange: they mean nothing to the client of this one.
      return [key, { method, params: without(params ?? {}, '_meta', 'elicitationId', 'task') }]
    }),
  )
  const meta = serverInfo === undefined ? {} : { _meta: { [META_SERVER_INFO]: serverInfo } }
  return { jsonrpc: '2.0', id, result: { resultType: 'input_required', inputRequests, requestState, ...meta } }
}

/** What the server says meanwhile, for the request that carries the call now; undefined when the client didn't ask for it. */
function notification(message: JsonRpcMessage, request: JsonRpcRequest, level: unknown): JsonRpcMessage | undefined {
  if (message['method'] === 'notifications/message') {
    const { params } = message as JsonObject
    return isLogLevel(level) && isAtLeast((params as JsonObject | undefined)?.['level'], level) ? message : undefined
  }
  if (message['method'] !== 'notifications/progress') return message
  const progressToken = metaOf(request)?.['progressToken']
  return progressToken === undefined
    ? undefined
    : { ...message, params: { ...(message['params'] as JsonObject), progressToken } }
}
