// The MCP clients that people use, behind one small face: connect, list the tools, call a tool.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client'
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport as TransportV1 } from '@modelcontextprotocol/sdk/shared/transport.js'

import { run } from '../support/processes.ts'

export type HttpEndpoint = { kind: 'http'; url: string; headers: Record<string, string> }
export type StdioEndpoint = { kind: 'stdio'; command: string; args: string[] }
export type Endpoint = HttpEndpoint | StdioEndpoint

/** Where a client may keep files, so that none touches the developer's own HOME. */
export type Session = { endpoint: Endpoint; home: string }

export type Connection = AsyncDisposable & {
  /** `undefined` where the client does not tell. */
  era: 'legacy' | 'modern' | undefined
  listTools(): Promise<string[]>
  /** The text of the result; rejects when the result is an error. */
  callTool(name: string, args: Record<string, unknown>): Promise<string>
}

export type InteropClient = {
  name: string
  kinds: Endpoint['kind'][]
  connect(session: Session): Promise<Connection>
}

const clientInfo = { name: 'mcp-gateway-interop', version: '1.0.0' }
const inspectorMain = fileURLToPath(
  import.meta.resolve('@modelcontextprotocol/inspector/clients/launcher/build/index.js'),
)
const mcpRemoteMain = fileURLToPath(import.meta.resolve('mcp-remote/dist/proxy.js'))
const inspectorTimeoutMs = 45_000

export const clients: InteropClient[] = [
  { name: 'SDK v1', kinds: ['http', 'stdio'], connect: ({ endpoint, home }) => connectV1(transportV1(endpoint, home)) },
  { name: 'SDK v2, default', kinds: ['http', 'stdio'], connect: (session) => connectV2(session, 'legacy') },
  { name: 'SDK v2, auto', kinds: ['http', 'stdio'], connect: (session) => connectV2(session, 'auto') },
  { name: 'mcp-remote', kinds: ['http'], connect: connectMcpRemote },
  { name: 'inspector --cli', kinds: ['http', 'stdio'], connect: (session) => inspector(session, 'legacy') },
  { name: 'inspector --cli, auto', kinds: ['http', 'stdio'], connect: (session) => inspector(session, 'auto') },
]

async function connectV1(transport: TransportV1): Promise<Connection> {
  const client = new ClientV1(clientInfo)
  await client.connect(transport)
  return {
    era: 'legacy',
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args) => textOf(await client.callTool({ name, arguments: args })),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

function transportV1(endpoint: Endpoint, home: string): TransportV1 {
  return endpoint.kind === 'http'
    ? new HttpV1(new URL(endpoint.url), { requestInit: { headers: endpoint.headers } })
    : new StdioV1({ ...childOf(endpoint, home), stderr: 'ignore' })
}

async function connectV2({ endpoint, home }: Session, mode: 'legacy' | 'auto'): Promise<Connection> {
  const client = new ClientV2(clientInfo, mode === 'auto' ? { versionNegotiation: { mode } } : {})
  await client.connect(
    endpoint.kind === 'http'
      ? new HttpV2(new URL(endpoint.url), { requestInit: { headers: endpoint.headers } })
      : new StdioV2({ ...childOf(endpoint, home), stderr: 'ignore' }),
  )
  return {
    era: client.getProtocolEra(),
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args) => textOf(await client.callTool({ name, arguments: args })),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

/** mcp-remote gives a stdio-only client an HTTP server; the SDK v1 client stands in for that client. */
function connectMcpRemote({ endpoint, home }: Session): Promise<Connection> {
  if (endpoint.kind !== 'http') throw new Error('mcp-remote speaks HTTP to its server')
  const headers = Object.entries(endpoint.headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`])
  const args = [mcpRemoteMain, endpoint.url, '--transport', 'http-only', ...headers]
  return connectV1(
    new StdioV1({
      command: process.execPath,
      args,
      env: { ...childEnvironment(home), MCP_REMOTE_CONFIG_DIR: join(home, 'mcp-remote') },
      stderr: 'ignore',
    }),
  )
}

/** The inspector connects anew for every operation. */
async function inspector({ endpoint, home }: Session, era: 'legacy' | 'auto'): Promise<Connection> {
  const config = inspectorConfig(endpoint, home)
  const operate = async (...args: string[]): Promise<Record<string, unknown>> => {
    const target = ['--config', config, '--server', 'it', '--protocol-era', era, '--stored-auth-only']
    const { exitCode, stdout, stderr } = await run(
      {
        command: process.execPath,
        args: [inspectorMain, '--cli', ...target, '--format', 'json', '--quiet', ...args],
        env: childEnvironment(home),
      },
      inspectorTimeoutMs,
    )
    if (exitCode !== 0) throw new Error(`inspector ${args.join(' ')} ended with ${exitCode}: ${stdout}${stderr}`)
    return (JSON.parse(stdout) as { result: Record<string, unknown> }).result
  }
  return {
    era: undefined,
    async listTools() {
      const { tools } = (await operate('--method', 'tools/list')) as { tools: { name: string }[] }
      return tools.map(({ name }) => name)
    },
    async callTool(name, args) {
      return textOf(
        await operate('--method', 'tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args)),
      )
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** A file, because `inspector --cli <command>` would read the command's own `--config` as its own. */
function inspectorConfig(endpoint: Endpoint, home: string): string {
  const it =
    endpoint.kind === 'http'
      ? { type: 'streamable-http', url: endpoint.url, headers: endpoint.headers }
      : { type: 'stdio', command: endpoint.command, args: endpoint.args }
  mkdirSync(home, { recursive: true })
  const file = join(home, `inspector-${endpoint.kind}.json`)
  writeFileSync(file, JSON.stringify({ mcpServers: { it } }))
  return file
}

function childOf({ command, args }: StdioEndpoint, home: string) {
  return { command, args, env: childEnvironment(home) }
}

function childEnvironment(home: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: home }
}

function textOf(result: Record<string, unknown>): string {
  const content = result['content'] as { type: string; text?: string }[]
  const text = content.map((block) => block.text ?? '').join('\n')
  if (result['isError'] === true) throw new Error(text)
  return text
}
