// A fault server as people install theirs: a package in a folder, started through `npx`, which starts a shell, which
// starts the program, which starts a helper of its own that nobody told about the end.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NAME = 'faults-by-npx'
const program = new URL('fault-server.ts', import.meta.url)

/** The server's configuration; its files are in `folder`. Nothing is fetched: the package is there already. */
export function npxServer(id: string, folder: string, marker: string): object {
  const home = join(folder, 'node_modules', NAME)
  const bin = join(folder, 'node_modules', '.bin')
  mkdirSync(home, { recursive: true })
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"name":"root","private":true}')
  writeFileSync(
    join(home, 'package.json'),
    JSON.stringify({ name: NAME, version: '1.0.0', type: 'module', bin: 'main.js' }),
  )
  writeFileSync(join(home, 'main.js'), MAIN)
  chmodSync(join(home, 'main.js'), 0o755)
  symlinkSync(join('..', NAME, 'main.js'), join(bin, NAME))
  const env = { HOME: folder, FAULT_SERVER: fileURLToPath(program), npm_config_update_notifier: 'false' }
  return { id, command: 'npx', args: ['--no-install', NAME, marker], cwd: folder, env }
}

const MAIN = `#!/usr/bin/env node
import { spawn } from 'node:child_process'
spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)', ...process.argv.slice(2)], { stdio: 'inherit' })
await import(process.env.FAULT_SERVER)
`
