/**
 * Finding out what a server speaks (MCP 2026-07-28, basic/versioning): a modern `server/discover` first, and when the answer
 * is anything but modern, the `initialize` of 2025-11-25.
 */
import { LEGACY_VERSIONS, META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_SERVER_INFO, META_VERSION, MODERN_VERSIONS, type Era } from './era.ts' // prettier-ignore
import { WireError } from './errors.ts'
import type { RequestOptions } from './correlator.ts'
import { responseOf } from './exchange.ts'
import { errorResponse, isObject, isRequest, type JsonObject, type JsonRpcErrorObject, type JsonRpcRequest, type JsonRpcResponse } from './json-rpc.ts' // prettier-ignore
import type { Upstream } from './upstream.ts'

/** What a server said of itself, in the terms both eras share. */
export type ServerProfile = {
  readonly era: Era
  readonly protocolVersion: string
  readonly capabilities: JsonObject
  readonly serverInfo: JsonObject | undefined
  readonly instructions: string | undefined
  /** What it answered to `server/discover` or `initialize`, whole. */
  readonly result: JsonObject
}

export type ClientInfo = { readonly name: string; readonly version: string }

export type HandshakeOptions = {
  readonly clientInfo: ClientInfo
  /** For a server that swallows what it doesn't know. @default 3_000 */
  readonly probeTimeoutMs?: number
  readonly signal?: AbortSignal | undefined
  /** False goes straight to `initialize`. @default true */
  readonly probe?: boolean
  /** The params of `initialize`, when a client stands behind the connection. @default `clientInfo` and no capabilities */
  readonly initialize?: JsonObject | undefined
}

/** `_meta` of a request that the gateway makes in its own name. */
export function modernMeta(clientInfo: ClientInfo): JsonObject {
  return {
    [META_VERSION]: MODERN_VERSIONS[0],
    [META_CLIENT_INFO]: clientInfo,
    [META_CLIENT_CAPABILITIES]: {},
  }
}

/** Leaves the connection ready for requests of the era it returns. */
export async function handshake(upstream: Upstream, options: HandshakeOptions): Promise<ServerProfile> {
  const probes = options.probe !== false && upstream.transport !== 'sse'
  const discovered = probes ? await discover(upstream, options) : undefined
  return discovered ?? initialize(upstream, options)
}

async function discover(upstream: Upstream, options: HandshakeOptions): Promise<ServerProfile | undefined> {
  const timeout = AbortSignal.timeout(options.probeTimeoutMs ?? 3000)
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal])
  const params = { _meta: modernMeta(options.clientInfo) }
  const ask = (): Promise<JsonRpcResponse> =>
    outcome(upstream, { jsonrpc: '2.0', id: 'probe', method: 'server/discover', params }, signal)
  let response: JsonRpcResponse
  try {
    response = await ask()
    // It names a version of ours in the very refusal of it: it may have been another request's, so once more.
    if (response.error?.code === UNSUPPORTED_VERSION && namesOurs(response.error)) response = await ask()
  } catch (error) {
    // Asked for another way, the server would not take the same credentials either.
    if (options.signal?.aborted === true || isAboutCredentials(error)) throw error
    // Silence and refusals are how legacy servers take the probe; a process that died of it is reported by what follows.
    return undefined
  }
  const { result } = response
  if (!isObject(result) || !Array.isArray(result['supportedVersions'])) return undefined
  const version = MODERN_VERSIONS.find((known) => (result['supportedVersions'] as unknown[]).includes(known))
  if (version === undefined) return undefined
  const meta = isObject(result['_meta']) ? result['_meta'] : {}
  return profile('modern', version, result, meta[META_SERVER_INFO])
}

const UNSUPPORTED_VERSION = -32022

/** The server does not know us, or we have nothing to show it. */
export function isAboutCredentials(error: unknown): error is WireError {
  if (!(error instanceof WireError)) return false
  return error.code === 'WIRE_UPSTREAM_UNAUTHORIZED' || error.code === 'WIRE_UPSTREAM_CREDENTIALS'
}

function namesOurs({ data }: JsonRpcErrorObject): boolean {
  const supported = isObject(data) ? data['supported'] : undefined
  return Array.isArray(supported) && MODERN_VERSIONS.some((version) => supported.includes(version))
}

async function initialize(upstream: Upstream, options: HandshakeOptions): Promise<ServerProfile> {
  const { clientInfo } = options
  const params = options.initialize ?? { protocolVersion: LEGACY_VERSIONS[0], capabilities: {}, clientInfo }
  const response = await outcome(
    upstream,
    { jsonrpc: '2.0', id: 'initialize', method: 'initialize', params },
    options.signal,
  )
  const { result } = response
  if (!isObject(result)) {
    throw new WireError(
      'WIRE_UPSTREAM_REFUSED',
      `the server refused initialize: ${response.error?.message ?? 'no result'}`,
      { data: { rpcCode: response.error?.code } },
    )
  }
  await upstream.notify({ jsonrpc: '2.0', method: 'notifications/initialized' })
  return profile('legacy', String(result['protocolVersion']), result, result['serverInfo'])
}

/** The response to a request of our own; what the server says meanwhile is not for us. */
export async function outcome(
  upstream: Upstream,
  request: JsonRpcRequest,
  signal?: AbortSignal,
  options: Pick<RequestOptions, 'isBackground'> = {},
): Promise<JsonRpcResponse> {
  return await responseOf(upstream.request(request, { ...options, signal }), async (message) => {
    if (isRequest(message)) await upstream.respond(answerAlone(message))
  })
}

/** The answer to a server's question when no client can be asked. */
export function answerAlone({ id, method }: JsonRpcRequest): JsonRpcResponse {
  if (method === 'ping') return { jsonrpc: '2.0', id, result: {} }
  return errorResponse(id, -32601, 'no client stands behind this request')
}

function profile(era: Era, protocolVersion: string, result: JsonObject, serverInfo: unknown): ServerProfile {
  return {
    era,
    protocolVersion,
    capabilities: isObject(result['capabilities']) ? result['capabilities'] : {},
    serverInfo: isObject(serverInfo) ? serverInfo : undefined,
    instructions: typeof result['instructions'] === 'string' ? result['instructions'] : undefined,
    result,
  }
}
