/**
 * Host and Origin checks (MCP 2026-07-28, streamable-http, security). The adversary is a web page in the user's browser that
 * points a name of its own at 127.0.0.1 (DNS rebinding), or simply posts to localhost.
 */
import { GatewayError } from './errors.ts'

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

export type Guard = (headers: { readonly host?: string | undefined; readonly origin?: string | undefined }) => void

export type GuardOptions = {
  readonly host: string
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
}

/** Throws GATEWAY_HOST_FORBIDDEN or GATEWAY_ORIGIN_FORBIDDEN. */
export function createGuard({ host, allowedHosts, allowedOrigins }: GuardOptions): Guard {
  const isLocal = isLoopback(host)
  const hosts = new Set([...(isLocal ? LOOPBACK : []), ...allowedHosts].map((name) => name.toLowerCase()))
  const origins = new Set(allowedOrigins)
  // Bound wider, credentials are required and no browser holds them: a Host list is then the operator's choice.
  const checksHost = isLocal || allowedHosts.length > 0
  // Clients send the same header for ever; the last good one is compared before it is parsed.
  let lastGood: string | undefined

  return (headers) => {
    const { host: name, origin } = headers
    if (checksHost && (name === undefined || name !== lastGood)) {
      const hostname = name === undefined ? undefined : hostnameOf(name)
      if (hostname === undefined || !hosts.has(hostname)) {
        throw new GatewayError('GATEWAY_HOST_FORBIDDEN', 'this Host is not served here; see allowedHosts')
      }
      lastGood = name
    }
    if (origin === undefined || origins.has(origin)) return
    const hostname = URL.canParse(origin) ? new URL(origin).hostname : undefined
    if (!isLocal || hostname === undefined || !LOOPBACK.includes(hostname)) {
      throw new GatewayError('GATEWAY_ORIGIN_FORBIDDEN', 'this Origin is not served here; see allowedOrigins')
    }
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}

/** The name in a Host header, without its port, in lower case. */
function hostnameOf(host: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host)
  return match?.[1]?.toLowerCase()
}
