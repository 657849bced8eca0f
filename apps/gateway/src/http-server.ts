/** The listening side: paths to endpoints. `/mcp` is answered on node:http itself; everything else is Hono's. */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server as NodeServer, type ServerResponse } from 'node:http' // prettier-ignore
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { getRequestListener } from '@hono/node-server'
import type { AuthRequest, Caller } from '@mcp-gateway/auth'
import { errorResponse, readBody, type HttpEndpoint } from '@mcp-gateway/wire'
import { principalOf, type CallContext } from './context.ts'
import { GatewayError } from './errors.ts'
import type { Guard } from './guard.ts'
import type { HttpMetrics } from './http-metrics.ts'
import type { Logger } from './log.ts'
import { onRequest, type Pipeline } from './pipeline.ts'
import { describeFailure } from './replies.ts'
import type { Rest, RestVariables } from './routes.ts'

export type HttpServerOptions = {
  /** Read for every request: a new configuration may bring another. */
  readonly guard: () => Guard
  readonly pipeline: Pipeline
  /** PEM texts of certificate and key; with `ca`, clients are asked for certificates. @default plain HTTP */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer; readonly ca?: Buffer } | undefined
  /** The `WWW-Authenticate` of a refusal at this path. */
  readonly challenge: (error: unknown, path: string) => string | undefined
  /** Whether the request shows by a signature of its own who it is from. */
  readonly isSigned: (headers: IncomingHttpHeaders) => boolean
  readonly maxBodyBytes: () => number
  /** Scheme and authority by which callers know the gateway, without a trailing slash. */
  readonly origin: () => string
  /** The endpoint of `/mcp`, and of `/mcp/server/:id` for a server's id. */
  readonly endpoint: (serverId: string | undefined, tenantId: string) => HttpEndpoint<CallContext> | undefined
  readonly rest: () => Promise<Rest>
  readonly isStopping: () => boolean
  readonly onRefusedLogin?: (code: string, address: string | undefined) => void
  readonly metrics?: HttpMetrics | undefined
  readonly logger: Logger
}

/** Who a connection showed to be a moment ago, with the very same headers: one hash a second instead of one per request. */
type Remembered = {
  readonly authorization: string | undefined
  readonly apiKey: string | string[] | undefined
  readonly caller: Caller
  readonly until: number
}
/** How long a key may stay good on a connection after it expired. */
const REMEMBER_MS = 1000

const SINGLE_SERVER = '/mcp/server/'
const SINGLE_ROUTE = '/mcp/server/:id'
const REQUEST_ID = /^[\w.:-]{1,128}$/

