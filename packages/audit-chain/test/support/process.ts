// A receiver as a process of its own, to be killed.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export type Process = AsyncDisposable & { start(): Promise<void>; kill(): Promise<void> }

/** `start` resolves when the port answers. */
export function processAt(port: number, command: string, args: readonly string[]): Process {
  let child: ChildProcess | undefined
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
    child = undefined
  }
  return {
    kill,
    async start() {
      child = spawn(command, args, { stdio: 'ignore' })
      for (let attempt = 0; attempt < 200; attempt += 1) {
        if (await answers(port)) return
        await sleep(25)
      }
      throw new Error(`${command} does not listen on ${port}`)
    },
    [Symbol.asyncDispose]: kill,
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  return await new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  }).finally(() => socket.destroy()) as boolean // prettier-ignore
}
