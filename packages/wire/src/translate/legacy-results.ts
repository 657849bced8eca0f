/** What a modern server answered, as a legacy one would have: without the members that only the modern era knows. */
import { META_SERVER_INFO } from '../era.ts'
import { isObject, without, type JsonObject, type JsonRpcResponse } from '../json-rpc.ts'

export function legacyResponse(response: JsonRpcResponse): JsonRpcResponse {
  return isObject(response.result) ? { ...response, result: legacyResult(response.result) } : response
}

export function legacyResult(result: JsonObject): JsonObject {
  return withoutMeta(without(result, 'resultType', 'ttlMs', 'cacheScope'), META_SERVER_INFO)
}

/** Without one member of `_meta`, and without `_meta` when that was all. */
export function withoutMeta(object: JsonObject, key: string): JsonObject {
  const { _meta } = object
  if (!isObject(_meta) || !(key in _meta)) return object
  const meta = without(_meta, key)
  return Object.keys(meta).length === 0 ? without(object, '_meta') : { ...object, _meta: meta }
}
