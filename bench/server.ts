// Starts what is measured, pinned to its core, and ends it with everything it started.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, readTree } from './process-tree.ts'

const SERVER_CORE = '0'
const CLIENT_CORE = '1'
const READY_MS = 30_000
const STOP_MS = 5_000

/** Two cores and taskset: without them client and server fight over time, and the rates mean less. */
export const canPin: boolean =
  spawnSync('taskset', ['-c', `${SERVER_CORE},${CLIENT_CORE}`, 'true'], { stdio: 'ignore' }).status === 0

/** Moves this process, the client, away from the servers. */
export function pinClient(): void {
  if (canPin) spawnSync('taskset', ['-a', '-p', '-c', CLIENT_CORE, String(process.pid)], { stdio: 'ignore' })
}

/** Servers run in process groups of their own, so nobody ends them for us when this process is interrupted or fails. */
const live = new Map<number, string>()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
process.once('exit', () => {
  for (const [pid, folder] of live) {
    if (isAlive(pid)) process.kill(-pid, 'SIGTERM')
    rmSync(folder, { recursive: true, force: true })
  }
})

export type Command = {
  readonly args: readonly string[]
  /** The server's own; it goes when the server goes. */
  readonly folder: string
  /** The port goes in under this name. */
  readonly portVariable: string
  /** @default false: on its own core */
  readonly onBothCores?: boolean
}

export type Server = AsyncDisposable & {
  readonly pid: number
  /** On the clock of `performance.now()`, just before the spawn. */
  readonly spawnedAt: number
  readonly port: number
  readonly url: string
  /** Throws, with what it said last, when the process is gone. */
  readonly check: () => void
}

/** Spawns it; nobody waits for it to listen, so that a cold start can be timed from here. */
export async function spawnServer({ args, folder, portVariable, onBothCores = false }: Command): Promise<Server> {
  const port = await freePort()
  const [command, ...rest] = canPin
    ? ['taskset', '-c', onBothCores ? `${SERVER_CORE},${CLIENT_CORE}` : SERVER_CORE, process.execPath, ...args]
    : [process.execPath, ...args]
  const spawnedAt = performance.now()
  const child = spawn(command, rest, {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'production', [portVariable]: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said = (said + chunk).slice(-4000)
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${command} could not be started`)
  live.set(pid, folder)
  const stop = async (): Promise<void> => {
    const { childPids } = readTree(pid)
    if (child.exitCode === null && child.signalCode === null) process.kill(-pid, 'SIGTERM')
    const left = (): number[] => [pid, ...childPids].filter(isAlive)
    for (const deadline = Date.now() + STOP_MS; left().length > 0 && Date.now() < deadline; await sleep(20));
    for (const orphan of left()) {
      console.error(`bench: process ${orphan} of ${args.join(' ')} outlived its SIGTERM and is killed`)
      process.kill(orphan, 'SIGKILL')
    }
    live.delete(pid)
    rmSync(folder, { recursive: true, force: true })
  }
  return {
    pid,
    spawnedAt,
    port,
    url: `http://127.0.0.1:${port}`,
    check: () => {
      if (child.exitCode === null && child.signalCode === null) return
      throw new Error(`${args.join(' ')} ended with ${child.exitCode ?? child.signalCode}: ${said}`)
    },
    [Symbol.asyncDispose]: stop,
  }
}

/** Waits until `probe` answers true; a refused connection counts as "not yet", anything it throws last is the reason. */
export async function waitUntilReady(server: Server, probe: () => Promise<boolean>, pauseMs: number): Promise<void> {
  let reason: unknown = 'it kept answering something else'
  for (const deadline = Date.now() + READY_MS; Date.now() < deadline; await sleep(pauseMs)) {
    server.check()
    try {
      if (await probe()) return
    } catch (error) {
      reason = error
    }
  }
  throw new Error(`not ready after ${READY_MS / 1000} s`, { cause: reason })
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
