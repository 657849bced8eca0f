/** `GET /metrics`, for the operator alone: its numbers are of all tenants, and name the servers and tools of all of them. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { DEFAULT_TENANT, type Caller } from '@mcp-gateway/auth'
import type { MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import { GatewayError } from './errors.ts'
import { metricsPage } from './metrics-page.ts'
import type { Metrics } from './metrics.ts'
import type { RestEnv } from './routes.ts'

const route = createRoute({
  method: 'get',
  path: '/metrics',
  summary: 'What was counted since the start, in the Prometheus text format',
  security: [{ apiKey: [] }, { bearer: [] }],
  responses: {
    200: { description: 'For all tenants together', content: { 'text/plain': { schema: z.string() } } },
    401: { description: 'The credentials are missing or not good' },
    403: { description: 'The caller is not of the default tenant, or has neither the role metrics nor admin' },
  },
})

export function addMetricsRoute(app: OpenAPIHono<RestEnv>, metrics: Metrics): void {
  app.openapi(route, async (c) => {
    checkOperator(await c.env.authenticate())
    const { text, contentType } = await metricsPage(metrics)
    return c.body(text, 200, { 'content-type': contentType, 'cache-control': 'no-store' })
  })
}

function checkOperator({ tenantId, roles }: Caller): void {
  if (tenantId === DEFAULT_TENANT && (roles.includes('metrics') || roles.includes('admin'))) return
  throw new GatewayError('GATEWAY_ROLE_REQUIRED', 'this takes the role metrics or admin, in the default tenant')
}

/** Handlers of many paths, which say nothing of what was asked for. */
const CATCH_ALL: ReadonlySet<string> = new Set(['*', '/*', '/api/*'])

/** Says which route a request is for: the path it was added with, which has no ids of a client's in it. */
export const tellRoute: MiddlewareHandler<RestEnv> = async (c, next) => {
  c.env.onRoute(matchedRoutes(c).findLast(({ path }) => !CATCH_ALL.has(path))?.path)
  await next()
}
