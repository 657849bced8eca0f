/** Who is behind an HTTP request, and how it is called in the logs. */
import type { Caller } from '@mcp-gateway/auth'
import type { Context } from '@mcp-gateway/wire'

export type CallContext = Context & {
  readonly caller: Caller
  readonly requestId: string
  /** The caller's own name for one of its sessions (`X-MCP-Session`), which enablements may belong to. */
  readonly clientSession?: string | undefined
}
