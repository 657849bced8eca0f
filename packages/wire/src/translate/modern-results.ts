/** What a legacy server answered, as a modern one would have (MCP 2026-07-28, changelog and basic/index, results). */
import { META_SERVER_INFO, MODERN_VERSIONS } from '../era.ts'
import type { ServerProfile } from '../handshake.ts'
import { isObject, without, type JsonObject, type JsonRpcId, type JsonRpcResponse } from '../json-rpc.ts'

const CACHEABLE: ReadonlySet<string> = new Set([
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
])
/** A legacy server promises nothing about how long an answer holds, nor for whom. */
const UNCACHED = { ttlMs: 0, cacheScope: 'private' }

const LEGACY_NOT_FOUND = -32002
const INVALID_PARAMS = -32602

export function modernResponse(
  { error, ...response }: JsonRpcResponse,
  id: JsonRpcId,
  method: string,
  profile: ServerProfile,
): JsonRpcResponse {
  if (error !== undefined) {
    const code = error.code === LEGACY_NOT_FOUND ? INVALID_PARAMS : error.code
    return { ...response, id, error: { ...error, code } }
  }
  const result = isObject(response.result) ? response.result : {}
  const body = method === 'tools/list' ? withoutTaskSupport(result) : result
  return { ...response, id, result: completed(body, method, profile) }
}

export function discoverResult(profile: ServerProfile): JsonObject {
  // Tasks are an extension now and not the ones of 2025-11-25; the log level travels with each request.
  const capabilities = without(profile.capabilities, 'tasks')
  const { instructions } = profile
  const answer = {
    supportedVersions: MODERN_VERSIONS,
    capabilities,
    ...(instructions !== undefined && { instructions }),
  }
  return completed(answer, 'server/discover', profile)
}

/** Marks a result as the final one, made by this server. */
function completed(result: JsonObject, method: string, profile: ServerProfile): JsonObject {
  const meta = isObject(result['_meta']) ? result['_meta'] : {}
  const { serverInfo } = profile
  return {
    ...result,
    resultType: 'complete',
    ...(CACHEABLE.has(method) && UNCACHED),
    ...((serverInfo !== undefined || result['_meta'] !== undefined) && {
      _meta: { ...(serverInfo !== undefined && { [META_SERVER_INFO]: serverInfo }), ...meta },
    }),
  }
}

function withoutTaskSupport(result: JsonObject): JsonObject {
  const { tools } = result
  if (!Array.isArray(tools)) return result
  const stripped = tools.map((tool: unknown) => {
    if (!isObject(tool) || tool['execution'] === undefined) return tool
    return without(tool, 'execution')
  })
  return { ...result, tools: stripped }
}
