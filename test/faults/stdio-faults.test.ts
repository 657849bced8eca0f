// Servers in a pipe that misbehave, one row each, in front of the real gateway and with a healthy server beside them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { parseConfig } from '@mcp-gateway/gateway'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { processesWith } from '../support/processes.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { type Fault, runFault, startFaultBench } from './fault-table.ts'
import { findLogLine, type GatewayProcess } from './gateway-process.ts'
import { closeConnections, modernRequest, openSession, replyOf } from './mcp-client.ts'
import { problemsOf } from './neighbour.ts'

const MB = 1024 * 1024
/** What a line may have unless the operator says otherwise. */
const LINE_LIMIT = parseConfig('servers: []', { env: {} }).limits.maxLineBytes
const TOO_LONG = Math.max(64 * MB, LINE_LIMIT + MB)
/** A burst is the work of a few windows; the neighbour's usual p99 is that of many. */
const BURST_MS = 3000
/** For the servers that stay silent: with the default of a minute, their tests would take one. */
const TIMEOUT_MS = 1500
const impatient = { timeout: TIMEOUT_MS }

const CLOSED = { codes: ['WIRE_UPSTREAM_CLOSED'] }
const TIMED_OUT = { codes: ['WIRE_UPSTREAM_TIMEOUT'] }
const NOT_STARTED = { codes: ['WIRE_UPSTREAM_START_FAILED'] }

// The longest line exists once more than without the audit log, which writes the result again to measure and cut it.
const faults: readonly Fault[] = [
  { title: 'exits in the middle of a call', server: 'exits', tool: 'exit', gives: CLOSED, withinMs: 1000, says: /exit code 7/ },
  { title: 'is killed in the middle of a call', server: 'killed', tool: 'kill', gives: CLOSED, withinMs: 1000, says: /SIGKILL/ },
  { title: 'never answers', server: 'silent', tool: 'silent', gives: TIMED_OUT, says: /TIMEOUT/ },
  { title: 'answers twice', server: 'twice', tool: 'twice', gives: { text: 'first' }, says: /nobody|unknown|no request|unrelated|unexpected/i },
  { title: 'answers an unknown id', server: 'unknown', tool: 'unknown-id', gives: { text: 'right' }, says: /nobody|unknown id|no request|unrelated|unexpected/i },
  { title: 'prints garbage', server: 'garbage', tool: 'garbage', gives: { text: 'right' }, says: /not JSON-RPC/ },
  { title: 'floods stdout with garbage', server: 'gushes', tool: 'garbage-flood', args: { ms: 1000, bytesPerMs: 10_000 }, gives: { text: /^\d{7,}$/ }, says: /not JSON-RPC/ },
  { title: 'writes half a line and the rest later', server: 'half', tool: 'half-line', gives: { text: 'right' } },
  { title: 'exits after half a line', server: 'cut', tool: 'half-line-exit', gives: CLOSED, withinMs: 1000, says: /exit code 7/ },
  { title: 'writes the longest line that is allowed', server: 'long', tool: 'long-line', args: { text: 'x', bytes: LINE_LIMIT }, gives: { text: 'x'.repeat(LINE_LIMIT - 1024) }, watchMs: BURST_MS, maxPeakBytes: 11 * LINE_LIMIT },
  { title: 'writes a line of 64 MiB, over the limit', server: 'longer', tool: 'long-line', args: { text: '', bytes: TOO_LONG }, gives: { codes: ['WIRE_UPSTREAM_TIMEOUT', 'WIRE_UPSTREAM_PROTOCOL'] }, says: /exceeds/, watchMs: BURST_MS, maxPeakBytes: 4 * TOO_LONG },
  { title: 'floods stderr with 100 MB/s', server: 'noisy', tool: 'stderr-flood', args: { ms: 1000, bytesPerMs: 100_000 }, gives: { text: /^\d{8,}$/ }, says: /eeee/ },
  { title: 'refuses initialize', server: 'refuses', tool: 'echo', gives: NOT_STARTED, says: /not today/, next: 'fails' },
  { title: 'never answers initialize', server: 'mute', tool: 'echo', gives: NOT_STARTED, says: /failed to start|no answer/, next: 'fails' },
  { title: 'cannot be found', server: 'absent', tool: 'echo', gives: NOT_STARTED, says: /ENOENT/, next: 'fails' },
] // prettier-ignore

const scratch = scratchDirectory()
const startsFile = join(scratch.path, 'starts')
const marker = `faults-${process.pid}-${Date.now()}`
const program = fileURLToPath(new URL('fault-server.ts', import.meta.url))
const server = (id: string, ...args: string[]): object => ({
  id,
  command: process.execPath,
  args: [program, ...args, marker],
})

let bench: Awaited<ReturnType<typeof startFaultBench>>
let gateway: GatewayProcess

