#!/usr/bin/env node
/** The `mcp-gateway-verify` command. The only file that touches `process`' environment, arguments and streams. */
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { run } from './program.ts'

/** `verify.mjs` travels alone. */
const manifest = new URL('../package.json', import.meta.url)
const version = existsSync(manifest)
  ? (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
  : 'verify.mjs'

process.exitCode = await run(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  home: homedir(),
  version,
  input: process.stdin,
  print: (text) => void process.stdout.write(`${text}\n`),
  note: (text) => void process.stderr.write(`${text}\n`),
})
