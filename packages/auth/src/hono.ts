/**
 * Authentication as one middleware in anybody's Hono app: `c.get('caller')` behind it, the right refusal before it.
 * `hono` is a peer dependency of this subpath alone, and only its types.
 */
import type { Context, MiddlewareHandler } from 'hono'
import type { Authenticator } from './authenticator.ts'
import type { Caller } from './caller.ts'
import { challengeFor, type ChallengeOptions } from './challenge.ts'
import { AuthError, statusOf } from './errors.ts'
import { protectedResourceMetadata, protectedResourcePath, type ProtectedResource } from './protected-resource.ts'
import type { AuthRequest, Peer } from './request.ts'
import { requireScopes } from './scopes.ts'

export type AuthEnv = { Variables: { caller: Caller } }

export type AuthenticationOptions = Pick<ChallengeOptions, 'resource' | 'scopes'> & {
  readonly authenticator: Authenticator
  /** Scheme and authority that clients use, `https://gw.example`: signatures cover them, and a Host header can lie. */
  readonly origin: string
  /** What every request takes; handlers ask for more with `requireScopes`. @default the `scopes` of the challenge */
  readonly requiredScopes?: readonly string[] | undefined
  /** What the socket knows of the client; for client certificates. */
  readonly peer?: ((context: Context) => Peer) | undefined
  /** Longest body of a signed request. @default 4 MiB */
  readonly maxBodyBytes?: number | undefined
}

export type MetadataOptions = {
  /** A function where resources come and go. It is given the path of a resource, as `/mcp/server/crm`. */
  readonly resources: readonly ProtectedResource[] | ((path: string) => ProtectedResource | undefined)
}

const MAX_BODY_BYTES = 4_194_304
const WELL_KNOWN = '/.well-known/oauth-protected-resource'

/**
 * An `AuthError` thrown behind it, as by `requireScopes`, is answered here too.
 * @throws TypeError when the origin is not a URL
 */
export function authentication(options: AuthenticationOptions): MiddlewareHandler<AuthEnv> {
  const { authenticator, requiredScopes = options.scopes ?? [] } = options
  const { origin } = new URL(options.origin)
  return async (context, next) => {
    try {
      const caller = await authenticator.authenticate(toRequest(context, origin, options))
      requireScopes(caller, requiredScopes)
      context.set('caller', caller)
    } catch (error) {
      if (error instanceof AuthError) return refusal(error, options)
      throw error
    }
    await next()
    // Hono gives what a handler threw to `onError`, and the middlewares around it only see what was made of it.
    if (context.error instanceof AuthError) {
      // Hono gives a new response the headers of the one before.
      context.res = undefined
      context.res = refusal(context.error, options)
    }
    return undefined
  }
}

/** The answer to a refusal, for an `onError` of one's own. */
export function refusal(error: AuthError, options: ChallengeOptions = {}): Response {
  const challenge = challengeFor(error, options)
  return Response.json(
    { error: { code: error.code, message: error.message } },
    {
      status: statusOf(error.code),
      headers: { 'cache-control': 'no-store', ...(challenge !== undefined && { 'www-authenticate': challenge }) },
    },
  )
}

/**
 * Answers `GET /.well-known/oauth-protected-resource/<path of the resource>`, without authentication and for every
 * origin. With a list, the bare well-known path has the first one, for clients that ask nowhere else.
 * @throws TypeError
 */
export function protectedResourceRoutes({ resources }: MetadataOptions): MiddlewareHandler {
  const find = typeof resources === 'function' ? resources : fromList(resources)
  return async ({ req }, next) => {
    const isAsked = req.path === WELL_KNOWN || req.path.startsWith(`${WELL_KNOWN}/`)
    const resource = isAsked ? find(req.path.slice(WELL_KNOWN.length)) : undefined
    if (resource === undefined) return next()
    if (req.method === 'OPTIONS') return new Response(null, { status: 204, headers: CORS })
    if (req.method !== 'GET' && req.method !== 'HEAD') return next()
    return Response.json(protectedResourceMetadata(resource), {
      headers: { ...CORS, 'cache-control': 'public, max-age=300' },
    })
  }
}

/** Nothing in the document is secret, and MCP clients in browsers send a header that has to be allowed. */
const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, HEAD, OPTIONS',
  'access-control-allow-headers': '*',
}

function fromList(resources: readonly ProtectedResource[]): (path: string) => ProtectedResource | undefined {
  const byPath = new Map<string, ProtectedResource>()
  for (const resource of resources) {
    // Now, and not when a client first asks.
    protectedResourceMetadata(resource)
    const path = protectedResourcePath(resource.resource).slice(WELL_KNOWN.length)
    if (byPath.has(path)) throw new TypeError(`two resources have the path "${path}"`)
    byPath.set(path, resource)
  }
  return (path) => byPath.get(path) ?? (path === '' ? resources[0] : undefined)
}

function toRequest(context: Context, origin: string, options: AuthenticationOptions): AuthRequest {
  const { peer, maxBodyBytes = MAX_BODY_BYTES } = options
  const { raw } = context.req
  const { pathname, search } = new URL(raw.url)
  let body: Promise<Uint8Array> | undefined
  return {
    method: raw.method.toUpperCase(),
    url: `${origin}${pathname}${search}`,
    headers: Object.fromEntries(raw.headers),
    peer: peer?.(context),
    // A copy, since the handler reads the body as well.
    body: () => (body ??= readBody(raw.clone(), maxBodyBytes)),
  }
}

async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = request.body?.getReader()
  for (let read = await reader?.read(); read?.value !== undefined; read = await reader?.read()) {
    size += read.value.length
    if (size > maxBytes) {
      // Not waited for: the other copy of this stream is still open, and a copy's end comes with that of both.
      void reader?.cancel()
      throw new AuthError('AUTH_CREDENTIALS_MALFORMED', `a signed body is longer than ${maxBytes} bytes`)
    }
    chunks.push(read.value)
  }
  return Buffer.concat(chunks)
}
