// A stdio MCP server that misbehaves on demand. No SDK, so that nothing tidies up what it writes.
//
//   --era dual|legacy|modern      which handshakes it answers (dual)
//   --initialize refuse|silent    what it does with `initialize` and `server/discover` instead
//   --crash                       ends as soon as it has started
//   --starts FILE                 appends a line to FILE for every start
//
// Any other argument is a marker that tests find its process by. The faults are the tools below, by name.
import { spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

type Request = {
  readonly id?: number | string
  readonly method?: string
  readonly params?: { readonly name?: string; readonly arguments?: Readonly<Record<string, unknown>> } & Record<
    string,
    unknown
  >
}
type Tool = (request: Request & { readonly id: number | string }) => Promise<void> | void

const { values: options } = parseArgs({
  allowPositionals: true,
  options: {
    era: { type: 'string', default: 'dual' },
    initialize: { type: 'string', default: 'answer' },
    crash: { type: 'boolean', default: false },
    starts: { type: 'string' },
  },
})

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId'
const capabilities = { tools: { listChanged: true } }
const subscriptions = new Set<number | string>()
let generation = 0

if (options.starts !== undefined) appendFileSync(options.starts, `${process.pid}\n`)
if (options.crash) process.exit(3)

const tools: Readonly<Record<string, Tool>> = {
  echo: ({ id, params }) => answer(id, String(params?.arguments?.['text'] ?? '')),
  slow: async ({ id, params }) => {
    await sleep(Number(params?.arguments?.['ms']))
    answer(id, String(params?.arguments?.['text']))
  },
  arguments: ({ id }) => answer(id, process.argv.slice(2).join(' ')),
  exit: () => process.exit(7),
  kill: () => void process.kill(process.pid, 'SIGKILL'),
  silent: () => undefined,
  twice: ({ id }) => {
    answer(id, 'first')
    answer(id, 'second')
  },
  'unknown-id': ({ id }) => {
    answer(987_654_321, 'for nobody')
    answer('nobody', 'for nobody either')
    answer(id, 'right')
  },
  garbage: ({ id }) => {
    for (let line = 0; line < 500; line += 1) writeLine(GARBAGE[line % GARBAGE.length] as string)
    answer(id, 'right')
  },
  'half-line': async ({ id }) => {
    const line = `${response(id, 'right')}\n`
    write(line.slice(0, 20))
    await sleep(300)
    write(line.slice(20))
  },
  'half-line-exit': ({ id }) => {
    write(response(id, 'never complete').slice(0, 20))
    process.exit(7)
  },
  // Blanks after the message bring the line to the length that was asked for, whatever the id is.
  'long-line': ({ id, params }) => {
    const { text, bytes } = params?.arguments as { readonly text: number; readonly bytes: number }
    writeLine(response(id, 'x'.repeat(text)).padEnd(bytes))
  },
  'stderr-flood': async ({ id, params }) => {
    const { ms, bytesPerMs } = params?.arguments as { readonly ms: number; readonly bytesPerMs: number }
    const from = Date.now()
    let written = 0
    for (let elapsed = 0; elapsed < ms; elapsed = Date.now() - from) {
      // Pipes are written synchronously on POSIX: never faster than the gateway reads.
      for (; written < elapsed * bytesPerMs; written += NOISE.length) process.stderr.write(NOISE)
      await sleep(1)
    }
    answer(id, String(written))
  },
  'change-tools': async ({ id, params }) => {
    answer(id, 'changing')
    for (let change = 0; change < Number(params?.arguments?.['times']); change += 1) {
      generation += 1
      announceTools()
      await sleep(2)
    }
  },
  // It holds on to its parent's stdout, as the real server behind `npx` does, and ignores that its stdin was closed.
  grandchild: ({ id }) => {
    const code = 'setInterval(() => undefined, 1000)'
    const child = spawn(process.execPath, ['-e', code, ...process.argv.slice(2)], { stdio: 'inherit' })
    answer(id, String(child.pid))
  },
}

const GARBAGE = [
  'Server started on stdio!',
  '{"half":',
  '[]',
  '42',
  '"text"',
  'null',
  '{"a":1}',
  '\u0000\u001b[31m\ufffd',
]
const NOISE = Buffer.alloc(1024 * 1024, `${'e'.repeat(127)}\n`)

const methods: Readonly<Record<string, Tool>> = {
  initialize: ({ id, params }) => {
    if (options.initialize === 'silent') return
    if (options.initialize === 'refuse') return refuse(id, -32_000, 'not today')
    if (options.era === 'modern') return refuse(id, -32_601, 'Method not found')
    const protocolVersion = params?.['protocolVersion']
    respond(id, { protocolVersion, capabilities, serverInfo: { name: 'fault-server', version: '1.0.0' } })
  },
  'server/discover': ({ id }) => {
    if (options.initialize === 'silent') return
    if (options.era === 'legacy' || options.initialize === 'refuse') return refuse(id, -32_601, 'Method not found')
    respond(id, { supportedVersions: ['2026-07-28'], capabilities, ttlMs: 0, cacheScope: 'private' })
  },
  'tools/list': ({ id }) => respond(id, { tools: listTools(), ttlMs: 0, cacheScope: 'private' }),
  'tools/call': (request) => {
    const tool = tools[request.params?.name ?? '']
    return tool === undefined ? refuse(request.id, -32_602, 'unknown tool') : tool(request)
  },
  'subscriptions/listen': ({ id }) => {
    subscriptions.add(id)
    notify('notifications/subscriptions/acknowledged', { notifications: { toolsListChanged: true } }, id)
  },
  ping: ({ id }) => respond(id, {}),
}

/** The two generated tools are always of one generation: a list that mixes two was not answered by this server. */
function listTools(): object[] {
  const names = [...Object.keys(tools), `generation-${generation}-a`, `generation-${generation}-b`]
  return names.map((name) => ({ name, inputSchema: { type: 'object' } }))
}

function announceTools(): void {
  // Without a subscription there is a legacy client, who needs none.
  if (subscriptions.size === 0) notify('notifications/tools/list_changed', {})
  for (const id of subscriptions) notify('notifications/tools/list_changed', {}, id)
}

function notify(method: string, params: object, subscription?: number | string): void {
  const meta = subscription === undefined ? {} : { _meta: { [SUBSCRIPTION]: subscription } }
  writeLine(JSON.stringify({ jsonrpc: '2.0', method, params: { ...params, ...meta } }))
}

function answer(id: number | string, text: string): void {
  writeLine(response(id, text))
}

function response(id: number | string, text: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', content: [{ type: 'text', text }] } })
}

function respond(id: number | string, result: object): void {
  writeLine(JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...result } }))
}

function refuse(id: number | string, code: number, message: string): void {
  writeLine(JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } }))
}

function writeLine(line: string): void {
  write(`${line}\n`)
}

function write(text: string): void {
  process.stdout.write(text)
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const message = JSON.parse(line) as Request
    const { id, method = '' } = message
    if (id === undefined || message.method === undefined) return
    const handle = methods[method]
    if (handle === undefined) refuse(id, -32_601, 'Method not found')
    else void handle({ ...message, id })
  })
  .on('close', () => process.exit(0))
