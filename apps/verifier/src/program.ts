/** The command line: what is asked for, and where it is. */
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { verifyBundle } from './bundle.ts'
import { verifyCheckpoints } from './checkpoints.ts'
import { VerifyError } from './finding.ts'
import { readConsistencyFile } from './line.ts'
import { emptyReport, formatReport, type Report } from './report.ts'
import { noState, openState, type State } from './state.ts'
import { readTrust } from './trust.ts'

/** What the program may know of the world. */
export type World = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly home: string
  readonly version: string
  readonly input: AsyncIterable<Uint8Array>
  /** stdout */
  readonly print: (text: string) => void
  /** stderr */
  readonly note: (text: string) => void
}

const HELP = `Usage: mcp-gateway-verify [options] <bundle | ->
       mcp-gateway-verify [options] checkpoints <note> [<note>]

Checks an export or a proof of the audit log, or checkpoints against each other. Offline.

  --key <key>          verifier key of the log, or the meta-log, from a source you trust; may be repeated
  --policy <file>      C2SP tlog-policy instead: keys of logs and witnesses, and the quorum
  --origin <origin>    the log that it must be about
  --require-meta       the checkpoint must be in the meta-log, whose key is pinned too
  --consistency <file> a consistency proof; may be repeated
  --state <dir>        where the last checkpoint of every log is remembered
                       (or MCP_GATEWAY_VERIFY_STATE; else $XDG_STATE_HOME/mcp-gateway-verify)
  --no-state           remember nothing, and compare with nothing
  --json               print the report as JSON
  --version, --help

Exit codes:
  0   verified
  10  rejected: something contradicts what was signed, or is not signed
  20  could not be checked: no key, another version, no such file, wrong usage
  30  malformed: it is no bundle`

/** A key, a policy, a checkpoint or a consistency proof. */
const MAX_SMALL_FILE_BYTES = 1024 * 1024
const CHUNK_BYTES = 1024 * 1024

const OPTIONS = {
  key: { type: 'string', multiple: true },
  policy: { type: 'string' },
  origin: { type: 'string' },
  'require-meta': { type: 'boolean' },
  consistency: { type: 'string', multiple: true },
  state: { type: 'string' },
  'no-state': { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** Returns the exit code. */
export async function run(args: readonly string[], world: World): Promise<number> {
  const json = args.includes('--json')
  let report: Report | string
  try {
    report = await verify(args, world)
  } catch (error) {
    const isKnown = error instanceof VerifyError
    const message = error instanceof Error ? ((isKnown ? undefined : error.stack) ?? error.message) : String(error)
    report = emptyReport({ code: isKnown ? error.code : 'FAILED', message })
  }
  if (typeof report === 'string') {
    world.print(report)
    return 0
  }
  world.print(json ? JSON.stringify(report, null, 2) : formatReport(report))
  return report.exitCode
}

async function verify(args: readonly string[], world: World): Promise<Report | string> {
  const { values, positionals } = parse(args)
  if (values.help) return HELP
  if (values.version) return world.version
  const path = (name: string): string => resolve(world.cwd, name)
  const trust = readTrust(values.key ?? [], values.policy === undefined ? undefined : readSmall(path(values.policy)))
  const state = values['no-state'] ? noState : stateIn(values.state, world)
  const proofs = (values.consistency ?? []).map((file) => readConsistencyFile(readSmall(path(file))))
  const origin = values.origin === undefined ? {} : { origin: values.origin }
  const [first, ...rest] = positionals
  if (first === 'checkpoints') {
    if (rest.length < 1 || rest.length > 2) throw new VerifyError('USAGE', 'give one or two checkpoints. See --help')
    return verifyCheckpoints(
      rest.map((file) => readSmall(path(file))),
      { trust, state, proofs, ...origin },
    )
  }
  if (first === undefined || rest.length > 0)
    throw new VerifyError('USAGE', 'give one bundle, or - for stdin. See --help')
  const started = Date.now()
  const onProgress = (lines: number): void =>
    world.note(`${lines} lines, ${Math.round(lines / Math.max(0.001, (Date.now() - started) / 1000))} /s`)
  const chunks = first === '-' ? world.input : readFile(path(first))
  const requireMeta = values['require-meta'] === true
  return verifyBundle(chunks, { trust, state, proofs, onProgress, requireMeta, ...origin })
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    throw new VerifyError('USAGE', error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function stateIn(given: string | undefined, { env, cwd, home }: World): State {
  const own = given ?? env['MCP_GATEWAY_VERIFY_STATE']
  const base = env['XDG_STATE_HOME'] ?? env['LOCALAPPDATA'] ?? join(home, '.local', 'state')
  return openState(own === undefined ? join(base, 'mcp-gateway-verify') : resolve(cwd, own))
}

async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) yield chunk as Uint8Array
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw unreadable(error)
    throw error
  }
}

function readSmall(path: string): string {
  try {
    const { size } = statSync(path)
    if (size > MAX_SMALL_FILE_BYTES) throw new VerifyError('FILE_UNREADABLE', `${path}: more than 1 MiB`)
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw error instanceof VerifyError ? error : unreadable(error)
  }
}

function unreadable(error: unknown): VerifyError {
  return new VerifyError('FILE_UNREADABLE', error instanceof Error ? error.message : String(error), { cause: error })
}
