// A gateway under test: started, asked, measured and stopped. Its log is kept as objects, to be searched.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import type { HostReply, HostRequest } from './gateway-host.ts'

export type LogLine = Readonly<Record<string, unknown>>

export type GatewayProcess = AsyncDisposable & {
  readonly port: number
  readonly pid: number
  /** How long reading the configuration and `startGateway` took, inside of its process. */
  readonly startMs: number
  /** Every line of the log so far; what was no JSON is `{ raw }`. */
  readonly log: readonly LogLine[]
  reload(config: object): Promise<void>
  /** Bytes that stay resident after a garbage collection. */
  settledBytes(): Promise<number>
  /** Closes the gateway the polite way and waits for its process. */
  close(): Promise<void>
}

type Ask = HostRequest extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never

export const KEY = 'gw_test_0123456789abcdef0123456789abcdef'

const HOST = fileURLToPath(new URL('gateway-host.ts', import.meta.url))
const CLOSE_TIMEOUT_MS = 30_000
const LOG_WAIT_MS = 1500
export const AUTH: object = {
  type: 'api-key',
  keys: [{ id: 'test', key: KEY, name: 'test', consumerId: 'tester', roles: ['admin'] }],
}

export async function startGatewayProcess(config: object): Promise<GatewayProcess> {
  const child = fork(HOST, [], {
    // A debugger's or vitest's own flags are not for this process.
    execArgv: ['--conditions=@mcp-gateway/source', '--expose-gc'],
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  })
  const log: LogLine[] = []
  if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', (line) => log.push(parseLine(line)))

  const waiting = new Map<number, (reply: HostReply) => void>()
  let nextId = 1
  const answer = (reply: HostReply): void => {
    waiting.get(reply.id)?.(reply)
    waiting.delete(reply.id)
  }
  child.on('message', (reply) => answer(reply as HostReply))
  const ended = once(child, 'exit').then(() => {
    for (const id of waiting.keys()) answer({ id, error: `the gateway's process ended: ${JSON.stringify(log.at(-1))}` })
  })

  const ask = async (request: Ask): Promise<HostReply> => {
    const id = nextId
    nextId += 1
    const reply = await new Promise<HostReply>((resolve) => {
      waiting.set(id, resolve)
      if (child.connected) child.send({ id, ...request })
      else answer({ id, error: 'the gateway has no process' })
    })
    if (reply.error !== undefined) throw new Error(`${request.do}: ${reply.error}`)
    return reply
  }

  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_TIMEOUT_MS)
    await ask({ do: 'close' }).finally(() => {
      if (child.connected) child.disconnect()
    })
    await ended
    clearTimeout(timer)
  }

  try {
    const started = await ask({ do: 'start', config: textOf(config) })
    return {
      port: started.value ?? 0,
      pid: child.pid ?? 0,
      startMs: started.startMs ?? 0,
      log,
      reload: async (next) => void (await ask({ do: 'reload', config: textOf(next) })),
      settledBytes: async () => (await ask({ do: 'settle' })).value ?? 0,
      close: () => (closing ??= close()),
      [Symbol.asyncDispose]: () => (closing ??= close()),
    }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

/** The most that was ever resident since `resetPeak`. Linux only; undefined elsewhere. */
export function peakBytes(pid: number): number | undefined {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readProc(pid, 'status')) ?? []
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
}

/** proc(5), clear_refs: 5 sets the peak back to what is resident now. */
export function resetPeak(pid: number): void {
  if (process.platform === 'linux') writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** What the log says of a server, from its line `from` on. Polls: a line may arrive after the answer it belongs to. */
export async function findLogLine(
  { log }: GatewayProcess,
  server: string,
  says: RegExp,
  from = 0,
): Promise<LogLine | undefined> {
  const isIt = (line: LogLine): boolean => line['server'] === server && says.test(JSON.stringify(line))
  for (const until = Date.now() + LOG_WAIT_MS; ; await sleep(20)) {
    const found = log.slice(from).find(isIt)
    if (found !== undefined || Date.now() > until) return found
  }
}

/** JSON is YAML. The keys come first so that a test may bring its own. */
function textOf(config: object): string {
  return JSON.stringify({ port: 0, auth: AUTH, log: { level: 'debug' }, ...config })
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return { raw: line }
  }
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
