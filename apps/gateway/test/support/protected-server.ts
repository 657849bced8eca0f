/** An MCP server over HTTP that lets in who has a token for it, of either era. It says who called. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createAuthenticator, createOidc, readBearer, type Caller } from '@mcp-gateway/auth'

export type Seen = {
  readonly token: string
  /** The `sub` of the token. */
  readonly who: string
  readonly scopes: readonly string[]
  readonly method: string
  readonly session: string | undefined
  readonly args: Readonly<Record<string, unknown>>
}

export type ProtectedServer = AsyncDisposable & {
  readonly url: string
  /** What it has let in. */
  readonly seen: readonly Seen[]
  /** Requests with a token that was not good. */
  readonly refused: () => number
  /** From now on the tokens it has seen are not good, or none is. */
  readonly revoke: (which: 'seen' | 'all') => void
}

type Rpc = { readonly id?: unknown; readonly method: string; readonly params?: { readonly arguments?: object } }
type Answer = { readonly status: number; readonly body?: object; readonly headers?: Readonly<Record<string, string>> }

export async function startProtectedServer(
  issuer: string,
  era: 'modern' | 'legacy' = 'modern',
): Promise<ProtectedServer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const url = `${origin}/mcp`
  const oidc = createOidc({ issuers: [{ issuer, allowLoopback: true, idPrefix: '' }], audience: url })
  const { authenticate } = createAuthenticator({ schemes: [oidc] })
  const seen: Seen[] = []
  const revoked = new Set<string>()
  let refused = 0
  let refusesAll = false

  const enter = async (req: IncomingMessage): Promise<Caller | undefined> => {
    const caller = await Promise.resolve(authenticate({ method: 'POST', url, headers: req.headers })).catch(
      () => undefined,
    )
    const isGood = caller !== undefined && !refusesAll && !revoked.has(tokenOf(req))
    if (!isGood) refused += 1
    return isGood ? caller : undefined
  }
  const answer = async (req: IncomingMessage): Promise<Answer> => {
    if (req.url?.startsWith('/.well-known/oauth-protected-resource') === true)
      return { status: 200, body: { resource: url, authorization_servers: [issuer] } }
    const body = await text(req)
    const caller = await enter(req)
    // As a server says it that knows only clients: nothing of this is for the gateway's own.
    if (caller === undefined) return { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } }
    if (req.method !== 'POST') return { status: req.method === 'DELETE' ? 200 : 405 }
    const message = JSON.parse(body) as Rpc
    const session = req.headers['mcp-session-id'] as string | undefined
    const args = { ...message.params?.arguments }
    seen.push({
      token: tokenOf(req),
      who: caller.id,
      scopes: caller.scopes ?? [],
      method: message.method,
      session,
      args,
    })
    if (message.id === undefined) return { status: 202 }
    return reply(message, era, caller, seen.length)
  }
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    void answer(req).then(({ status, body, headers }) => {
      res.writeHead(status, { 'content-type': 'application/json', ...headers })
      res.end(body === undefined ? '' : JSON.stringify(body))
    })
  })
  return {
    url,
    seen,
    refused: () => refused,
    revoke(which) {
      refusesAll = which === 'all'
      for (const { token } of seen) revoked.add(token)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function reply({ id, method }: Rpc, era: 'modern' | 'legacy', caller: Caller, count: number): Answer {
  const result = resultOf(method, era, caller)
  const said = result === undefined ? { error: { code: -32601, message: 'unknown method' } } : { result }
  const headers = method === 'initialize' ? { 'mcp-session-id': `session-${count}` } : {}
  return { status: 200, body: { jsonrpc: '2.0', id, ...said }, headers }
}

function resultOf(method: string, era: 'modern' | 'legacy', { id }: Caller): object | undefined {
  const capabilities = { tools: {} }
  const serverInfo = { name: 'protected', version: '1' }
  if (method === 'server/discover' && era === 'modern')
    return { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities, ttlMs: 0, cacheScope: 'private' }
  if (method === 'initialize' && era === 'legacy') return { protocolVersion: '2025-11-25', capabilities, serverInfo }
  if (method === 'tools/list') {
    const tools = [{ name: `for-${id}`, inputSchema: { type: 'object' } }]
    return { resultType: 'complete', tools, ttlMs: 60_000, cacheScope: 'private' }
  }
  if (method === 'tools/call') return { resultType: 'complete', content: [{ type: 'text', text: id }] }
  return method === 'ping' ? {} : undefined
}

function tokenOf(req: IncomingMessage): string {
  return readBearer(req.headers) ?? ''
}
