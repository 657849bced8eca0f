// JSON-RPC 2.0 as MCP uses it. These types say only what the router reads; every other member of a message is kept.

/** An integer too large for a number arrives as a raw JSON value (see parse.ts), and is still an id. */
export type JsonRpcId = string | number | RawJson

/** What `JSON.rawJSON` makes: a number kept in its own spelling. */
export type RawJson = { readonly rawJSON: string }

export type JsonObject = { readonly [key: string]: unknown }

export type JsonRpcRequest = JsonObject & {
  readonly jsonrpc: '2.0'
  readonly id: JsonRpcId
  readonly method: string
  readonly params?: JsonObject
}

export type JsonRpcNotification = JsonObject & {
  readonly jsonrpc: '2.0'
  readonly method: string
  readonly params?: JsonObject
}

export type JsonRpcErrorObject = JsonObject & { readonly code: number; readonly message: string }

/** Exactly one of `result` and `error`; an `id` that is null or missing is an error that belongs to no request. */
export type JsonRpcResponse = JsonObject & {
  readonly jsonrpc: '2.0'
  readonly id?: JsonRpcId | null
  readonly result?: unknown
  readonly error?: JsonRpcErrorObject
}

export type JsonRpcMessage = JsonRpcRequest | JsonRpcNotification | JsonRpcResponse

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isId(value: unknown): value is JsonRpcId {
  return typeof value === 'string' || typeof value === 'number' || isRawJson(value)
}

export function isRequest(message: JsonRpcMessage): message is JsonRpcRequest {
  return typeof message['method'] === 'string' && message['id'] !== undefined
}

export function isNotification(message: JsonRpcMessage): message is JsonRpcNotification {
  return typeof message['method'] === 'string' && message['id'] === undefined
}

export function isResponse(message: JsonRpcMessage): message is JsonRpcResponse {
  return message['method'] === undefined
}

/** A text that is the same for the same id and differs between `1` and `"1"`: the key of every map over ids. */
export function idKey(id: JsonRpcId): string | number {
  if (typeof id === 'number') return id
  return typeof id === 'string' ? `s${id}` : `r${id.rawJSON}`
}

export function errorResponse(
  id: JsonRpcId | undefined,
  code: number,
  message: string,
  data?: JsonObject,
): JsonRpcResponse {
  // No id is sent rather than `id: null`: the SDKs' clients reject null (toolhive #6038, helio #234).
  return { jsonrpc: '2.0', ...(id !== undefined && { id }), error: { code, message, ...(data && { data }) } }
}

export function resultResponse(id: JsonRpcId, result: JsonObject): JsonRpcResponse {
  return { jsonrpc: '2.0', id, result }
}

/** `message.params._meta`, or undefined when any step of it is missing or is not an object. */
export function metaOf(message: { readonly params?: unknown }): JsonObject | undefined {
  const { params } = message
  if (!isObject(params)) return undefined
  const meta = params['_meta']
  return isObject(meta) ? meta : undefined
}

/** A copy without some members. */
export function without(object: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)))
}

/** A copy of the message with some members of `params._meta` replaced. */
export function withMeta<M extends JsonObject>(message: M, members: JsonObject): M {
  const params = isObject(message['params']) ? message['params'] : {}
  const meta = isObject(params['_meta']) ? params['_meta'] : {}
  return { ...message, params: { ...params, _meta: { ...meta, ...members } } }
}

function isRawJson(value: unknown): value is RawJson {
  return typeof value === 'object' && value !== null && JSON.isRawJSON(value)
}

declare global {
  interface JSON {
    /** V8 since Node 21; the TypeScript library does not declare it yet. */
    isRawJSON(value: unknown): boolean
    rawJSON(text: string): RawJson
  }
}
