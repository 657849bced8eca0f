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
import type { ListKind, Server } from './server.ts'

export type Route = { readonly server: Server; readonly params: JsonObject }
/** The server is known at once; the params may take its list of tools, when a name was shortened. */
export type PendingRoute = Promise<Route> & { readonly serverId: string }

/** Undefined for what the gateway answers itself. Throws WIRE_UNKNOWN_NAME for a name that leads to no server. */
export function resolveRoute(message: JsonRpcRequest, servers: readonly Server[]): PendingRoute | undefined {
  const params = isObject(message.params) ? message.params : {}
  switch (message.method) {
    case 'tools/call':
      return byName(params, 'tools', servers, (name) => ({ ...params, name }))
    case 'prompts/get':
      return byName(params, 'prompts', servers, (name) => ({ ...params, name }))
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return byUri(params, servers, (uri) => ({ ...params, uri }))
    case 'completion/complete': {
      const ref = isObject(params['ref']) ? params['ref'] : {}
      if (ref['type'] === 'ref/prompt') {
        return byName(ref, 'prompts', servers, (name) => ({ ...params, ref: { ...ref, name } }))
      }
      return byUri(ref, servers, (uri) => ({ ...params, ref: { ...ref, uri } }))
    }
    default:
      return undefined
  }
}

function byName(
  holder: JsonObject,
  kind: ListKind,
  servers: readonly Server[],
  build: (name: string) => JsonObject,
): PendingRoute {
  const joined = String(holder['name'])
  const parts = splitName(joined)
  const server = servers.find(({ id }) => id === parts?.serverId)
  if (parts === undefined || server === undefined) throw unknown(joined)
  if (!isShortened(joined)) return pending(server, Promise.resolve(build(parts.name)))
  const lookUp = async (): Promise<JsonObject> => {
    const items = await server.list(kind)
    const original = items.find((item) => joinName(server.id, String(item['name'])) === joined)
    return build(original === undefined ? parts.name : String(original['name']))
  }
  return pending(server, lookUp())
}

function byUri(holder: JsonObject, servers: readonly Server[], build: (uri: string) => JsonObject): PendingRoute {
  const joined = String(holder['uri'])
  const parts = splitUri(joined)
  const server = servers.find(({ id }) => id === parts?.serverId)
  if (parts === undefined || server === undefined) throw unknown(joined)
  return pending(server, Promise.resolve(build(parts.uri)))
}

function pending(server: Server, params: Promise<JsonObject>): PendingRoute {
  const route = params.then((found) => ({ server, params: found }))
  return Object.assign(route, { serverId: server.id })
}

function unknown(name: string): WireError {
  return new WireError('WIRE_UNKNOWN_NAME', `unknown name: ${name.slice(0, 200)}`)
}
