// The whole gateway in this process, in front of a real MCP server, called by the official client.
// As a user you write the same configuration to gateway.yaml and run `mcp-gateway serve --config gateway.yaml`.
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { generateApiKey } from '@mcp-gateway/auth'
import { parseConfig, startGateway } from '@mcp-gateway/gateway'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

const { key, hash } = generateApiKey()
const config = parseConfig(
  `
    port: 0 # the system chooses
    auth:
      type: api-key
      keys:
        - { id: demo, key: '${hash}', name: demo, consumerId: me, roles: [all] }
    servers:
      - id: everything
        command: ${process.execPath}
        args: ['${fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))}']
    log:
      level: silent
  `,
  { env: process.env },
)
await using gateway = await startGateway({ config })

// All servers on one URL: tools carry the name of their server.
await using everywhere = await connect('/mcp', key)
const { tools } = await everywhere.client.listTools()
console.log(`/mcp offers ${tools.length} tools`)
assert.ok(tools.some(({ name }) => name === 'everything__echo'))
assert.equal(await echo(everywhere.client, 'everything__echo'), 'Echo: through the gateway')

// One server on its own URL: names are the server's own.
await using alone = await connect('/mcp/server/everything', key)
assert.equal(await echo(alone.client, 'echo'), 'Echo: through the gateway')
console.log('echo answered on both URLs')

// Nobody gets in without a key.
await assert.rejects(connect('/mcp', 'gw_wrong'), /401|not known/)
console.log('a wrong key was refused')

/** A client with the key in the header; `auto` has it speak the newest protocol era that the URL offers. */
async function connect(path: string, apiKey: string): Promise<AsyncDisposable & { client: Client }> {
  const client = new Client({ name: 'example', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } })
  const headers = { authorization: `Bearer ${apiKey}` }
  await client.connect(new StreamableHTTPClientTransport(new URL(path, gateway.url), { requestInit: { headers } }))
  console.log(`connected to ${path} as a ${client.getProtocolEra()} client`)
  return { client, [Symbol.asyncDispose]: () => client.close() }
}

async function echo(client: Client, name: string): Promise<string> {
  const { content } = await client.callTool({ name, arguments: { message: 'through the gateway' } })
  const [first] = content
  assert.ok(first?.type === 'text')
  return first.text
}
