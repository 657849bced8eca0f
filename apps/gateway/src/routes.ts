/** The REST side: what there is, and calling a tool without speaking MCP. The OpenAPI document is made from these routes. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import type { Caller } from '@mcp-gateway/auth'
import { isObject, parseJson, WireError, type JsonObject } from '@mcp-gateway/wire'
import type { Context as HonoContext } from 'hono'
import { GatewayError } from './errors.ts'
import type { Logger } from './log.ts'
import type { LedgerReports } from './ledger-reports.ts'
import { addLedgerRoutes } from './ledger-routes.ts'
import { addMetricsRoute, tellRoute } from './metrics-routes.ts'
import type { Metrics } from './metrics.ts'
import { addAuthRoutes, PUBLIC_PATHS, type AuthRoutesOptions } from './auth-routes.ts'
import { principalOf } from './context.ts'
import type { Challenge } from './server-table.ts'
import { describeFailure } from './replies.ts'
import type { Server } from './server.ts'
import { callTool } from './tool-call.ts'
import type { Pipeline } from './pipeline.ts'

export type RestVariables = {
  readonly requestId: string
  /** The client's. */
  readonly address: string | undefined
  /** @throws WireError when there is more of it than may be */
  readonly body: () => Promise<Buffer>
  readonly authenticate: () => Caller | Promise<Caller>
  /** Throws it again, and tells who keeps count of refused logins. */
  readonly refused: (error: unknown) => never
  /** Told the route that the request is for. */
  readonly onRoute: (path: string | undefined) => void
}
export type RestEnv = { Bindings: RestVariables; Variables: { readonly body: JsonObject; readonly caller: Caller } }

export type RestOptions = {
  readonly servers: (tenantId: string) => readonly Server[]
  readonly isReady: () => boolean
  readonly pipeline: Pipeline
  readonly reports: LedgerReports
  /** Undefined when nothing is counted: there is no such route then. */
  readonly metrics: Metrics | undefined
  readonly version: string
  readonly auth: AuthRoutesOptions
  readonly challenge: Challenge
  readonly limits: { readonly maxDepth: number }
  readonly logger: Logger
}

export type Rest = { fetch(request: Request, variables: RestVariables): Response | Promise<Response> }

const errorSchema = z
  .object({ error: z.object({ code: z.string(), message: z.string(), requestId: z.string() }) })
  .openapi('Error')
const serverSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string().optional(),
    transport: z.enum(['stdio', 'http', 'sse']),
    status: z.enum(['stopped', 'starting', 'ready', 'draining', 'backoff', 'open']),
    tags: z.array(z.string()),
    era: z.enum(['modern', 'legacy']).optional(),
    serverInfo: z.looseObject({}).optional(),
    error: z.string().optional(),
  })
  .openapi('Server')
const serverDetailSchema = serverSchema
  .extend({
    protocolVersion: z.string().optional(),
    capabilities: z.looseObject({}).optional(),
    instructions: z.string().optional(),
  })
  .openapi('ServerDetail')
const healthSchema = z.object({ status: z.string(), version: z.string() }).openapi('Health')
const idParam = z.object({ id: z.string().max(64) })

const json = <T extends z.ZodType>(schema: T, description: string) => ({
  content: { 'application/json': { schema } },
  description,
})
const failures = {
  401: json(errorSchema, 'The credentials are missing or not good'),
  404: json(errorSchema, 'There is no such server'),
  502: json(errorSchema, 'The server could not be started or did not answer as it should'),
}
const security = [{ apiKey: [] }, { bearer: [] }]

