/** The OAuth 2.1 resource server's own description (RFC 9728), by which clients find out where to get a token. */

export type ProtectedResource = {
  /** The URL that clients use, and the `aud` of their tokens: `https://gw.example/mcp`. */
  readonly resource: string
  /** Issuer URLs; at least one. */
  readonly authorizationServers: readonly string[]
  /** What a client should ask for in general; an operation may take others. */
  readonly scopes?: readonly string[] | undefined
  /** What a person is shown. */
  readonly name?: string | undefined
}

/** RFC 9728 §2, as sent. */
export type ProtectedResourceMetadata = {
  readonly resource: string
  readonly authorization_servers: readonly string[]
  readonly scopes_supported?: readonly string[]
  readonly bearer_methods_supported: readonly ['header']
  readonly resource_name?: string
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource'
/** RFC 6749 §3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** @throws TypeError when clients would refuse the document, or when it says what it must not */
export function protectedResourceMetadata(description: ProtectedResource): ProtectedResourceMetadata {
  const { resource, authorizationServers, scopes, name } = description
  checkResource(resource)
  // The MCP specification: MUST have at least one, else a client knows that it needs a token and not from where.
  if (authorizationServers.length === 0) throw new TypeError(`the resource "${resource}" has no authorization server`)
  for (const scope of scopes ?? []) {
    if (!SCOPE.test(scope)) throw new TypeError(`"${scope}" is not a scope`)
    // Refresh tokens are between client and authorization server: no resource needs them.
    if (scope === 'offline_access') throw new TypeError('"offline_access" is not a scope of a resource')
  }
  return {
    resource,
    authorization_servers: [...authorizationServers],
    ...(scopes && { scopes_supported: [...scopes] }),
    bearer_methods_supported: ['header'],
    ...(name !== undefined && { resource_name: name }),
  }
}

/**
 * Where the document is: the well-known part goes between host and path (RFC 9728 §3.1).
 * @throws TypeError
 */
export function protectedResourceUrl(resource: string): string {
  const { origin, pathname } = checkResource(resource)
  return `${origin}${WELL_KNOWN}${pathname === '/' ? '' : pathname}`
}

/** Without scheme and host, for a router. @throws TypeError */
export function protectedResourcePath(resource: string): string {
  return new URL(protectedResourceUrl(resource)).pathname
}

/** RFC 8707 §2 and the MCP specification, "Canonical Server URI": clients compare it with the URL they use, as text. */
function checkResource(resource: string): URL {
  const url = URL.parse(resource)
  if (url === null || !/^https?:$/.test(url.protocol)) throw new TypeError(`the resource "${resource}" is not a URL`)
  const isPlain = url.search === '' && url.hash === '' && url.username === '' && !/[?#]$/.test(resource)
  if (!isPlain) throw new TypeError(`the resource "${resource}" has more than scheme, host and path`)
  if (resource.endsWith('/')) throw new TypeError(`the resource "${resource}" ends with a slash`)
  return url
}
