/** Who is behind an HTTP request, and how it is called in the logs. */
import { DEFAULT_TENANT, type Caller } from '@mcp-gateway/auth'
import type { Context } from '@mcp-gateway/wire'

export type CallContext = Context & {
  readonly caller: Caller
  readonly requestId: string
  /** Of the endpoint. */
  readonly path?: string | undefined
  /** The client's, as our own proxies tell it. */
  readonly address?: string | undefined
  /** Sent with the answer; limits say in them what is left. */
  readonly responseHeaders?: string[]
  /** The caller's own name for one of its sessions (`X-MCP-Session`), which enablements may belong to. */
  readonly clientSession?: string | undefined
}

/** For whom a server is asked. Nobody's caller is the gateway itself. */
export type Asker = { readonly principal: string; readonly caller?: Caller | undefined }

/** What may be kept of a request: its body must not be. */
export function askerOf({ principal, caller }: Asker): Asker {
  return { principal, caller }
}

/** Whose sessions, cursors and connections they are. Two tenants may have callers of one id. */
export function principalOf({ tenantId, id }: Caller): string {
  return tenantId === DEFAULT_TENANT ? id : JSON.stringify([tenantId, id])
}
