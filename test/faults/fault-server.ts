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

type Id = number | string
/** What a tool may be told. All of them are given by the test that calls it. */
type Arguments = { text: string; ms: number; bytes: number; bytesPerMs: number; times: number }
type Request = {
  readonly id?: Id
  readonly method?: string
  readonly params?: { readonly name?: string; readonly protocolVersion?: string; readonly arguments?: Arguments }
}
type Tool = (id: Id, given: Arguments) => Promise<void> | void
type Method = (id: Id, params: NonNullable<Request['params']>) => Promise<void> | void

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
const subscriptions = new Set<Id>()
let generation = 0

if (options.starts !== undefined) appendFileSync(options.starts, `${process.pid}\n`)
if (options.crash) process.exit(3)

const tools: Readonly<Record<string, Tool>> = {
  echo: (id, { text }) => answer(id, text),
  slow: async (id, { text, ms }) => {
    await sleep(ms)
    answer(id, text)
  },
  arguments: (id) => answer(id, process.argv.slice(2).join(' ')),
  exit: () => process.exit(7),
  kill: () => void process.kill(process.pid, 'SIGKILL'),
  silent: () => undefined,
  twice: (id) => {
    answer(id, 'first')
    answer(id, 'second')
  },
  'unknown-id': (id) => {
    answer(987_654_321, 'for nobody')
    answer('nobody', 'for nobody either')
    answer(id, 'right')
  },
  garbage: (id) => {
    for (let line = 0; line < 500; line += 1) writeLine(GARBAGE[line % GARBAGE.length] as string)
    answer(id, 'right')
  },
  'half-line': async (id) => {
    const line = `${response(id, 'right')}\n`
    write(line.slice(0, 20))
    await sleep(300)
    write(line.slice(20))
  },
  'half-line-exit': (id) => {
    write(response(id, 'never complete').slice(0, 20))
    process.exit(7)
  },
  // Blanks after the message bring the line to the length that was asked for, whatever the id is.
  'long-line': (id, { text, bytes }) => writeLine(response(id, text.repeat(bytes - 1024)).padEnd(bytes)),
  'stderr-flood': async (id, given) => answer(id, String(await flood(process.stderr, NOISE, given))),
  'garbage-flood': async (id, given) => answer(id, String(await flood(process.stdout, NOISE, given))),
  'change-tools': async (id, { times }) => {
    answer(id, 'changing')
    for (let change = 0; change < times; change += 1) {
      generation += 1
      announceTools()
      await sleep(2)
    }
  },
  // It holds on to its parent's stdout, as the real server behind `npx` does, and ignores that its stdin was closed.
  grandchild: (id) => {
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
const NOISE = Buffer.alloc(64 * 1024, `${'e'.repeat(127)}\n`)

/** Pipes are written synchronously on POSIX: this is never faster than the gateway reads. */
async function flood(stream: NodeJS.WriteStream, noise: Buffer, { ms, bytesPerMs }: Arguments): Promise<number> {
  const from = Date.now()
  let written = 0
  for (let elapsed = 0; elapsed < ms; elapsed = Date.now() - from) {
    for (; written < elapsed * bytesPerMs; written += noise.length) stream.write(noise)
    await sleep(1)
  }
  return written
}

const methods: Readonly<Record<string, Method>> = {
  initialize: (id, { protocolVersion }) => {
    if (options.initialize === 'silent') return
    if (options.initialize === 'refuse') return refuse(id, -32_000, 'not today')
    if (options.era === 'modern') return refuse(id, -32_601, 'Method not found')
    respond(id, { protocolVersion, capabilities, serverInfo: { name: 'fault-server', version: '1.0.0' } })
  },
  'server/discover': (id) => {
    if (options.initialize === 'silent') return
    if (options.era === 'legacy' || options.initialize === 'refuse') return refuse(id, -32_601, 'Method not found')
    respond(id, { supportedVersions: ['2026-07-28'], capabilities, ttlMs: 0, cacheScope: 'private' })
  },
  'tools/list': (id) => respond(id, { tools: listTools(), ttlMs: 0, cacheScope: 'private' }),
  'tools/call': (id, params) => {
    const tool = tools[params.name ?? '']
    return tool === undefined ? refuse(id, -32_602, 'unknown tool') : tool(id, (params.arguments ?? {}) as Arguments)
  },
  'subscriptions/listen': (id) => {
    subscriptions.add(id)
    notify('notifications/subscriptions/acknowledged', { notifications: { toolsListChanged: true } }, id)
  },
  ping: (id) => respond(id, {}),
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

function notify(method: string, params: object, subscription?: Id): void {
  const meta = subscription === undefined ? {} : { _meta: { [SUBSCRIPTION]: subscription } }
  writeLine(JSON.stringify({ jsonrpc: '2.0', method, params: { ...params, ...meta } }))
}

function answer(id: Id, text: string): void {
  writeLine(response(id, text))
}

function response(id: Id, text: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', content: [{ type: 'text', text }] } })
}

function respond(id: Id, result: object): void {
  writeLine(JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...result } }))
}

function refuse(id: Id, code: number, message: string): void {
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
    const { id, method, params = {} } = JSON.parse(line) as Request
    if (id === undefined || method === undefined) return
    const handle = methods[method]
    if (handle === undefined) refuse(id, -32_601, 'Method not found')
    else void handle(id, params)
  })
  .on('close', () => process.exit(0))
