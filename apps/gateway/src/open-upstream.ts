/** From a server's configuration to a transport. */
import { createHttpUpstream, createSseUpstream, createStdioUpstream, type Credentials, type Upstream, type UpstreamEvents, type UpstreamLimits } from '@mcp-gateway/wire' // prettier-ignore
import type { ServerConfig } from './config.ts'

export type OpenUpstreamOptions = UpstreamEvents & {
  /** `newest` when everybody on the connection is the same caller, `sole` otherwise. */
  readonly attribution: 'newest' | 'sole'
  readonly credentials: Credentials | undefined
  readonly limits: Partial<UpstreamLimits>
  /** What a child may know of the gateway's own environment. */
  readonly environment: Readonly<Record<string, string>>
}

export function openUpstream(config: ServerConfig, options: OpenUpstreamOptions): Upstream {
  const { environment, attribution, credentials, ...common } = options
  if (config.transport === 'stdio') {
    const { command, args, cwd, env } = config
    return createStdioUpstream({ ...common, attribution, command, args, cwd, env: { ...environment, ...env } })
  }
  const { url, headers } = config
  return config.transport === 'sse'
    ? createSseUpstream({ ...common, attribution, url, headers })
    : createHttpUpstream({ ...common, url, headers, credentials })
}
