// Real HTTP servers that behave, and that don't.
import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { createConnection, type AddressInfo } from 'node:net'
import { createHttpUpstream, createSseUpstream, handshake, outcome, type JsonRpcMessage } from '@mcp-gateway/wire'
import { afterEach, describe, expect, it } from 'vitest'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

type Seen = { method: string; headers: IncomingMessage['headers']; body: string }

async function serve(answer: (req: Seen, res: ServerResponse) => void) {
  const seen: Seen[] = []
  const server = createServer((req, res) => {
    let body = ''
    req.on('data', (chunk) => (body += chunk))
    req.on('end', () => {
      const request = { method: req.method ?? '', headers: req.headers, body }
      seen.push(request)
      answer(request, res)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  )
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp` }
}

function connect(url: string, limits = {}) {
  const messages: JsonRpcMessage[] = []
  const diagnostics: string[] = []
  const upstream = createHttpUpstream({
    url,
    headers: { authorization: 'Bearer upstream' },
    onMessage: (message) => messages.push(message),
    onDiagnostic: (text) => diagnostics.push(text),
    limits,
  })
  closers.push(() => upstream[Symbol.asyncDispose]())
  return { upstream, messages, diagnostics }
}

const legacy = (id: string, method = 'tools/call') => ({ jsonrpc: '2.0', id, method, params: { name: 'x' } }) as const
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}
const modern = { jsonrpc: '2.0', id: 'm', method: 'tools/call', params: { name: 'größe', _meta: META } } as const
const json = (res: ServerResponse, status: number, body: object, headers = {}) =>
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
const events = (res: ServerResponse, ...lines: string[]) => {
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const line of lines) res.write(line)
}

describe('Streamable HTTP, modern', () => {
  it('mirrors method, name and version into headers, passes Mcp-Param-* on, and nothing of its client', async () => {
    const { url, seen } = await serve((_req, res) => json(res, 200, { jsonrpc: '2.0', id: 'm', result: { ok: true } }))
    const { upstream } = connect(url)
    const exchange = upstream.request(modern, { headers: { 'mcp-param-region': 'eu' } })
    expect((await exchange.next()).value).toMatchObject({ id: 'm', result: { ok: true } })
    expect(seen[0]?.headers).toMatchObject({
      'mcp-method': 'tools/call',
      'mcp-name': '=?base64?Z3LDtsOfZQ==?=',
      'mcp-protocol-version': '2026-07-28',
      'mcp-param-region': 'eu',
      authorization: 'Bearer upstream',
    })
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual(modern)
  })

  it('closing the stream is the cancel', async () => {
    let closed = false
    const { url, seen } = await serve((_req, res) => {
      res.once('close', () => (closed = true))
      events(res, 'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n')
    })
    const exchange = connect(url).upstream.request(modern)
    expect((await exchange.next()).done).toBe(false)
    await exchange.return(undefined as never)
    await expect.poll(() => closed).toBe(true)
    expect(seen).toHaveLength(1)
  })
})

describe('Streamable HTTP, legacy', () => {
  const session = (extra: (req: Seen, res: ServerResponse) => void) => (req: Seen, res: ServerResponse) => {
    const message = req.body === '' ? {} : JSON.parse(req.body)
    if (message.method === 'initialize') {
      json(
        res,
        200,
        { jsonrpc: '2.0', id: message.id, result: { protocolVersion: '2025-06-18', capabilities: {} } },
        { 'mcp-session-id': 's1' },
      )
    } else if (message.method === 'server/discover')
      json(res, 400, { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'no session' } })
    else if (message.method === 'notifications/initialized') res.writeHead(202).end()
    else extra(req, res)
  }
  const clientInfo = { name: 't', version: '1' }

  it('keeps session and version, listens, cancels by notification, ends with DELETE', async () => {
    const { url, seen } = await serve(
      session((req, res) => {
        if (req.method === 'GET') events(res, 'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n')
        else if (req.method === 'DELETE') res.writeHead(200).end()
        else if (req.body.includes('cancelled')) res.writeHead(202).end()
        else events(res, ': open\n\n')
      }),
    )
    const { upstream, messages } = connect(url)
    expect(await handshake(upstream, { clientInfo })).toMatchObject({ era: 'legacy', protocolVersion: '2025-06-18' })
    await expect.poll(() => messages).toMatchObject([{ method: 'notifications/tools/list_changed' }])
    const abort = new AbortController()
    const exchange = upstream.request(legacy('slow'), { signal: abort.signal })
    abort.abort({ reason: 'enough' })
    await expect(exchange.next()).rejects.toMatchObject({ code: 'WIRE_CANCELLED' })
    await expect.poll(() => seen.some(({ body }) => body.includes('cancelled'))).toBe(true)
    // Ids are the connection's own: several clients may be behind it.
    expect(seen.find(({ body }) => body.includes('cancelled'))?.body).toMatch(/"requestId":\d+/)
    await upstream[Symbol.asyncDispose]()
    expect(seen.at(-1)).toMatchObject({
      method: 'DELETE',
      headers: { 'mcp-session-id': 's1', 'mcp-protocol-version': '2025-06-18' },
    })
  })

  it('resumes a stream that broke after an event with an id', async () => {
    const { url, seen } = await serve(
      session((req, res) => {
        if (req.method === 'GET' && req.headers['last-event-id'] === 'e1')
          events(res, 'data: {"jsonrpc":"2.0","id":"r","result":{"resumed":true}}\n\n')
        else if (req.method === 'GET') res.writeHead(405).end()
        else if (req.method === 'DELETE') res.writeHead(405).end()
        else {
          events(res, 'retry: 10\nid: e1\ndata: \n\n')
          res.end()
        }
      }),
    )
    const { upstream } = connect(url)
    await handshake(upstream, { clientInfo })
    expect(await outcome(upstream, legacy('r'))).toMatchObject({ result: { resumed: true } })
    expect(seen.filter(({ headers }) => headers['last-event-id'] === 'e1')).toHaveLength(1)
  })
})

describe('a server that', () => {
  it.each<[string, (req: Seen, res: ServerResponse) => unknown, string]>([
    ['answers 500', (_r, res) => res.writeHead(500).end('oops'), 'WIRE_UPSTREAM_REFUSED'],
    [
      'answers HTML',
      (_r, res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      'WIRE_UPSTREAM_REFUSED',
    ],
    ['redirects to the private network', (_r, res) => res.writeHead(307, { location: 'http://169.254.169.254/' }).end(), 'WIRE_UPSTREAM_REFUSED'], // prettier-ignore
    [
      'drops the stream',
      (_r, res) => (events(res, ': hello\n\n'), setTimeout(() => res.end(), 20)),
      'WIRE_UPSTREAM_CLOSED',
    ],
    ['drops the connection', (_r, res) => res.destroy(), 'WIRE_UPSTREAM_CLOSED'],
    ['sends an endless body', (_r, res) => endless(res, 'application/json'), 'WIRE_UPSTREAM_PROTOCOL'],
    ['sends an endless event', (_r, res) => endless(res, 'text/event-stream'), 'WIRE_UPSTREAM_PROTOCOL'],
    ['never answers', () => undefined, 'WIRE_UPSTREAM_TIMEOUT'],
  ])('%s', async (_what, answer, code) => {
    const { url } = await serve(answer)
    const { upstream } = connect(url, { idleTimeoutMs: 1000, maxLineBytes: 1_000_000 })
    await expect(outcome(upstream, modern)).rejects.toMatchObject({ code })
  })

  it('is not there', async () => {
    const { upstream } = connect('http://127.0.0.1:1/mcp')
    await expect(outcome(upstream, modern)).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_CLOSED' })
  })
})

function endless(res: ServerResponse, type: string): void {
  res.writeHead(200, { 'content-type': type })
  const chunk = `data: ${'x'.repeat(65_536)}`
  const write = (): void => {
    while (!res.destroyed && res.write(chunk));
    if (!res.destroyed) res.once('drain', write)
  }
  write()
}

describe('the deprecated HTTP+SSE transport', () => {
  it('works with a real server', async () => {
    const port = await freePort()
    const entry = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js')
    const child = spawn(process.execPath, [entry, 'sse'], {
      env: { ...process.env, PORT: String(port) },
      stdio: 'ignore',
    })
    closers.push(() => child.kill('SIGKILL'))
    const url = `http://127.0.0.1:${port}/sse`
    await expect.poll(() => accepts(port), { timeout: 15_000 }).toBe(true)
    const upstream = createSseUpstream({
      url,
      attribution: 'sole',
      onMessage: () => undefined,
      onDiagnostic: () => undefined,
    })
    closers.push(() => upstream[Symbol.asyncDispose]())
    expect(await handshake(upstream, { clientInfo: { name: 't', version: '1' } })).toMatchObject({ era: 'legacy' })
    const call = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'echo', arguments: { message: 'over sse' } },
    } as const
    expect(await outcome(upstream, call)).toMatchObject({ id: 1, result: { content: [{ text: 'Echo: over sse' }] } })
  })

  it('refuses an address on another origin', async () => {
    const { url } = await serve((_req, res) => events(res, 'event: endpoint\ndata: http://evil.example/post\n\n'))
    const upstream = createSseUpstream({
      url,
      attribution: 'sole',
      onMessage: () => undefined,
      onDiagnostic: () => undefined,
    })
    expect(await upstream.closed).toMatch(/another origin/)
  })
})

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => socket.end(() => resolve(true)))
    socket.once('error', () => resolve(false))
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
