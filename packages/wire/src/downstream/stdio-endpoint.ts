/**
 * A client on a pair of byte streams (MCP, basic/transports, stdio), joined to any upstream: a bridge for clients that only
 * speak stdio. Nothing but JSON-RPC is ever written.
 */
import type { Readable, Writable } from 'node:stream'
import { WireError } from '../errors.ts'
import { idKey, isObject, isRequest, isResponse, type JsonRpcId, type JsonRpcMessage, type JsonRpcRequest, type JsonRpcResponse } from '../json-rpc.ts' // prettier-ignore
import { createLineReader } from '../lines.ts'
import { mirrorParamHeaders, paramHeadersOf, type ParamHeader } from '../param-headers.ts'
import { defaultParseLimits, parseMessage } from '../parse.ts'
import type { Upstream } from '../upstream.ts'
import { describeWireFailure, failureResponse } from './http-reply.ts'

export type StdioEndpointOptions = {
  readonly input: Readable
  readonly output: Writable
  readonly connect: (onMessage: (message: JsonRpcMessage) => void) => Upstream
  readonly onDiagnostic: (text: string) => void
  /** @default 64 Mi */
  readonly maxLineBytes?: number
  /** After the input ends, how long running requests may take to be answered. @default 30_000 */
  readonly drainMs?: number
}

/** Serves until the input ends or the upstream closes, then resolves with the reason. */
export async function serveStdio(options: StdioEndpointOptions): Promise<string> {
  const { input, output, onDiagnostic } = options
  const maxLineBytes = options.maxLineBytes ?? 64 * 1024 * 1024
  const running = new Map<string | number, { readonly abort: AbortController; readonly done: Promise<void> }>()
  const paramHeaders = new Map<string, readonly ParamHeader[]>()
  const write = (message: JsonRpcMessage): void => void output.write(`${JSON.stringify(message)}\n`)
  const upstream = options.connect(write)

  const run = async (message: JsonRpcRequest, signal: AbortSignal): Promise<void> => {
    try {
      const exchange = upstream.request(message, { signal, headers: headersOf(message, paramHeaders) })
      for (;;) {
        const next = await exchange.next()
        write(next.value)
        if (!next.done) continue
        if (message.method === 'tools/list') learn(next.value, paramHeaders)
        return
      }
    } catch (error) {
      // basic/utilities/cancellation: a cancelled request is not answered.
      if (!signal.aborted) write(failureResponse(describeWireFailure(error), message.id))
    }
  }

  const accept = async (message: JsonRpcMessage): Promise<void> => {
    if (isResponse(message)) return upstream.respond(message)
    if (isRequest(message)) {
      const key = idKey(message.id)
      const abort = new AbortController()
      const done = run(message, abort.signal).finally(() => running.delete(key))
      running.set(key, { abort, done })
      // What follows belongs to the session that the answer opens; a client in a pipe doesn't wait for it.
      return message.method === 'initialize' ? done : undefined
    }
    if (message.method !== 'notifications/cancelled') return upstream.notify(message)
    const { params } = message
    if (isObject(params)) running.get(idKey(params['requestId'] as JsonRpcId))?.abort.abort(params)
    return undefined
  }

  // One after the other: over HTTP `notifications/initialized` must not be overtaken by the request that follows it.
  let tail: Promise<void> = Promise.resolve()
  const onLine = (line: string): void => {
    tail = tail.then(async () => {
      try {
        await accept(parseMessage(line, defaultParseLimits))
      } catch (error) {
        onDiagnostic(String(error))
        if (error instanceof WireError && error.code.startsWith('WIRE_PARSE')) write(failureResponse(describeWireFailure(error), undefined)) // prettier-ignore
      }
    })
  }
  const onOverflow = (): void => onDiagnostic(`a line exceeds ${maxLineBytes} characters and was dropped`)
  input.on('data', createLineReader(maxLineBytes, onLine, onOverflow))

  const inputEnded = new Promise<string>((resolve) => {
    input.once('end', () => resolve('the client closed its end'))
    input.once('error', (error) => resolve(`reading failed: ${error.message}`))
    output.once('error', (error) => resolve(`writing failed: ${error.message}`))
  })
  const reason = await Promise.race([inputEnded, upstream.closed])
  await tail
  const drained = Promise.all(Array.from(running.values(), ({ done }) => done))
  await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, options.drainMs ?? 30_000).unref())])
  for (const { abort } of running.values()) abort.abort()
  await upstream[Symbol.asyncDispose]()
  return reason
}

function headersOf(
  message: JsonRpcRequest,
  known: ReadonlyMap<string, readonly ParamHeader[]>,
): Record<string, string> | undefined {
  if (message.method !== 'tools/call') return undefined
  const declared = known.get(String(message.params?.['name']))
  return declared === undefined ? undefined : mirrorParamHeaders(declared, message.params?.['arguments'])
}

/** Remembers which arguments a tool wants mirrored into headers: the stdio client behind us doesn't know of headers. */
function learn({ result }: JsonRpcResponse, known: Map<string, readonly ParamHeader[]>): void {
  const tools = isObject(result) && Array.isArray(result['tools']) ? result['tools'] : []
  for (const tool of tools.filter(isObject)) {
    const declared = paramHeadersOf(tool['inputSchema'])
    if (declared !== undefined && declared.length > 0) known.set(String(tool['name']), declared)
  }
}
