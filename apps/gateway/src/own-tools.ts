/** What the gateway offers as tools: finding and enabling servers, and asking after them. */
import { isObject, joinName, parseJson, type JsonObject } from '@mcp-gateway/wire'
import { askerOf, type CallContext } from './context.ts'
import type { Discovery } from './discovery.ts'
import { GatewayError } from './errors.ts'
import type { LedgerReports } from './ledger-reports.ts'
import { createLedgerTools } from './ledger-tools.ts'
import type { Pipeline } from './pipeline.ts'
import { resolveRoute } from './route.ts'
import type { Server } from './server.ts'
import { callTool } from './tool-call.ts'

export type OwnTool = JsonObject & {
  readonly name: string
  readonly run: (args: JsonObject, context: CallContext, signal?: AbortSignal) => Promise<JsonObject> | JsonObject
}

export type OwnToolsOptions = {
  readonly servers: (tenantId: string) => readonly Server[]
  readonly discovery: Discovery
  readonly pipeline: Pipeline
  readonly maxDepth: () => number
  readonly reports: LedgerReports
}

const SEARCH_LIMIT = 20

export function createOwnTools({
  servers,
  discovery,
  pipeline,
  maxDepth,
  reports,
}: OwnToolsOptions): readonly OwnTool[] {
  const find = (args: JsonObject, { caller }: CallContext): Server => {
    const id = textOf(args, 'server')
    const server = servers(caller.tenantId).find((item) => item.id === id)
    if (server === undefined) throw new GatewayError('GATEWAY_UNKNOWN_SERVER', `there is no server ${id.slice(0, 64)}`)
    return server
  }
  const toolsOf = async (server: Server, context: CallContext): Promise<JsonObject[]> => {
    const all = await server.list('tools', { ...askerOf(context), capabilities: {} })
    const { items } = pipeline.authority.shown(context, server.id, 'tools', all)
    return items.map(({ name, description }) => ({ name: joinName(server.id, String(name)), description }))
  }

  return [
    {
      name: 'search_servers',
      description: 'Find MCP servers by words in their id, name, description or tags. Without a query, all of them.',
      inputSchema: schema({ query: { type: 'string' }, limit: { type: 'integer', minimum: 1, maximum: 100 } }),
      annotations: READ_ONLY,
      run({ query = '', limit = SEARCH_LIMIT }, context) {
        const enabled = new Set(discovery.visible(context).map(({ id }) => id))
        const words = String(query).toLowerCase().split(/\s+/).filter(Boolean).slice(0, 20)
        const found = servers(context.caller.tenantId)
          .map((server) => ({ server, score: scoreOf(server, words) }))
          .filter(({ score }) => words.length === 0 || score > 0)
          .toSorted((a, b) => b.score - a.score)
        const shown = found.slice(0, Number(limit)).map(({ server }) => ({ ...summary(server), enabled: enabled.has(server.id) })) // prettier-ignore
        return { servers: shown, total: found.length }
      },
    },
    {
      name: 'enable_server',
      description: 'Show the tools of one server in tools/list from now on.',
      inputSchema: schema({ server: { type: 'string' } }, ['server']),
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
      async run(args, context) {
        const server = find(args, context)
        // A server that doesn't start is not enabled.
        const tools = await toolsOf(server, context)
        const changed = discovery.enable(context, server.id)
        return { server: server.id, enabled: true, changed, tools }
      },
    },
    {
      name: 'disable_server',
      description: 'Hide the tools of one server again.',
      inputSchema: schema({ server: { type: 'string' } }, ['server']),
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
      run(args, context) {
        const id = textOf(args, 'server')
        return { server: id, enabled: false, changed: discovery.disable(context, id) }
      },
    },
    {
      name: 'list_enabled',
      description: 'The servers whose tools you see.',
      inputSchema: schema({}),
      annotations: READ_ONLY,
      run: (_args, context) => ({ servers: discovery.visible(context).map(summary) }),
    },
    {
      name: 'server_info',
      description: 'What one server is and which tools it has. Starts it when it is not running.',
      inputSchema: schema({ server: { type: 'string' } }, ['server']),
      annotations: READ_ONLY,
      async run(args, context) {
        const server = find(args, context)
        const { instructions, serverInfo, protocolVersion } = await server.profile(context)
        return { ...summary(server), protocolVersion, serverInfo, instructions, tools: await toolsOf(server, context) }
      },
    },
    {
      name: 'list_servers',
      description: 'All MCP servers behind this gateway.',
      inputSchema: schema({}),
      annotations: READ_ONLY,
      run: (_, { caller }) => ({ servers: servers(caller.tenantId).map(summary) }),
    },
    {
      name: 'server_status',
      description: 'Whether a server runs, and what was wrong with it last.',
      inputSchema: schema({ server: { type: 'string' } }, ['server']),
      annotations: READ_ONLY,
      run: (args, context) => statusOf(find(args, context)),
    },
    {
      name: 'list_tools',
      description: 'The tools of one server, enabled or not.',
      inputSchema: schema({ server: { type: 'string' } }, ['server']),
      annotations: READ_ONLY,
      run: async (args, context) => ({ tools: await toolsOf(find(args, context), context) }),
    },
    {
      name: 'call',
      description: 'Call any tool by its full name, server__tool. Its server needn’t be enabled.',
      inputSchema: schema({ tool: { type: 'string' }, args: { type: ['object', 'string'], description: 'An object, or JSON text of one.' } }, ['tool']), // prettier-ignore
      annotations: { openWorldHint: true },
      async run(args, context, signal) {
        const message = { jsonrpc: '2.0', id: context.requestId, method: 'tools/call', params: { name: textOf(args, 'tool') } } as const // prettier-ignore
        const view = { ...askerOf(context), capabilities: {} }
        const route = resolveRoute(
          message,
          servers(context.caller.tenantId),
          async (server, kind) => (await server.list(kind, view)).items,
        )
        if (route === undefined) throw new GatewayError('GATEWAY_INVALID_REQUEST', 'tool must be a full tool name')
        const { name } = await route.params()
        const given = typeof args['args'] === 'string' ? parseJson(args['args'], maxDepth()) : (args['args'] ?? {})
        if (!isObject(given)) throw new GatewayError('GATEWAY_INVALID_REQUEST', 'args must be an object')
        return callTool(route.server, String(name), given, context, pipeline, signal)
      },
    },
    ...createLedgerTools(reports),
  ]
}

const READ_ONLY: JsonObject = { readOnlyHint: true, openWorldHint: false }

function schema(properties: JsonObject, required: readonly string[] = []): JsonObject {
  return { type: 'object', properties, required, additionalProperties: false }
}

function textOf(args: JsonObject, key: string): string {
  const value = args[key]
  if (typeof value !== 'string' || value === '') throw new GatewayError('GATEWAY_INVALID_REQUEST', `${key} is required`)
  return value
}

function summary(server: Server): JsonObject {
  const { name, description, tags, transport } = server.config()
  return { id: server.id, name, description, tags, transport, status: server.state().status }
}

function statusOf(server: Server): JsonObject {
  const { status, error, profile } = server.state()
  return { id: server.id, status, error, protocolVersion: profile?.protocolVersion, serverInfo: profile?.serverInfo }
}

/** How many of the words are there, an id or name counting more than a description. */
function scoreOf(server: Server, words: readonly string[]): number {
  const { name, description = '', tags } = server.config()
  const strong = `${server.id} ${name}`.toLowerCase()
  const weak = `${tags.join(' ')} ${description}`.toLowerCase()
  return words.reduce((sum, word) => sum + (strong.includes(word) ? 3 : 0) + (weak.includes(word) ? 1 : 0), 0)
}
