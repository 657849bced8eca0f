// Child processes that leave nothing behind: each is the leader of its own group, and stopping it stops the group
// (typescript-sdk#2023: killing only the direct child leaves `npx` and `uvx` orphans).
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export type Command = { command: string; args: string[]; env?: Record<string, string>; cwd?: string }

export type Running = AsyncDisposable & {
  pid: number
  exited: Promise<number>
  hasEnded(): boolean
  /** Everything that the process wrote so far, stdout and stderr together. */
  output(): string
  /** Resolves with the first match in the output; rejects when the process ends or the time is up. */
  matches(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray>
  stop(): Promise<void>
}

export type Finished = { exitCode: number; stdout: string; stderr: string; timedOut: boolean }

const pollMs = 25
// As long as an orchestrator waits before it kills, with some air: docker stop waits 10 s.
const stopGraceMs = 15_000
const groups = new Set<number>()

// Whatever way this process ends, its children end with it.
process.on('exit', () => {
  for (const pid of groups) signalGroup(pid, 'SIGKILL')
})

/** Starts a process and keeps it running until `stop`. */
export function start({ command, args, env, cwd }: Command): Running {
  const { child, pid, exited } = spawnGroup({ command, args, ...(env && { env }), ...(cwd && { cwd }) }, 'ignore')
  let output = ''
  let ended = false
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  void exited.then(() => (ended = true))

  const stop = async (): Promise<void> => {
    await stopGroup(pid)
    await exited
  }
  return {
    pid,
    exited,
    stop,
    hasEnded: () => ended,
    output: () => output,
    async matches(pattern, timeoutMs) {
      const deadline = Date.now() + timeoutMs
      for (;;) {
        const found = pattern.exec(output)
        if (found !== null) return found
        if (ended || Date.now() > deadline) {
          const reason = ended ? 'it ended' : `${timeoutMs} ms passed`
          throw new Error(`${command} ${args.join(' ')} did not print ${pattern} before ${reason}:\n${output}`)
        }
        await sleep(pollMs)
      }
    },
    [Symbol.asyncDispose]: stop,
  }
}

/** Runs a process to its end; at the timeout its group is killed and the exit code is -1. */
export async function run(command: Command, timeoutMs: number, stdin?: string): Promise<Finished> {
  const { child, pid, exited } = spawnGroup(command, stdin === undefined ? 'ignore' : 'pipe')
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  child.stdin?.end(stdin)

  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    signalGroup(pid, 'SIGKILL')
  }, timeoutMs)
  const exitCode = await exited
  clearTimeout(timer)
  await stopGroup(pid)
  return { exitCode: timedOut ? -1 : exitCode, stdout, stderr, timedOut }
}

/** Command lines of the processes that carry `marker` among their arguments. Linux only; empty elsewhere. */
export function processesWith(marker: string): { pid: number; commandLine: string }[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid)
    .map((pid) => ({ pid, commandLine: commandLineOf(pid) }))
    .filter(({ commandLine }) => commandLine.includes(marker))
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return '' // It ended between readdir and here.
  }
}

function spawnGroup({ command, args, env, cwd }: Command, stdin: 'ignore' | 'pipe') {
  const child = spawn(command, args, {
    detached: true,
    stdio: [stdin, 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd && { cwd }),
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${command} could not be started`)
  groups.add(pid)
  // 'close' and not 'exit': all output has arrived then.
  const exited = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)))
  return { child, pid, exited }
}

async function stopGroup(pid: number): Promise<void> {
  const deadline = Date.now() + stopGraceMs
  signalGroup(pid, 'SIGTERM')
  while (isAlive(pid) && Date.now() < deadline) await sleep(pollMs)
  signalGroup(pid, 'SIGKILL')
  groups.delete(pid)
}

function isAlive(group: number): boolean {
  return signalGroup(group, 0)
}

/** Whether the group still existed. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal)
    return true
  } catch {
    return false
  }
}