beforeAll(async () => {
  const special = ['silent', 'longer', 'refuses', 'mute', 'absent']
  const plain = faults.map(({ server }) => server).filter((id) => !special.includes(id))
  bench = await startFaultBench([
    ...plain.map((id) => server(id)),
    { ...server('silent'), ...impatient },
    { ...server('longer'), ...impatient },
    server('refuses', '--initialize', 'refuse'),
    { ...server('mute', '--initialize', 'silent'), timeout: 400 },
    { id: 'absent', command: join(scratch.path, 'no-such-program') },
    server('loops', '--crash', '--starts', startsFile),
    server('changes'),
    server('parent'),
    { ...server('legacy', '--era', 'legacy'), ...impatient },
  ])
  gateway = bench.gateway
})

afterAll(async () => {
  await bench[Symbol.asyncDispose]()
  closeConnections()
  scratch[Symbol.dispose]()
  expect(processesWith(marker)).toEqual([])
})

describe('a server in a pipe that', () => {
  it.each(faults)('$title harms nobody else', async (fault) => {
    await runFault(fault, bench)
  })

  it('exits at once is not started in a tight loop', async () => {
    const call = () => modernRequest(gateway.port, '/mcp/server/loops', 'tools/call', { name: 'echo' })
    await bench.neighbour.take()
    const codes = new Set<string | undefined>()
    for (const until = Date.now() + 1500; Date.now() < until; await sleep(10)) {
      codes.add((await call()).reply.error?.data?.code)
    }
    for (const code of codes) expect(code).toMatch(/^WIRE_UPSTREAM_/)
    // Each attempt may take a second start without the probe. Doubling from 250 ms leaves room for three attempts.
    expect(readFileSync(startsFile, 'utf8').trim().split('\n').length).toBeLessThanOrEqual(10)
    expect(await findLogLine(gateway, 'loops', /exit code 3/)).toBeDefined()
    expect(problemsOf(await bench.neighbour.take())).toEqual([])
  })

  it('changes its tools under load shows one generation at a time, and the last one in the end', async () => {
    const list = async (): Promise<string[]> => {
      const { reply } = await modernRequest(gateway.port, '/mcp/server/changes', 'tools/list')
      const tools = (reply.result?.['tools'] ?? []) as { readonly name: string }[]
      return tools.map(({ name }) => name).filter((name) => name.startsWith('generation-'))
    }
    const times = 300
    await modernRequest(gateway.port, '/mcp/server/changes', 'tools/call', {
      name: 'change-tools',
      arguments: { times },
    })
    const last = [`generation-${times}-a`, `generation-${times}-b`]
    const seen = new Set<string>()
    const watch = async (): Promise<void> => {
      for (const until = Date.now() + 20_000; Date.now() < until && !seen.has(last.join());) {
        const [a = '', b = '', ...more] = await list()
        expect([b, ...more]).toEqual([a.replace(/a$/, 'b')])
        seen.add([a, b].join())
      }
    }
    const work = async (): Promise<void> => {
      for (let call = 0; call < 50; call += 1) {
        const text = `call ${call}`
        const { reply } = await modernRequest(gateway.port, '/mcp/server/changes', 'tools/call', { name: 'echo', arguments: { text } }) // prettier-ignore
        expect(reply.result).toMatchObject({ content: [{ text }] })
      }
    }
    await Promise.all([watch(), watch(), work(), work(), work(), work()])
    expect(seen.size).toBeGreaterThan(2)
    expect(await list()).toEqual(last)
  })

  it('was killed leaves no grandchild', async () => {
    const call = (name: string) => modernRequest(gateway.port, '/mcp/server/parent', 'tools/call', { name })
    const { reply } = await call('grandchild')
    const { content } = reply.result as { readonly content: readonly { readonly text: string }[] }
    const isAlive = (): boolean => processesWith(marker).some((found) => found.pid === Number(content[0]?.text))
    expect(isAlive()).toBe(true)
    await call('kill')
    await expect.poll(isAlive, { timeout: 5000 }).toBe(false)
  })
})

describe('a legacy session with a server that', () => {
  it.each([
    ['exits in the middle of a call', 'exit', 'WIRE_UPSTREAM_CLOSED'],
    ['is killed in the middle of a call', 'kill', 'WIRE_UPSTREAM_CLOSED'],
    ['never answers', 'silent', 'WIRE_UPSTREAM_TIMEOUT'],
  ])('%s is told so, and goes on', async (_title, tool, code) => {
    const path = '/mcp/server/legacy'
    let session = await openSession(gateway.port, path)
    expect(replyOf(session.opened).result).toHaveProperty('protocolVersion')
    const { reply } = await session.call(tool)
    expect(reply.error?.data?.code).toBe(code)
    let next = await session.call('echo', { text: 'well' })
    // 404 is how 2025-11-25 says that the session went with its server: the client opens another.
    if (next.status === 404) {
      session = await openSession(gateway.port, path)
      next = await session.call('echo', { text: 'well' })
    }
    expect(next.reply.result).toMatchObject({ content: [{ text: 'well' }] })
    await session.end()
  })
})