const routes = {
  health: createRoute({
    method: 'get',
    path: '/health',
    summary: 'Version and state',
    responses: { 200: json(healthSchema, 'Up') },
  }),
  live: createRoute({
    method: 'get',
    path: '/live',
    summary: 'The process runs',
    responses: { 200: json(healthSchema, 'Up') },
  }),
  ready: createRoute({
    method: 'get',
    path: '/ready',
    summary: 'The gateway takes calls',
    responses: { 200: json(healthSchema, 'Ready'), 503: json(healthSchema, 'Starting or stopping') },
  }),
  list: createRoute({
    method: 'get',
    path: '/api/servers',
    summary: 'The servers behind this gateway',
    security,
    responses: { 200: json(z.object({ servers: z.array(serverSchema) }), 'The servers'), 401: failures[401] },
  }),
  show: createRoute({
    method: 'get',
    path: '/api/servers/{id}',
    summary: 'One server, started if it was not',
    security,
    request: { params: idParam },
    responses: { 200: json(serverDetailSchema, 'The server'), ...failures },
  }),
  tools: createRoute({
    method: 'get',
    path: '/api/servers/{id}/tools',
    summary: 'The tools of one server',
    security,
    request: { params: idParam },
    responses: {
      200: json(z.object({ tools: z.array(z.looseObject({ name: z.string() })) }), 'The tools'),
      ...failures,
    },
  }),
  call: createRoute({
    method: 'post',
    path: '/api/servers/{id}/tools/{name}',
    summary: 'Call a tool',
    security,
    request: {
      params: idParam.extend({ name: z.string().max(256) }),
      body: {
        required: true,
        content: { 'application/json': { schema: z.looseObject({ arguments: z.looseObject({}).optional() }) } },
      },
    },
    responses: {
      200: json(z.looseObject({ content: z.array(z.looseObject({})).optional() }), 'The result, as in tools/call'),
      400: json(errorSchema, 'The body or the arguments are not right'),
      ...failures,
    },
  }),
}

export function createRest(options: RestOptions): Rest {
  const { servers, pipeline, version } = options
  const app = new OpenAPIHono<RestEnv>({
    defaultHook: (result, c) => {
      if (!result.success)
        return fail(new GatewayError('GATEWAY_INVALID_REQUEST', z.prettifyError(result.error)), c, options)
      return undefined
    },
  })
  const find = (id: string, { tenantId }: Caller): Server => {
    const server = servers(tenantId).find((item) => item.id === id)
    if (server === undefined) throw new GatewayError('GATEWAY_UNKNOWN_SERVER', `there is no server ${id.slice(0, 64)}`)
    return server
  }

  const { maxDepth } = options.limits
  app.use(tellRoute)
  app.use('/api/*', async (c, next) => {
    if (!PUBLIC_PATHS.has(c.req.path)) c.set('caller', await c.env.authenticate())
    await next()
  })
  app.on('POST', '/api/*', async (c, next) => {
    if (!/^application\/json\s*(?:;|$)/i.test(c.req.header('content-type') ?? '')) {
      throw new WireError('WIRE_UNSUPPORTED_MEDIA_TYPE', 'Content-Type must be application/json')
    }
    // Not hono's: a limit on what it reads needs a Request that can be cloned, which this one is not.
    const body = parseJson((await c.env.body()).toString('utf8'), maxDepth)
    if (!isObject(body)) throw new GatewayError('GATEWAY_INVALID_REQUEST', 'the body must be a JSON object')
    c.set('body', body)
    await next()
  })

  app.openapi(routes.health, (c) => c.json({ status: options.isReady() ? 'ok' : 'stopping', version }, 200))
  app.openapi(routes.live, (c) => c.json({ status: 'ok', version }, 200))
  app.openapi(routes.ready, (c) =>
    options.isReady() ? c.json({ status: 'ready', version }, 200) : c.json({ status: 'stopping', version }, 503),
  )
  app.openapi(routes.list, (c) => {
    return c.json({ servers: servers(c.get('caller').tenantId).map(describe) }, 200)
  })
  app.openapi(routes.show, async (c) => {
    const caller = c.get('caller')
    const server = find(c.req.valid('param').id, caller)
    const profile = await server.profile({ principal: principalOf(caller), caller })
    return c.json(
      {
        ...describe(server),
        protocolVersion: profile.protocolVersion,
        capabilities: profile.capabilities,
        ...(profile.instructions !== undefined && { instructions: profile.instructions }),
      },
      200,
    )
  })
  app.openapi(routes.tools, async (c) => {
    const caller = c.get('caller')
    const server = find(c.req.valid('param').id, caller)
    const all = await server.list('tools', { principal: principalOf(caller), caller, capabilities: {} })
    const viewer = { caller, address: c.env.address }
    const { items } = pipeline.authority.shown(viewer, server.id, 'tools', all)
    return c.json({ tools: items as { name: string }[] }, 200)
  })
  app.openapi(routes.call, async (c) => {
    const caller = c.get('caller')
    const { id, name } = c.req.valid('param')
    const { requestId, address } = c.env
    const responseHeaders: string[] = []
    const context = { caller, requestId, address, responseHeaders, principal: principalOf(caller) }
    // Not `c.req.valid`: the body parsed above keeps numbers as they were sent.
    const args = c.get('body')['arguments'] ?? {}
    if (!isObject(args)) throw new GatewayError('GATEWAY_INVALID_REQUEST', 'arguments must be a JSON object')
    try {
      return c.json(await callTool(find(id, caller), name, args, context, pipeline, c.req.raw.signal), 200)
    } finally {
      for (let at = 0; at < responseHeaders.length; at += 2)
        c.header(responseHeaders[at] ?? '', responseHeaders[at + 1])
    }
  })

  addLedgerRoutes(app, options.reports)
  if (options.metrics !== undefined) addMetricsRoute(app, options.metrics)
  addAuthRoutes(app, options.auth)

  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  app.openAPIRegistry.registerComponent('securitySchemes', 'apiKey', {
    type: 'apiKey',
    in: 'header',
    name: 'X-API-Key',
  })
  documentMcp(app)
  app.doc31('/openapi.json', { openapi: '3.1.0', info: { title: 'MCP Gateway', version } })
  app.notFound((c) => fail(new GatewayError('GATEWAY_NOT_FOUND', 'there is nothing at this path'), c, options))
  app.onError((error, c) => fail(error, c, options))
  return { fetch: (request, variables) => app.fetch(request, variables) }
}

