/** Runs the real command from its sources, as a child process in a folder of its own. */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

export const everything: string = fileURLToPath(
  import.meta.resolve('@modelcontextprotocol/server-everything/package.json'),
).replace(/package\.json$/, 'dist/index.js')

export type Result = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

export type Folder = Disposable & {
  readonly path: string
  readonly home: string
  /** Runs `mcp-gateway` to its end. */
  readonly run: (args: readonly string[], options?: RunOptions) => Promise<Result>
  /** Starts `mcp-gateway` and leaves it running. */
  readonly start: (args: readonly string[], options?: RunOptions) => ChildProcessWithoutNullStreams
  readonly write: (file: string, content: string | object) => string
  readonly read: (file: string) => string
}

export type RunOptions = { readonly env?: Readonly<Record<string, string>>; readonly input?: string }

export function folder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'mcp-gateway-cli-'))
  const home = join(path, 'home')
  mkdirSync(home)
  const started: ChildProcessWithoutNullStreams[] = []
  const start: Folder['start'] = (args, { env = {} } = {}) => {
    const child = spawn(process.execPath, ['--conditions=@mcp-gateway/source', main, ...args], {
      cwd: path,
      // Nothing of the developer's own: no key, no configuration, no clients.
      env: { PATH: `${dirname(process.execPath)}:${process.env['PATH']}`, HOME: home, ...env },
    })
    started.push(child)
    return child
  }
  return {
    path,
    home,
    start,
    async run(args, options = {}) {
      const child = start(args, options)
      child.stdin.end(options.input ?? '')
      let stdout = ''
      let stderr = ''
      child.stdout.on('data', (chunk) => (stdout += String(chunk)))
      child.stderr.on('data', (chunk) => (stderr += String(chunk)))
      const [code] = (await once(child, 'close')) as [number | null]
      return { code, stdout, stderr }
    },
    write(file, content) {
      const target = join(path, file)
      mkdirSync(dirname(target), { recursive: true })
      writeFileSync(target, typeof content === 'string' ? content : JSON.stringify(content, null, 2))
      return target
    },
    read: (file) => readFileSync(join(path, file), 'utf8'),
    [Symbol.dispose]() {
      // After a failed test, too: SIGTERM lets the gateway end its servers.
      for (const child of started) child.kill('SIGTERM')
      rmSync(path, { recursive: true, force: true })
    },
  }
}

/** Reads stdout until the text appears. Fails when the process ends before. */
export async function outputWith(child: ChildProcessWithoutNullStreams, text: string): Promise<string> {
  let output = ''
  let errors = ''
  child.stderr.on('data', (chunk) => (errors += String(chunk)))
  for await (const chunk of child.stdout) {
    output += String(chunk)
    if (output.includes(text)) return output
  }
  throw new Error(`ended before "${text}":\n${output}\n${errors}`)
}

/** A zombie that init has not collected yet is not alive. */
export function isAlive(pid: number | undefined): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return stdout.trim() !== '' && !stdout.startsWith('Z')
}
