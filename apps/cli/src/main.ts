#!/usr/bin/env node
/** The `mcp-gateway` command. The only file that touches `process`' environment, arguments and streams. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { describeError } from './errors.ts'
import { asksForJson, run, type World } from './program.ts'

const main = fileURLToPath(import.meta.url)
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
const args = process.argv.slice(2)
let hasPrinted = false

const world: World = {
  env: process.env,
  cwd: process.cwd(),
  home: homedir(),
  platform: process.platform,
  version,
  self: { command: process.execPath, args: [...process.execArgv, main] },
  isInteractive: process.stdin.isTTY && process.stdout.isTTY,
  print(text) {
    hasPrinted = true
    process.stdout.write(`${text}\n`)
  },
  note: (text) => void process.stderr.write(`${text}\n`),
  pipes: { input: process.stdin, output: process.stdout },
  async readStdin() {
    let text = ''
    for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk)
    return text
  },
}

// `mcp-gateway tools list | head -1` is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(process.exitCode ?? 0)
})

try {
  process.exitCode = await run(args, world)
} catch (error) {
  const { exitCode, text, json } = describeError(error)
  process.exitCode = exitCode
  // One JSON document on stdout and no second one: a result that was printed stands.
  if (asksForJson(args) && !hasPrinted) process.stdout.write(`${JSON.stringify(json, null, 2)}\n`)
  else process.stderr.write(`mcp-gateway: ${text}\n`)
}
