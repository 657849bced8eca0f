// The upstream of the bench: an MCP server on stdio with one `echo` tool, written without an SDK because an SDK
// server tops out long before the gateway does. It answers both eras unless `--legacy` or `--modern` is said.
import { parseArgs } from 'node:util'

const { values: args } = parseArgs({
  options: { legacy: { type: 'boolean' }, modern: { type: 'boolean' }, tools: { type: 'string', default: '1' } },
})

type Message = {
  id?: number | string
  method?: string
  params?: { protocolVersion?: string; arguments?: { text?: string } }
}

const capabilities = { tools: { listChanged: true } }
const serverInfo = { name: 'bench-echo', version: '1.0.0' }
const cache = { ttlMs: 0, cacheScope: 'private' }
const tools = Array.from({ length: Number(args.tools) }, (_, at) => ({
  name: at === 0 ? 'echo' : `echo-${at}`,
  description: 'Says what it was told',
  inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
}))

const handlers: Record<string, ((params: Message['params']) => object) | undefined> = {
  initialize: (params) => ({ protocolVersion: params?.protocolVersion ?? '2025-06-18', capabilities, serverInfo }),
  'server/discover': () => ({ resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities, ...cache }),
  'tools/list': () => ({ resultType: 'complete', tools, ...cache }),
  'tools/call': (params) => ({
    resultType: 'complete',
    content: [{ type: 'text', text: params?.arguments?.text ?? '' }],
  }),
  ping: () => ({}),
}

if (args.legacy === true) delete handlers['server/discover']
if (args.modern === true) delete handlers['initialize']

function answer(line: string): string {
  const { id, method = '', params } = JSON.parse(line) as Message
  if (id === undefined) return ''
  // It has nothing to tell; what it never tells needs no answer either, except that it listens.
  if (method === 'subscriptions/listen') return acknowledgement(id)
  const handler = handlers[method]
  const outcome = handler ? { result: handler(params) } : { error: { code: -32601, message: 'Method not found' } }
  return `${JSON.stringify({ jsonrpc: '2.0', id, ...outcome })}\n`
}

function acknowledgement(id: number | string): string {
  const params = { notifications: { toolsListChanged: true }, _meta: { 'io.modelcontextprotocol/subscriptionId': id } }
  return `${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params })}\n`
}

let rest = ''
process.stdin.setEncoding('utf8').on('data', (chunk: string) => {
  const lines = (rest + chunk).split('\n')
  rest = lines.pop() ?? ''
  const answers = lines.map(answer).join('')
  if (answers !== '') process.stdout.write(answers)
})
