/** Rules about how the gateway gets tokens for servers, said by those who will get them. Nothing is opened. */
import type { Config, RemoteServerConfig } from './config.ts'
import type { Problem } from './config-findings.ts'
import { isLoopback } from './guard.ts'
import { createUpstreamTokens } from './upstream-tokens.ts'

export function checkUpstreamAuth({ servers, auth }: Pick<Config, 'servers' | 'auth'>): Problem[] {
  return servers.flatMap((server, index) => {
    if (server.transport === 'stdio' || server.auth === undefined) return []
    const path = ['servers', index, 'auth']
    const found = [...contradictions(server), ...unused(server, auth.oidc.length > 0), ...refusals(server)]
    return found.slice(0, 1).map((message) => ({ path, message }))
  })
}

function contradictions({ url, transport, headers, auth }: RemoteServerConfig): string[] {
  const { protocol, hostname } = new URL(url)
  const problems: string[] = []
  if (Object.keys(headers).some((name) => name.toLowerCase() === 'authorization'))
    problems.push('is given besides the header "authorization": a request can carry only one of them')
  if (transport === 'sse') problems.push('is not for `transport: sse`: use Streamable HTTP')
  if (protocol === 'http:' && !isLoopback(hostname))
    problems.push('needs a `url` with https: tokens are not sent where others can read them')
  // What a server says of itself decides where its own tokens come from, and not where its callers' go.
  if (auth?.type === 'token-exchange' && auth.tokenEndpoint === undefined && auth.issuer === undefined)
    problems.push('needs `tokenEndpoint` or `issuer`: where callers’ tokens are sent is not for the server to say')
  return problems
}

function unused({ auth }: RemoteServerConfig, hasIssuers: boolean): string[] {
  if (auth?.type !== 'token-exchange' || hasIssuers) return []
  return ['is for callers with access tokens, and there are none: set `oidc` in the gateway’s `auth`']
}

function refusals(server: RemoteServerConfig): string[] {
  try {
    createUpstreamTokens(server)
    return []
  } catch (error) {
    if (error instanceof TypeError) return [error.message]
    throw error
  }
}