/** The MCP endpoints are answered before this app is asked; the document names them all the same. */
function documentMcp(app: OpenAPIHono<RestEnv>): void {
  const body = {
    required: true,
    content: { 'application/json': { schema: z.looseObject({ jsonrpc: z.literal('2.0') }) } },
  }
  const responses = {
    200: { description: 'A JSON-RPC response, or an event stream that ends with it' },
    202: { description: 'Taken: a notification or a response' },
    401: failures[401],
  }
  app.openAPIRegistry.registerPath({ method: 'post', path: '/mcp', summary: 'All servers, over MCP', security, request: { body }, responses }) // prettier-ignore
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/mcp/server/{id}',
    summary: 'One server, over MCP',
    security,
    request: { body, params: idParam },
    responses: { ...responses, 404: failures[404] },
  })
}

function describe(server: Server) {
  const { status, profile, error } = server.state()
  const { name, description, tags, transport } = server.config()
  return {
    id: server.id,
    name,
    ...(description !== undefined && { description }),
    transport,
    status,
    tags: [...tags],
    ...(profile !== undefined && { era: profile.era }),
    ...(profile?.serverInfo !== undefined && { serverInfo: { ...profile.serverInfo } }),
    ...(error !== undefined && { error }),
  }
}

function fail(error: unknown, c: HonoContext<RestEnv>, { logger, challenge }: RestOptions): Response {
  const failure = describeFailure(error)
  if (failure.status >= 500)
    logger.warn({ requestId: c.env.requestId, code: failure.code, error: String(error) }, 'request failed')
  const asked = challenge(error, '/mcp')
  // The rest of a refused body is not read: the connection is of no more use.
  const headers = { ...(asked !== undefined && { 'www-authenticate': asked }), ...(failure.status === 413 && { connection: 'close' }) } // prettier-ignore
  const status = failure.status as 400
  return c.json(
    { error: { code: failure.code, message: failure.message, requestId: c.env.requestId } },
    status,
    headers,
  )
}
