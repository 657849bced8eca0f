// What people install is the tarball, not the repository: `pnpm pack` every publishable member, lint what came out
// (publint for the manifest, attw for the types), then install all of it into an empty project outside this
// repository, type-check a file that imports every entry, and run it. Run as `pnpm pack:check`, which builds first.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { readWorkspace } from './workspace.ts'
import type { Manifest } from './workspace.ts'

type Packed = { readonly manifest: Manifest; readonly tarball: string }

const ROOT = join(import.meta.dirname, '..')
const BIN = join(ROOT, 'node_modules/.bin')

/** The pnpm that runs this script, or the one that would. */
const PNPM = process.env['npm_execpath']?.includes('pnpm') ? [process.env['npm_execpath']] : ['npx', '-y', 'pnpm@12']

/** What the command printed; when it fails, everything it said goes to stderr. */
function run(cwd: string, [command = '', ...args]: readonly string[]): string {
  // The dependency check of pnpm would compare the consumer with this workspace.
  const env = { ...process.env, pnpm_config_verify_deps_before_run: 'false' }
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8' })
  if (status === 0) return stdout
  process.stderr.write(`${stdout}${stderr}`)
  throw new Error(`${command} ${args.join(' ')} failed in ${cwd}`, { cause: error })
}

function pack(folder: string, manifest: Manifest, into: string): Packed {
  const said = JSON.parse(run(join(ROOT, folder), [...PNPM, 'pack', '--json', '--pack-destination', into])) as {
    filename: string
  }
  const tarball = join(into, basename(said.filename))
  const packed = JSON.parse(run(into, ['tar', '-xzOf', tarball, 'package/package.json'])) as Manifest
  const leak = /"[^"]+": "(?:workspace|catalog):[^"]*"/.exec(JSON.stringify(packed, undefined, 1))
  if (leak !== null) throw new Error(`${manifest.name}: ${leak[0]} means nothing outside this workspace`)
  run(ROOT, [join(BIN, 'publint'), 'run', tarball, '--strict'])
  if (entriesOf(packed).length > 0) run(ROOT, [join(BIN, 'attw'), tarball, '--profile', 'esm-only'])
  return { manifest: packed, tarball }
}

/** What a program may import: `@mcp-gateway/wire`, `@mcp-gateway/auth/stores/memory`. */
function entriesOf({ name, exports = {} }: Manifest): string[] {
  return Object.keys(exports)
    .filter((entry) => entry !== './package.json')
    .map((entry) => name + entry.slice(1))
}

function installedVersion(name: string): string {
  return (JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as { version: string })
    .version
}

/** A project that has never seen this repository. */
function writeConsumer(folder: string, packed: readonly Packed[]): void {
  const tarballs = Object.fromEntries(packed.map(({ manifest, tarball }) => [manifest.name, `file:${tarball}`]))
  const entries = packed.flatMap(({ manifest }) => entriesOf(manifest))
  const files = {
    'package.json': {
      private: true,
      type: 'module',
      dependencies: tarballs,
      devDependencies: { typescript: installedVersion('typescript'), '@types/node': installedVersion('@types/node') },
    },
    // JSON is YAML. The members name each other by versions that no registry has yet; without hoisting, an import
    // that the manifest forgot to declare fails here as it would for a user.
    'pnpm-workspace.yaml': { overrides: tarballs, hoist: false },
    'tsconfig.json': {
      compilerOptions: { module: 'nodenext', target: 'es2024', strict: true, noEmit: true, types: ['node'] },
      include: ['*.ts'],
    },
  }
  for (const [file, content] of Object.entries(files))
    writeFileSync(join(folder, file), JSON.stringify(content, undefined, 2))
  const lines = [
    ...entries.map((entry, index) => `import * as entry${index} from '${entry}'`),
    `const entries: Record<string, object> = { ${entries.map((entry, index) => `'${entry}': entry${index}`).join(', ')} }`,
    'for (const [name, entry] of Object.entries(entries)) {',
    '  const count = Object.keys(entry).length',
    "  if (count === 0) throw new Error(name + ' exports nothing')",
    "  console.log('  ' + name + ': ' + count + ' exports')",
    '}',
  ]
  writeFileSync(join(folder, 'consumer.ts'), `${lines.join('\n')}\n`)
}

function checkConsumer(folder: string, packed: readonly Packed[]): void {
  run(folder, [...PNPM, 'install', '--prefer-offline', '--ignore-scripts'])
  run(folder, [join(folder, 'node_modules/.bin/tsc'), '-p', '.'])
  process.stdout.write(run(folder, [process.execPath, 'consumer.ts']))
  for (const command of packed.flatMap(({ manifest }) => Object.keys(manifest.bin ?? {}))) {
    const said = run(folder, [join(folder, 'node_modules/.bin', command), '--version']).trim()
    console.log(`  ${command} --version: ${said}`)
  }
}

function main(): void {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-gateway-pack-'))
  try {
    const packed: Packed[] = []
    for (const { folder: member, manifest } of readWorkspace(ROOT).filter((one) => one.manifest.private !== true)) {
      packed.push(pack(member, manifest, folder))
      console.log(`${manifest.name}: packed, publint and attw found nothing`)
    }
    const consumer = join(folder, 'consumer')
    mkdirSync(consumer)
    writeConsumer(consumer, packed)
    checkConsumer(consumer, packed)
    console.log(`${packed.length} packages install, type-check and run in an empty project`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

try {
  main()
} catch (error) {
  console.error(`pack:check: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
