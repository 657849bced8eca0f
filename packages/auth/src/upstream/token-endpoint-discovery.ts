/**
 * Where a server's tokens are given out: its protected resource metadata (RFC 9728) names the authorization server, whose own
 * metadata (RFC 8414, OpenID Connect Discovery) names the token endpoint.
 *
 * The adversary is the server: what it names is where our client's credentials go. So nothing but https is believed, redirects
 * are not followed, its documents come from its own origin, and each has a limit. Name the issuer where that is not enough.
 */
import { AuthError } from '../errors.ts'
import { checkHttpsUrl, fetchJson, type Fetch } from '../fetch-json.ts'
import { readIssuerMetadata } from '../issuer-metadata.ts'
import type { TokenEndpoint } from './token-endpoint.ts'

export type TokenEndpointDiscoveryOptions = {
  /** The URL of the server behind us. */
  readonly server: string
  /** Its authorization server, when the server is not to be believed about it. @default what the server says */
  readonly issuer?: string | undefined
  /** @default the global one */
  readonly fetch?: Fetch | undefined
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: (() => number) | undefined
  /** For each document. @default 5 s */
  readonly timeoutMs?: number | undefined
  /** After this time it is looked for again. @default 10 min */
  readonly maxAgeMs?: number | undefined
  /** Plain http to this machine: for development and tests. @default false */
  readonly allowLoopback?: boolean | undefined
}

const MAX_DOCUMENT_BYTES = 65_536
/** Authorization servers that are looked at, of those the server names. */
const MAX_ISSUERS = 10

/**
 * @throws TypeError when the server or the issuer is not https; later AuthError AUTH_UPSTREAM_UNAVAILABLE
 */
export function discoverTokenEndpoint(options: TokenEndpointDiscoveryOptions): () => Promise<TokenEndpoint> {
  const { fetch = globalThis.fetch, clock = Date.now, timeoutMs = 5000, maxAgeMs = 600_000 } = options
  const allowLoopback = options.allowLoopback ?? false
  const server = new URL(options.server)
  if (options.issuer === undefined) checkHttpsUrl(options.server, 'the server', allowLoopback)
  else checkHttpsUrl(options.issuer, 'the issuer', allowLoopback)
  const get = (url: string) => fetchJson({ url, fetch, timeoutMs, maxBytes: MAX_DOCUMENT_BYTES })
  let found: (TokenEndpoint & { readonly until: number }) | undefined

  return async () => {
    if (found !== undefined && clock() < found.until) return found
    try {
      const issuer = options.issuer ?? (await issuerOf(server, get, allowLoopback))
      const endpoint = await readIssuerMetadata(issuer, 'token_endpoint', get)
      const { href } = checkHttpsUrl(endpoint, 'the token endpoint', allowLoopback)
      return (found = { url: href, issuer, until: clock() + maxAgeMs })
    } catch (cause) {
      const message = `where tokens for ${server.host} are given out cannot be found: ${(cause as Error).message}`
      throw new AuthError('AUTH_UPSTREAM_UNAVAILABLE', message, { cause })
    }
  }
}

type Get = (url: string) => ReturnType<typeof fetchJson>

async function issuerOf(server: URL, get: Get, allowLoopback: boolean): Promise<string> {
  let problem = new Error('no metadata')
  for await (const url of metadataUrls(server, get)) {
    try {
      const { status, body } = await get(url)
      if (status !== 200) throw new Error(`its metadata was answered with status ${status}`)
      const { resource, authorization_servers: named } = (body ?? {}) as Readonly<Record<string, unknown>>
      if (!covers(resource, server)) throw new Error('its metadata is that of another resource')
      const issuer = (Array.isArray(named) ? named.slice(0, MAX_ISSUERS) : []).find(
        (one) => typeof one === 'string' && isUsable(one, allowLoopback),
      ) as string | undefined
      if (issuer === undefined) throw new Error('its metadata names no authorization server that may be used')
      return issuer
    } catch (error) {
      problem = error as Error
    }
  }
  throw problem
}

/** The well-known places (RFC 9728 §3.1), the one with the path first; then the one that the server's refusal names (§5.1). */
async function* metadataUrls({ href, origin, pathname }: URL, get: Get): AsyncGenerator<string> {
  const base = `${origin}/.well-known/oauth-protected-resource`
  yield* new Set([base + pathname.replace(/\/$/, ''), base])
  const { status, headers } = await get(href)
  const named = status === 401 ? NAMED.exec(headers.get('www-authenticate') ?? '')?.[1] : undefined
  const url = named === undefined ? null : URL.parse(named)
  if (url?.origin === origin) yield url.href
}

const NAMED = /\bresource_metadata="([^"\\]{1,2048})"/i

/** RFC 9728 §3.3. A server that has one document for all its paths names its root. */
function covers(resource: unknown, server: URL): boolean {
  const url = typeof resource === 'string' ? URL.parse(resource) : null
  if (url === null || url.origin !== server.origin) return false
  const path = url.pathname.replace(/\/$/, '')
  return server.pathname === path || server.pathname.startsWith(`${path}/`)
}

function isUsable(issuer: string, allowLoopback: boolean): boolean {
  try {
    checkHttpsUrl(issuer, 'the issuer', allowLoopback)
    return true
  } catch {
    return false
  }
}
