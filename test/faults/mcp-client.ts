// MCP over HTTP by hand: every byte of a message is the test's own, and what comes back is kept as text.
import { Agent, request, type IncomingHttpHeaders } from 'node:http'

import { KEY } from './gateway-process.ts'

export type Answer = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Each JSON-RPC message as it was sent: the body, or the data of each event. */
  readonly texts: readonly string[]
}

export type Reply = {
  readonly id?: unknown
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly code: number; readonly message: string; readonly data?: { readonly code?: string } }
}

export type Post = { readonly port: number; readonly path: string; readonly body: string; readonly headers?: Headers }
export type Headers = Readonly<Record<string, string>>

export type McpSession = {
  readonly opened: Answer
  post(body: string): Promise<Answer>
  call(name: string, args?: object): Promise<{ readonly status: number; readonly reply: Reply }>
  end(): Promise<Answer>
}

const MODERN = '2026-07-28'
export const LEGACY = '2025-11-25'
export const MODERN_META: Readonly<Record<string, unknown>> = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientInfo': { name: 'faults', version: '1.0.0' },
  'io.modelcontextprotocol/clientCapabilities': {},
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 })
let nextId = 1

export function send(method: 'POST' | 'DELETE', { port, path, body, headers }: Post): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, path, method, agent, headers: { ...common, ...headers } }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.once('error', reject)
      res.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        const isStream = String(res.headers['content-type']).startsWith('text/event-stream')
        resolve({ status: res.statusCode ?? 0, headers: res.headers, texts: isStream ? dataOf(text) : [text] })
      })
    })
    req.once('error', reject)
    req.end(body)
  })
}

/** The headers that a modern request mirrors from its body (SEP-2243). */
export function modernHeaders(method: string, name?: string): Headers {
  const mirrored = name === undefined ? {} : { 'mcp-name': headerValue(name) }
  return { 'mcp-protocol-version': MODERN, 'mcp-method': method, ...mirrored }
}

/** A modern request, stateless. */
export async function modernRequest(
  port: number,
  path: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly status: number; readonly reply: Reply }> {
  const name = params['name'] as string | undefined
  const message = { jsonrpc: '2.0', id: nextId++, method, params: { ...params, _meta: MODERN_META } }
  const body = JSON.stringify(message)
  const answer = await send('POST', { port, path, body, headers: modernHeaders(method, name) })
  return { status: answer.status, reply: replyOf(answer) }
}

/** `initialize` and `notifications/initialized`. Where no session was opened, `opened` says why. */
export async function openSession(port: number, path: string): Promise<McpSession> {
  const headers: Record<string, string> = {}
  const post = (body: string): Promise<Answer> => send('POST', { port, path, body, headers })
  const params = { protocolVersion: LEGACY, capabilities: {}, clientInfo: { name: 'faults', version: '1.0.0' } }
  const opened = await post(JSON.stringify({ jsonrpc: '2.0', id: nextId++, method: 'initialize', params }))
  headers['mcp-session-id'] = String(opened.headers['mcp-session-id'] ?? 'none')
  headers['mcp-protocol-version'] = LEGACY
  if (opened.status === 200) await post(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }))
  return {
    opened,
    post,
    async call(name, args = {}) {
      const message = { jsonrpc: '2.0', id: nextId++, method: 'tools/call', params: { name, arguments: args } }
      const answer = await post(JSON.stringify(message))
      return { status: answer.status, reply: replyOf(answer) }
    },
    end: () => send('DELETE', { port, path, body: '', headers }),
  }
}

/** The response; it is the last message of an answer. */
export function replyOf({ texts, status }: Answer): Reply {
  const text = texts.at(-1)
  if (text === undefined || text === '') throw new Error(`HTTP ${status} without a message`)
  return JSON.parse(text) as Reply
}

export function closeConnections(): void {
  agent.destroy()
}

const common: Headers = {
  authorization: `Bearer ${KEY}`,
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
}

function dataOf(stream: string): string[] {
  return stream
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice('data:'.length).trimStart())
    .filter((data) => data !== '')
}

function headerValue(text: string): string {
  const isPlain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith('=?')
  return isPlain ? text : `=?base64?${Buffer.from(text, 'utf8').toString('base64')}?=`
}
