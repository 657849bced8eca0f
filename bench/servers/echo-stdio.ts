// The upstream of the bench: an MCP server on stdio with one `echo` tool, written without an SDK because an SDK
// server tops out long before the gateway does. It answers both eras, so a gateway may speak either to it.

type Message = {
  id?: number | string
  method?: string
  params?: { protocolVersion?: string; arguments?: { text?: string } }
}

const capabilities = { tools: {} }
const serverInfo = { name: 'bench-echo', version: '1.0.0' }
const cache = { ttlMs: 0, cacheScope: 'private' }
const tool = {
  name: 'echo',
  description: 'Says what it was told',
  inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
}

const handlers: Readonly<Record<string, (params: Message['params']) => object>> = {
  initialize: (params) => ({ protocolVersion: params?.protocolVersion ?? '2025-06-18', capabilities, serverInfo }),
  'server/discover': () => ({ resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities, ...cache }),
  'tools/list': () => ({ resultType: 'complete', tools: [tool], ...cache }),
  'tools/call': (params) => ({
    resultType: 'complete',
    content: [{ type: 'text', text: params?.arguments?.text ?? '' }],
  }),
  ping: () => ({}),
}

function answer(line: string): string {
  const { id, method = '', params } = JSON.parse(line) as Message
  if (id === undefined) return ''
  const handler = handlers[method]
  const outcome = handler ? { result: handler(params) } : { error: { code: -32601, message: 'Method not found' } }
  return `${JSON.stringify({ jsonrpc: '2.0', id, ...outcome })}\n`
}

let rest = ''
process.stdin.setEncoding('utf8').on('data', (chunk: string) => {
  const lines = (rest + chunk).split('\n')
  rest = lines.pop() ?? ''
  const answers = lines.map(answer).join('')
  if (answers !== '') process.stdout.write(answers)
})
