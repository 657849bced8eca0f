// Starts the real gateway program as a process, the way an operator does.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { freePort } from './free-port.ts'
import { type Command, type Running, start } from './processes.ts'
import { scratchDirectory } from './scratch-directory.ts'

export type GatewayConfig = { port?: number; auth: Record<string, unknown>; servers: ServerConfig[] }

export type ServerConfig = { id: string; command: string; args: string[] } | { id: string; url: string }

export type Gateway = AsyncDisposable & { origin: string; output(): string }

const root = fileURLToPath(new URL('../../', import.meta.url))
const readyTimeoutMs = 30_000
const pollMs = 50

export const cliSource: string = join(root, 'apps/cli/src/main.ts')
export const cliDist: string = join(root, 'apps/cli/dist/main.js')

/** The command line of the CLI; a `.ts` main runs the packages from their sources. */
export function cliCommand(main: string, ...args: string[]): Command {
  const conditions = main.endsWith('.ts') ? ['--conditions=@mcp-gateway/source'] : []
  return { command: process.execPath, args: [...conditions, main, ...args] }
}

/** JSON is YAML, so the configuration needs no YAML writer. */
export function writeConfig(directory: string, config: GatewayConfig): string {
  const file = join(directory, 'gateway.yaml')
  writeFileSync(file, JSON.stringify(config, null, 2))
  return file
}

export async function startGateway(main: string, config: GatewayConfig): Promise<Gateway> {
  const scratch = scratchDirectory()
  const file = writeConfig(scratch.path, config)
  const port = await freePort()
  const gateway = start({
    ...cliCommand(main, 'serve', '--config', file),
    env: { MCP_GATEWAY_PORT: String(port), HOME: scratch.path },
    cwd: scratch.path,
  })
  const dispose = async (): Promise<void> => {
    await gateway.stop()
    scratch[Symbol.dispose]()
  }
  const origin = `http://127.0.0.1:${port}`
  try {
    await isReady(`${origin}/ready`, gateway)
  } catch (error) {
    await dispose()
    throw error
  }
  return { origin, output: () => gateway.output(), [Symbol.asyncDispose]: dispose }
}

async function isReady(url: string, gateway: Running): Promise<void> {
  const deadline = Date.now() + readyTimeoutMs
  while (!gateway.hasEnded() && Date.now() < deadline) {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.status === 200) return
    await sleep(pollMs)
  }
  const reason = gateway.hasEnded() ? 'ended' : `was not ready after ${readyTimeoutMs} ms`
  throw new Error(`The gateway ${reason}:\n${gateway.output()}`)
}
