// A client under test for the suite's client scenarios: an SDK client behind a gateway, so that what reaches the suite's server
// is what the gateway's upstream connector sends. Run by the suite with the server's URL as the last argument.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createLogger, parseConfig, startGateway } from '@mcp-gateway/gateway'

const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? ''
const version = process.env['MCP_CONFORMANCE_PROTOCOL_VERSION'] ?? '2025-11-25'
const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as Context
const url = process.argv.at(-1) ?? ''

type Args = Record<string, unknown>
type Context = {
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: Args }[]
  readonly client_id?: string
  readonly client_secret?: string
  readonly private_key_pem?: string
  readonly signing_algorithm?: string
}

// How the gateway signs in at the suite's authorization server, where the scenario is about that.
const {
  client_id: clientId,
  client_secret: clientSecret,
  private_key_pem: privateKey,
  signing_algorithm: algorithm,
} = context
const upstreamAuth = clientId && { auth: { type: 'client-credentials', clientId, clientSecret, privateKey, algorithm } }
const config = { port: 0, auth: { type: 'none' }, servers: [{ id: 'suite', url, ...upstreamAuth }] }
await using gateway = await startGateway({
  config: parseConfig(JSON.stringify(config), { env: {} }),
  logger: createLogger('warn'),
})
const isModern = version >= '2026-07-28'
const client = new Client(
  { name: 'mcp-gateway-conformance', version: '1.0.0' },
  {
    capabilities: { elicitation: { form: { applyDefaults: true } } },
    ...(isModern && { versionNegotiation: { mode: 'auto' } }),
  },
)
client.setRequestHandler('elicitation/create', () => ({
  action: 'accept',
  content: scenario === 'sep-2322-client-request-state' ? { confirmed: true } : {},
}))
await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp/server/suite`)))
const { tools } = await client.listTools()
const call = (name: string, args: Args = {}) => client.callTool({ name, arguments: args })

const steps: Readonly<Record<string, () => Promise<unknown>>> = {
  tools_call: () => call('add_numbers', { a: 5, b: 3 }),
  'elicitation-sep1034-client-defaults': () => call('test_client_elicitation_defaults'),
  'sse-retry': () => call('test_reconnection'),
  'sep-2322-client-request-state': async () => {
    await Promise.all([call('test_mrtr_echo_state'), call('test_mrtr_unrelated')])
    for (const { name } of tools.filter(({ name }) => name !== 'test_mrtr_no_result_type')) await call(name)
    // The gateway passes a result without resultType; the SDK behind it is stricter than the suite and refuses it.
    await call('test_mrtr_no_result_type').catch(() => undefined)
  },
  'http-standard-headers': async () => {
    for (const { name } of tools) await call(name)
    const { resources } = await client.listResources()
    for (const { uri } of resources) await client.readResource({ uri })
    const { prompts } = await client.listPrompts()
    for (const { name } of prompts) await client.getPrompt({ name })
  },
  'http-custom-headers': async () => {
    for (const { name, arguments: args } of context.toolCalls ?? []) await call(name, args)
  },
  'http-invalid-tool-headers': async () => {
    for (const { name, inputSchema } of tools) await call(name, exampleOf(inputSchema))
  },
  'json-schema-2020-12-preservation': () => {
    const focal = tools.find(({ name }) => name !== 'json_schema_echo')
    return call('json_schema_echo', { schema: focal?.inputSchema })
  },
}
await steps[scenario]?.()
await client.close()

/** Something for each required property. */
function exampleOf({ required = [] }: { readonly required?: readonly string[] | undefined }): Args {
  return Object.fromEntries(required.map((name) => [name, 'x']))
}
