/** What a request asks a server for, in the terms of policies: a tool, or another method by its own name. */
import type { ToolCall } from '@mcp-gateway/policy'
import { isObject, type JsonObject, type JsonRpcRequest } from '@mcp-gateway/wire'
import type { ListKind } from './list-cache.ts'
import { OWN_ID } from './own-server.ts'

/** They carry nothing of a server's to a caller, or are shown item by item to those who may see the item. */
const FREE: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'logging/setLevel',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/unsubscribe',
])

/** What must be allowed for an item of a list to be shown. A tool has its own name instead. */
const NEEDED: Readonly<Record<Exclude<ListKind, 'tools'>, string>> = {
  prompts: 'prompts/get',
  resources: 'resources/read',
  resourceTemplates: 'resources/read',
}

/** Undefined when nobody has to be allowed this. */
export function targetOf(
  server: string,
  { method, params = {} }: JsonRpcRequest,
  address?: string,
): ToolCall | undefined {
  if (method === 'tools/call') return { server, tool: String(params['name']), args: params['arguments'] ?? {}, address }
  if (FREE.has(method)) return undefined
  if (method !== 'subscriptions/listen') return { server, tool: method, args: params, address }
  // Changes of lists are told to everybody; of a resource to those who may subscribe to it.
  const wanted = isObject(params['notifications']) ? params['notifications']['resourceSubscriptions'] : undefined
  if (!Array.isArray(wanted) || wanted.length === 0) return undefined
  return { server, tool: 'resources/subscribe', args: { uri: wanted.length === 1 ? wanted[0] : undefined }, address }
}

export function neededFor(kind: ListKind, item: JsonObject): string {
  return kind === 'tools' ? String(item['name']) : NEEDED[kind]
}

/** `gateway__call` makes a call that is limited itself: counted as well, it would take two places of one limit. */
export function isRelay({ server, tool }: ToolCall): boolean {
  return server === OWN_ID && tool === 'call'
}
