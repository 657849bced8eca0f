/** A resource server on node:http: one route behind the middleware, and the metadata in front of it. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { AuthError, createAuthenticator, requireScopes, type Scheme } from '@mcp-gateway/auth'
import { authentication, protectedResourceRoutes, refusal, type AuthEnv } from '@mcp-gateway/auth/hono'
import { Hono } from 'hono'
import { close } from './issuer.ts'

export type Gateway = AsyncDisposable & { readonly origin: string; readonly resource: string }

export type GatewayOptions = {
  /** Made when the resource's URL is known. */
  readonly schemes: (resource: string) => readonly Scheme[]
  readonly authorizationServer: string
  readonly answer?: (request: Request) => Promise<Response>
}

export async function startGateway({ schemes, authorizationServer, answer }: GatewayOptions): Promise<Gateway> {
  const server: Server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const resource = `${origin}/mcp`
  const app = new Hono<AuthEnv>()
  const authenticator = createAuthenticator({ schemes: schemes(resource) })
  app.onError((error) => (error instanceof AuthError ? refusal(error) : new Response(String(error), { status: 500 })))
  app.use(
    protectedResourceRoutes({
      resources: [{ resource, authorizationServers: [authorizationServer], scopes: ['mcp:read'], name: 'Test' }],
    }),
  )
  app.use('/mcp', authentication({ authenticator, origin, resource, scopes: ['mcp:read'] }))
  app.get('/mcp', (context) =>
    // No stream of a server's own requests: MCP clients ask for one.
    context.req.header('accept')?.includes('text/event-stream') === true
      ? context.body(null, 405)
      : context.json(context.get('caller')),
  )
  app.post('/mcp', async (context) => {
    const forward = context.req.raw.clone()
    const { method, params } = await context.req.json<{ method?: string; params?: { name?: string } }>()
    if (method === 'tools/call' && params?.name === 'write') {
      requireScopes(context.get('caller'), ['mcp:read', 'mcp:write'])
    }
    return answer === undefined ? context.json(context.get('caller')) : answer(forward)
  })
  const listen = getRequestListener(app.fetch)
  server.on('request', (request, response) => void listen(request, response))
  return {
    origin,
    resource,
    async [Symbol.asyncDispose]() {
      await close(server)
    },
  }
}
