// An MCP server behind HTTP that misbehaves on demand: in this process, so that tests see what it was sent.
// It answers both eras; what goes wrong is the tool that is called.
import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export type SeenRequest = { readonly method: string; readonly url: string; readonly headers: IncomingHttpHeaders }

export type FaultHttpServer = AsyncDisposable & {
  readonly url: string
  readonly seen: readonly SeenRequest[]
  /** Sessions that `initialize` opened and that have not been forgotten. */
  readonly sessions: () => number
  /** From now on every session so far is answered 404, as after a restart of the server. */
  forgetSessions(): void
}

type Message = {
  readonly id?: number | string
  readonly method?: string
  readonly params?: {
    readonly name?: string
    readonly protocolVersion?: string
    readonly arguments?: { readonly text?: string }
  }
}
type Fault = (res: ServerResponse, message: Message) => Promise<void> | void

export type FaultHttpOptions = {
  /** `legacy` refuses `server/discover` and wants a session. */
  readonly era: 'modern' | 'legacy'
  /** Where the redirects point. */
  readonly redirectTo?: string
}

const capabilities = { tools: {} }
const JSON_TYPE = { 'content-type': 'application/json' }
const SSE_TYPE = { 'content-type': 'text/event-stream' }

export async function startFaultHttpServer(options: FaultHttpOptions): Promise<FaultHttpServer> {
  const seen: SeenRequest[] = []
  const sessions = new Set<string>()
  const faults = faultsOf(options.redirectTo ?? '')
  let nextSession = 1

  const legacy = (req: IncomingMessage, res: ServerResponse, message: Message): boolean => {
    if (message.method === 'initialize') {
      const session = `session-${nextSession++}`
      sessions.add(session)
      const { protocolVersion } = message.params ?? {}
      const serverInfo = { name: 'fault-http-server', version: '1.0.0' }
      res.writeHead(200, { ...JSON_TYPE, 'mcp-session-id': session })
      res.end(text(message, { protocolVersion, capabilities, serverInfo }))
      return true
    }
    if (message.method === 'server/discover') return refuse(res, message)
    if (sessions.has(String(req.headers['mcp-session-id']))) return false
    res.writeHead(404, JSON_TYPE).end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"}}')
    return true
  }

  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    seen.push({ method: req.method ?? '', url: req.url ?? '', headers: req.headers })
    const message = JSON.parse((await readBody(req)) || '{}') as Message
    if (req.method === 'DELETE') sessions.delete(String(req.headers['mcp-session-id']))
    if (req.method !== 'POST') return void res.writeHead(req.method === 'DELETE' ? 200 : 405).end()
    if (options.era === 'legacy' && legacy(req, res, message)) return undefined
    if (message.id === undefined) return void res.writeHead(202).end()
    const fault = message.method === 'tools/call' ? faults[message.params?.name ?? ''] : undefined
    if (fault !== undefined) return fault(res, message)
    res.writeHead(200, JSON_TYPE).end(text(message, resultOf(message)))
    return undefined
  }

  const server = createServer((req, res) => void handle(req, res))
  const url = await listen(server)
  return {
    url: `${url}/mcp`,
    seen,
    sessions: () => sessions.size,
    forgetSessions: () => sessions.clear(),
    [Symbol.asyncDispose]: () => stop(server),
  }
}

function faultsOf(redirectTo: string): Readonly<Record<string, Fault>> {
  const redirect =
    (status: number): Fault =>
    (res) =>
      void res.writeHead(status, { location: redirectTo }).end()
  return {
    'drop-stream': async (res) => {
      res.writeHead(200, SSE_TYPE)
      res.write(
        'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}\n\n',
      )
      await sleep(100)
      res.destroy()
    },
    'end-stream': (res) => void res.writeHead(200, SSE_TYPE).end(': nothing\n\n'),
    'status-404': (res) => void res.writeHead(404, JSON_TYPE).end('{"message":"not here"}'),
    'status-500': (res) => void res.writeHead(500, { 'content-type': 'text/html' }).end('<h1>out of order</h1>'),
    'endless-body': (res) => endless(res, JSON_TYPE, '{"jsonrpc":"2.0","result":{"text":"'),
    'endless-event': (res) => endless(res, SSE_TYPE, 'event: message\ndata: {"jsonrpc":"2.0","result":"'),
    'slow-body': async (res, message) => {
      res.writeHead(200, JSON_TYPE)
      // One byte at a time, for ever as far as the caller's timeout is concerned.
      for (const byte of `{"jsonrpc":"2.0","id":${message.id},"result":{"text":"${'s'.repeat(1000)}"}}`) {
        if (res.destroyed) return
        res.write(byte)
        await sleep(50)
      }
    },
    'redirect-302': redirect(302),
    'redirect-307': redirect(307),
    'not-json': (res) => void res.writeHead(200, JSON_TYPE).end('<html>a proxy says hello</html>'),
  }
}

/** Writes until the reader goes away; never more than the socket takes. */
function endless(res: ServerResponse, headers: Record<string, string>, start: string): void {
  res.writeHead(200, headers)
  res.write(start)
  const filler = Buffer.alloc(1024 * 1024, 'x')
  const fill = (): void => {
    while (!res.destroyed && res.write(filler));
  }
  res.on('drain', fill)
  fill()
}

function resultOf({ method, params }: Message): object {
  switch (method) {
    case 'server/discover':
      return { supportedVersions: ['2026-07-28'], capabilities, ttlMs: 0, cacheScope: 'private' }
    case 'tools/list':
      return { tools: [{ name: 'echo', inputSchema: { type: 'object' } }], ttlMs: 0, cacheScope: 'private' }
    default:
      return { content: [{ type: 'text', text: params?.arguments?.text ?? '' }] }
  }
}

function text({ id }: Message, result: object): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...result } })
}

function refuse(res: ServerResponse, { id }: Message): true {
  res.writeHead(400, JSON_TYPE)
  res.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32_600, message: 'No session' } }))
  return true
}

/** A server that nobody may reach by a redirect: it answers everything and tells what it was asked. */
export async function startPrivateServer(): Promise<AsyncDisposable & { url: string; seen: SeenRequest[] }> {
  const seen: SeenRequest[] = []
  const server = createServer((req, res) => {
    seen.push({ method: req.method ?? '', url: req.url ?? '', headers: req.headers })
    res.writeHead(200, JSON_TYPE).end('{"secret":"of the private network"}')
  })
  return { url: `${await listen(server)}/secret`, seen, [Symbol.asyncDispose]: () => stop(server) }
}

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function stop(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
