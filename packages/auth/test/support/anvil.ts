/** A chain of the test's own: anvil, from the npm package `@foundry-rs/anvil`, on a port that it chooses itself. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type Anvil = AsyncDisposable & { readonly url: string }

/** Why there is none, as a text; with `anvil` in CI_REQUIRE that is a failure instead. */
export async function startAnvil(chainId: number): Promise<Anvil | string> {
  try {
    return await start(chainId)
  } catch (error) {
    const reason = `anvil does not start here: ${String(error)}`
    if ((process.env['CI_REQUIRE'] ?? '').split(/[\s,]+/).includes('anvil')) throw new Error(reason, { cause: error })
    return reason
  }
}

async function start(chainId: number): Promise<Anvil> {
  const child = spawn(binary(), ['--port', '0', '--chain-id', String(chainId)], { stdio: ['ignore', 'pipe', 'ignore'] })
  const exited = once(child, 'exit')
  try {
    const lines = createInterface({ input: child.stdout })
    const url = await Promise.race([listening(lines), exited.then(() => Promise.reject(new Error('it has ended')))])
    child.stdout.resume()
    return {
      url,
      async [Symbol.asyncDispose]() {
        child.kill('SIGKILL')
        await exited
      },
    }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

/** The binary itself: its Node wrapper would be killed without it. */
function binary(): string {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const require = createRequire(createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json'))
  const manifest = require.resolve(`@foundry-rs/anvil-${process.platform}-${architecture}/package.json`)
  return join(manifest, '..', 'bin', 'anvil')
}

async function listening(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) {
    const address = /Listening on (\S+)/.exec(line)?.[1]
    if (address !== undefined) return `http://${address}`
  }
  throw new Error('it says nothing')
}
