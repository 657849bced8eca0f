/**
 * Children that leave nothing behind. Each runs in a process group of its own, because `npx`, `uvx` and shells start the
 * real server as a grandchild that survives a signal to the child alone (MCP TypeScript SDK #2023).
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

export type ChildOptions = {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string | undefined
  /** The child's whole environment. Nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
}

export type PipedChild = ChildProcessByStdio<Writable, Readable, Readable>

const live = new Set<number>()

export function spawnGroup({ command, args, cwd, env }: ChildOptions): PipedChild {
  const child = spawn(command, args, {
    ...(cwd !== undefined && { cwd }),
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
    windowsHide: true,
    // npx and other .cmd shims are not executables on Windows.
    shell: process.platform === 'win32',
  })
  if (child.pid !== undefined) live.add(child.pid)
  return child
}

/**
 * Ends a child the polite way first (MCP, basic/lifecycle, shutdown): close its stdin, then SIGTERM, then SIGKILL, the signals
 * to the whole group. Resolves when the group is gone. `graceMs` is the time each step is given.
 */
export async function endGroup(child: PipedChild, graceMs: number): Promise<void> {
  const { pid } = child
  if (pid === undefined) return
  child.stdin.destroy()
  if (!(await exits(child, graceMs))) {
    signalGroup(pid, 'SIGTERM')
    await exits(child, graceMs)
  }
  // The leader may be gone while a grandchild ignores its closed stdin: the group gets the last word either way.
  signalGroup(pid, 'SIGKILL')
  await exits(child, graceMs)
  live.delete(pid)
}

/** After a child died by itself: whatever it had started goes too. */
export function sweepGroup(pid: number): void {
  signalGroup(pid, 'SIGKILL')
  live.delete(pid)
}

/** For `process.on('exit')`: the last, synchronous chance to leave no process behind. */
export function killAllGroups(): void {
  for (const pid of live) signalGroup(pid, 'SIGKILL')
  live.clear()
}

/**
 * What every child may know of the gateway's environment: where programs and the home directory are, nothing else
 * (the list of MCP's own SDKs). Secrets reach a child only when its configuration names them.
 */
export function baseEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const names =
    process.platform === 'win32'
      ? ['APPDATA', 'COMSPEC', 'HOMEDRIVE', 'HOMEPATH', 'LOCALAPPDATA', 'PATH', 'PATHEXT', 'PROGRAMFILES', 'SYSTEMDRIVE', 'SYSTEMROOT', 'TEMP', 'USERNAME', 'USERPROFILE'] // prettier-ignore
      : ['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'TMPDIR', 'USER']
  const kept: Record<string, string> = {}
  for (const name of names) {
    const value = env[name]
    if (value !== undefined) kept[name] = value
  }
  return kept
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    if (process.platform === 'win32') spawn('taskkill', ['/pid', String(pid), '/T', '/F'], { stdio: 'ignore' })
    else process.kill(-pid, signal)
  } catch {
    // ESRCH: the group has ended.
  }
}

function exits(child: PipedChild, withinMs: number): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(true)
  return new Promise((resolve) => {
    const onExit = (): void => {
      clearTimeout(timer)
      resolve(true)
    }
    const timer = setTimeout(() => {
      child.off('exit', onExit)
      resolve(false)
    }, withinMs)
    child.once('exit', onExit)
  })
}
