/** Who is behind an HTTP request, and how it is called in the logs. */
import type { Caller } from '@mcp-gateway/auth'
import type { Context } from '@mcp-gateway/wire'

export type CallContext = Context & { readonly caller: Caller; readonly requestId: string }