export function createHttpServer(options: HttpServerOptions): NodeServer {
  const { pipeline } = options

  const refused = (error: unknown, req: IncomingMessage): never => {
    options.onRefusedLogin?.(describeFailure(error).code, req.socket.remoteAddress)
    throw error
  }
  const remembered = new WeakMap<Socket, Remembered>()
  const authenticate = (req: IncomingMessage, body?: () => Promise<Buffer>): Caller | Promise<Caller> => {
    const caller = identify(req, body)
    return caller instanceof Promise ? caller.then((known) => asTenant(known, req)) : asTenant(caller, req)
  }
  /** Credentials say whose caller it is. Who names another tenant is not served as one that he doesn't mean. */
  const asTenant = (caller: Caller, req: IncomingMessage): Caller => {
    const named = req.headers['x-tenant-id']
    if (named === undefined || named === caller.tenantId) return caller
    const message = 'X-Tenant-Id names another tenant than these credentials belong to: leave it out, or use others'
    return refused(new GatewayError('GATEWAY_TENANT_FORBIDDEN', message), req)
  }
  const identify = (req: IncomingMessage, body?: () => Promise<Buffer>): Caller | Promise<Caller> => {
    const { authorization, 'x-api-key': apiKey } = req.headers
    const isSigned = options.isSigned(req.headers)
    const known = isSigned ? undefined : remembered.get(req.socket)
    if (
      known !== undefined &&
      known.authorization === authorization &&
      known.apiKey === apiKey &&
      Date.now() < known.until
    ) {
      return known.caller
    }
    const remember = (caller: Caller): Caller => {
      const until = Math.min(Date.now() + REMEMBER_MS, caller.expiresAt ?? Infinity)
      if (!isSigned) remembered.set(req.socket, { authorization, apiKey, caller, until })
      return caller
    }
    try {
      const caller = onRequest(authRequestOf(req, options.origin(), body), pipeline)
      return caller instanceof Promise
        ? caller.then(remember, (error: unknown) => refused(error, req))
        : remember(caller)
    } catch (error) {
      return refused(error, req)
    }
  }

  /** Before the credentials: whoever may not call from there is told nothing about them. */
  const enter = (req: IncomingMessage): string | undefined => {
    try {
      return pipeline.authority.enter({ peer: req.socket.remoteAddress, headers: req.headers })
    } catch (error) {
      return refused(error, req)
    }
  }

  const bodyOf = (req: IncomingMessage): (() => Promise<Buffer>) => {
    let reading: Promise<Buffer> | undefined
    return () => (reading ??= readBody(req, options.maxBodyBytes()))
  }

  const mcp = (req: IncomingMessage, res: ServerResponse, path: string, requestId: string): Promise<void> => {
    const address = enter(req)
    // What is signed has to be seen before it is parsed; it is read once, for both.
    const body = options.isSigned(req.headers) ? bodyOf(req) : undefined
    const serve = (caller: Caller): Promise<void> => {
      const serverId = path === '/mcp' ? undefined : path.slice(SINGLE_SERVER.length)
      const endpoint = options.endpoint(serverId, caller.tenantId)
      if (endpoint === undefined)
        throw new GatewayError('GATEWAY_UNKNOWN_SERVER', `there is no server ${serverId?.slice(0, 64)}`)
      const responseHeaders = ['x-request-id', requestId]
      const clientSession = clientSessionOf(req)
      return endpoint.handle(req, res, { caller, address, requestId, principal: principalOf(caller), responseHeaders, clientSession, path, body }) // prettier-ignore
    }
    const caller = authenticate(req, body)
    return caller instanceof Promise ? caller.then(serve) : serve(caller)
  }

  /** @returns the route that it was for */
  const onRest = async (req: IncomingMessage, res: ServerResponse, requestId: string): Promise<string | undefined> => {
    res.setHeader('x-request-id', requestId)
    const address = enter(req)
    const app = await options.rest()
    const read = bodyOf(req)
    const body = async (): Promise<Buffer> => {
      const rawBody = await read()
      // Where hono looks for a body that was read already.
      Object.assign(req, { rawBody })
      return rawBody
    }
    let route: string | undefined
    const onRoute: RestVariables['onRoute'] = (matched) => (route = matched)
    const listener = getRequestListener(
      (request) => app.fetch(request, { requestId, address, body, authenticate: () => authenticate(req, body), refused: (error) => refused(error, req), onRoute }), // prettier-ignore
      { overrideGlobalObjects: false },
    )
    await listener(req, res)
    return route
  }

  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const given = req.headers['x-request-id']
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
    const path = pathOf(req.url ?? '/')
    const isMcp = path === '/mcp' || path.startsWith(SINGLE_SERVER)
    const begunAt = options.metrics?.begun()
    let route = isMcp ? (path === '/mcp' ? path : SINGLE_ROUTE) : undefined
    try {
      // A session may still answer its servers' questions, so that what runs can end.
      if (options.isStopping() && req.headers['mcp-session-id'] === undefined)
        throw new GatewayError('GATEWAY_STOPPING', 'the gateway is stopping')
      options.guard()(req.headers)
      if (isMcp) await mcp(req, res, path, requestId)
      else route = await onRest(req, res, requestId)
    } catch (error) {
      refuse(error, req, res, requestId, options)
    } finally {
      if (begunAt !== undefined) options.metrics?.ended(req, res, route, begunAt)
    }
  }

  const onConnection = (req: IncomingMessage, res: ServerResponse): void => void answer(req, res)
  const { tls } = options
  // Not refused in the handshake: who shows no certificate may have a key, and one of a stranger counts for nothing.
  const server = tls === undefined ? createServer(onConnection) : createTlsServer({ ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: false }, onConnection) // prettier-ignore
  server.keepAliveTimeout = 65_000
  return server
}

function authRequestOf(req: IncomingMessage, origin: string, body?: () => Promise<Buffer>): AuthRequest {
  const { method = 'GET', url = '/', headers, socket } = req
  const isVerified = socket instanceof TLSSocket && socket.authorized
  const certificate = isVerified ? socket.getPeerX509Certificate()?.raw : undefined
  return { method, url: origin + url, headers, peer: { address: socket.remoteAddress, certificate }, body }
}

/** `X-MCP-Session`: a caller's own name for one of its sessions. One that is no such name is none. */
function clientSessionOf({ headers }: IncomingMessage): string | undefined {
  const name = headers['x-mcp-session']
  return typeof name === 'string' && REQUEST_ID.test(name) ? name : undefined
}

/** A refusal before any endpoint was reached: JSON-RPC for the MCP paths, the REST error for the others. */
function refuse(
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  requestId: string,
  { logger, challenge }: HttpServerOptions,
): void {
  const failure = describeFailure(error)
  const level = failure.status >= 500 && failure.code === 'WIRE_INTERNAL' ? 'error' : 'info'
  logger[level](
    { requestId, code: failure.code, method: req.method, ...(level === 'error' && { err: error }) },
    'refused',
  )
  if (res.headersSent) return void res.destroy()
  const asked = challenge(error, pathOf(req.url ?? '/'))
  if (asked !== undefined) res.setHeader('www-authenticate', asked)
  res.setHeader('x-request-id', requestId)
  // The body was not read: what follows on this connection would be taken for a request.
  res.setHeader('connection', 'close')
  const isMcp = pathOf(req.url ?? '/').startsWith('/mcp')
  const { code, message } = failure
  const body = isMcp
    ? errorResponse(undefined, failure.rpcCode, message, { ...failure.data, code, requestId })
    : { error: { code, message, requestId } }
  const text = JSON.stringify(body)
  res.writeHead(failure.status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  res.end(text)
}

function pathOf(url: string): string {
  const at = url.indexOf('?')
  return at === -1 ? url : url.slice(0, at)
}
