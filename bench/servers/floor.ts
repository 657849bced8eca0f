// The floor of this job: the least that "HTTP in, stdio child behind" can cost. No authentication, no checks,
// no pool: take the call, give it an id of our own, pass it to one child, pass the answer back.
// Lines of one event-loop turn leave in one write; a write per line costs a system call each.
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { join } from 'node:path'

type Message = { id: number; method: string; params: unknown; result?: unknown; error?: unknown }

const waiting = new Map<number, (answer: Message) => void>()
const child = spawn(process.execPath, [join(import.meta.dirname, 'echo-stdio.ts')], {
  stdio: ['pipe', 'pipe', 'inherit'],
})

let rest = ''
child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
  const lines = (rest + chunk).split('\n')
  rest = lines.pop() ?? ''
  for (const line of lines) {
    const answer = JSON.parse(line) as Message
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  }
})

let outgoing: string[] = []
function send(line: string): void {
  if (outgoing.push(line) > 1) return
  setImmediate(() => {
    child.stdin.write(outgoing.join(''))
    outgoing = []
  })
}

let nextId = 1
createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Message
    const own = nextId++
    waiting.set(own, ({ result, error }) => {
      const body = JSON.stringify({ jsonrpc: '2.0', id, result, error })
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
      response.end(body)
    })
    send(`${JSON.stringify({ jsonrpc: '2.0', id: own, method, params })}\n`)
  })
}).listen(Number(process.env['PORT']), '127.0.0.1')
