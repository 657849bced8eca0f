import { request } from 'node:http'
import { join } from 'node:path'
import { parseConfig, startGateway, type RunningGateway } from '@mcp-gateway/gateway'

export const KEY = 'gw_test_0123456789abcdef0123456789abcdef'
const ECHO_SERVER: string = join(import.meta.dirname, 'fixtures', 'echo-server.mjs')

export const echoServer = (id: string, more: object = {}): object => ({
  id,
  command: process.execPath,
  args: [ECHO_SERVER],
  ...more,
})

export async function gatewayWith(config: object, database?: string): Promise<RunningGateway> {
  const text = JSON.stringify({ port: 0, log: { level: 'silent' }, ...config })
  return startGateway({ config: parseConfig(text, { env: {} }), ...(database !== undefined && { database }) })
}

export type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly json: () => Readonly<Record<string, unknown>>
}

/** `fetch` can't set Host; this can, and sends exactly what it is given. */
export function send(
  gateway: RunningGateway,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(
      {
        host: '127.0.0.1',
        port: gateway.port,
        path,
        method: options.method ?? 'POST',
        headers: options.headers,
        agent: false,
      },
      (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8')
          resolve({
            status: res.statusCode ?? 0,
            headers: res.headers,
            text,
            json: () => JSON.parse(text) as Record<string, unknown>,
          })
        })
      },
    )
    // A refused upload is answered before it is read: the write may fail after the answer came.
    req.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' ? undefined : reject(error)))
    req.end(options.body)
  })
}

const VERSION = '2026-07-28'

/** The body and the headers of a modern request. */
export function modern(method: string, params: Record<string, unknown> = {}, id: string | number = 1) {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': VERSION,
    'io.modelcontextprotocol/clientCapabilities': {},
    ...(params['_meta'] as object),
  }
  const name = params['name'] ?? params['uri']
  return {
    headers: {
      authorization: `Bearer ${KEY}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': VERSION,
      'mcp-method': method,
      ...(typeof name === 'string' && { 'mcp-name': name }),
    } as Record<string, string>,
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: meta } }),
  }
}

/** A legacy session by hand. */
export async function openSession(gateway: RunningGateway, path: string, capabilities: object = {}) {
  const headers: Record<string, string> = {
    authorization: `Bearer ${KEY}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  }
  const post = (message: object) =>
    send(gateway, path, { headers, body: JSON.stringify({ jsonrpc: '2.0', ...message }) })
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'test', version: '1' } }
  const opened = await post({ id: 'init', method: 'initialize', params })
  headers['mcp-session-id'] = String(opened.headers['mcp-session-id'])
  headers['mcp-protocol-version'] = '2025-11-25'
  await post({ method: 'notifications/initialized' })
  return { opened, headers, post }
}

export const KEYS = {
  type: 'api-key',
  keys: [{ id: 'test', key: KEY, name: 'test', consumerId: 'tester', roles: ['admin'] }],
}
