import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { createHttpUpstream, serveStdio } from '@mcp-gateway/wire'
import { expect, it } from 'vitest'

/** A legacy server that refuses everything outside of its session, and notes what it was sent. */
async function strictServer() {
  const seen: string[] = []
  const server = createServer((req, res) => {
    let body = ''
    req.on('data', (chunk) => (body += chunk))
    req.on('end', () => {
      const message = body === '' ? {} : JSON.parse(body)
      seen.push(`${req.method} ${message.method ?? ''}`.trim())
      const json = (status: number, value: object, headers = {}) =>
        res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
      if (message.method === 'initialize') {
        const result = { protocolVersion: '2025-11-25', capabilities: {} }
        setTimeout(() => json(200, { jsonrpc: '2.0', id: message.id, result }, { 'mcp-session-id': 's' }), 50)
      } else if (req.headers['mcp-session-id'] !== 's')
        json(400, { jsonrpc: '2.0', error: { code: -32000, message: 'no session' } })
      else if (req.method === 'GET') res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n')
      else if (message.id === undefined) res.writeHead(req.method === 'DELETE' ? 200 : 202).end()
      else json(200, { jsonrpc: '2.0', id: message.id, result: { method: message.method } })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
  return { seen, url, [Symbol.dispose]: () => (server.closeAllConnections(), server.close()) }
}

it('keeps the order of a client in a pipe, writes only JSON-RPC, and ends with its input', async () => {
  using server = await strictServer()
  const input = new PassThrough()
  const output = new PassThrough()
  const diagnostics: string[] = []
  const done = serveStdio({
    input,
    output,
    onDiagnostic: (text) => diagnostics.push(text),
    connect: (onMessage) =>
      createHttpUpstream({ url: server.url, onMessage, onDiagnostic: (text) => diagnostics.push(text) }),
  })
  input.end(
    [
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}',
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      'not JSON',
      '{"jsonrpc":"2.0","id":2,"method":"tools/list"}',
    ].join('\n') + '\n',
  )
  const from = Date.now()
  expect(await done).toBe('the client closed its end')
  expect(Date.now() - from).toBeLessThan(900)
  const lines = String(output.read()).trim().split('\n').map((line) => JSON.parse(line)) // prettier-ignore
  expect(lines).toMatchObject([
    { id: 1, result: { protocolVersion: '2025-11-25' } },
    { error: { code: -32700, data: { code: 'WIRE_PARSE_ERROR' } } },
    { id: 2, result: { method: 'tools/list' } },
  ])
  expect(server.seen.filter((line) => line !== 'GET')).toEqual(['POST initialize', 'POST notifications/initialized', 'POST tools/list', 'DELETE']) // prettier-ignore
  expect(diagnostics).toHaveLength(1)
})
