/** Which server a request on `/mcp` is for, and what its params are there. */
import {
  isObject,
  isShortened,
  joinName,
  splitName,
  splitUri,
  WireError,
  type JsonObject,
  type JsonRpcRequest,
} from '@mcp-gateway/wire'
import type { ListKind } from './list-cache.ts'
import type { Server } from './server.ts'

/** The params are a promise when it takes the server's list to know them: its name was shortened. */
export type Route = { readonly server: Server; readonly params: () => JsonObject | Promise<JsonObject> }

/** The request under the server's own names. */
export function sentBy({ params }: Route, message: JsonRpcRequest): JsonRpcRequest | Promise<JsonRpcRequest> {
  const named = (own: JsonObject): JsonRpcRequest => ({ ...message, params: own })
  const found = params()
  return found instanceof Promise ? found.then(named) : named(found)
}

export type Lookup = (server: Server, kind: ListKind) => Promise<readonly JsonObject[]>

/** Undefined for what the gateway answers itself. Throws WIRE_UNKNOWN_NAME for a name that leads to none of the servers. */
export function resolveRoute(message: JsonRpcRequest, servers: readonly Server[], lookup: Lookup): Route | undefined {
  const params = isObject(message.params) ? message.params : {}
  switch (message.method) {
    case 'tools/call':
      return byName(params, 'tools', servers, lookup, (name) => ({ ...params, name }))
    case 'prompts/get':
      return byName(params, 'prompts', servers, lookup, (name) => ({ ...params, name }))
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return byUri(params, servers, (uri) => ({ ...params, uri }))
    case 'completion/complete': {
      const ref = isObject(params['ref']) ? params['ref'] : {}
      if (ref['type'] === 'ref/prompt') {
        return byName(ref, 'prompts', servers, lookup, (name) => ({ ...params, ref: { ...ref, name } }))
      }
      return byUri(ref, servers, (uri) => ({ ...params, ref: { ...ref, uri } }))
    }
    default:
      return undefined
  }
}

/** The same, with the refusal as a value: a name that leads nowhere is a call, too, and ends in the pipeline. */
export function routeOrRefusal(
  message: JsonRpcRequest,
  servers: readonly Server[],
  lookup: Lookup,
): Route | WireError | undefined {
  try {
    return resolveRoute(message, servers, lookup)
  } catch (error) {
    if (error instanceof WireError) return error
    throw error
  }
}

function byName(
  holder: JsonObject,
  kind: ListKind,
  servers: readonly Server[],
  lookup: Lookup,
  build: (name: string) => JsonObject,
): Route {
  const joined = String(holder['name'])
  const parts = splitName(joined)
  const server = servers.find(({ id }) => id === parts?.serverId)
  if (parts === undefined || server === undefined) throw unknown(joined)
  if (!isShortened(joined)) return { server, params: () => build(parts.name) }
  const lookUp = async (): Promise<JsonObject> => {
    const items = await lookup(server, kind)
    const original = items.find((item) => joinName(server.id, String(item['name'])) === joined)
    return build(original === undefined ? parts.name : String(original['name']))
  }
  return { server, params: lookUp }
}

function byUri(holder: JsonObject, servers: readonly Server[], build: (uri: string) => JsonObject): Route {
  const joined = String(holder['uri'])
  const parts = splitUri(joined)
  const server = servers.find(({ id }) => id === parts?.serverId)
  if (parts === undefined || server === undefined) throw unknown(joined)
  return { server, params: () => build(parts.uri) }
}

function unknown(name: string): WireError {
  return new WireError('WIRE_UNKNOWN_NAME', `unknown name: ${name.slice(0, 200)}`)
}
