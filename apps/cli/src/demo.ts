/** Two official servers to try the gateway with. They run from where they are installed, or through npx. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Entry } from './config-document.ts'
import type { Context } from './context.ts'

// The releases this version was tested with: npx must not fetch whatever is newest at the time.
const EVERYTHING = { name: '@modelcontextprotocol/server-everything', version: '2026.8.31' }
const FILESYSTEM = { name: '@modelcontextprotocol/server-filesystem', version: '2026.8.31' }

// What npx needs to reach the registry from behind a company's proxy. A server is given nothing that is not named.
const NETWORK = ['HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy', 'NODE_EXTRA_CA_CERTS', 'npm_config_registry']

/** `folder` is where the demo keeps its files; the filesystem server sees nothing outside `folder`/files. */
export function demoServers(
  { cwd, env }: Pick<Context, 'cwd' | 'env'>,
  folder: string,
): readonly (Entry & { readonly id: string })[] {
  const files = join(folder, 'files')
  mkdirSync(files, { recursive: true })
  const hello = join(files, 'hello.txt')
  if (!existsSync(hello)) writeFileSync(hello, 'Hello from behind the gateway.\n')
  return [
    {
      id: 'everything',
      description: 'Every feature of MCP, for trying clients',
      ...program(EVERYTHING, cwd, env, ['stdio']),
    },
    { id: 'filesystem', description: `Files in ${files}`, ...program(FILESYSTEM, cwd, env, [files]) },
  ]
}

type Package = { readonly name: string; readonly version: string }

function program({ name, version }: Package, cwd: string, env: Context['env'], args: readonly string[]): Entry {
  for (const base of [pathToFileURL(join(cwd, 'any.js')).href, import.meta.url]) {
    const file = binFile(name, base)
    if (file !== undefined) return { command: 'node', args: [file, ...args] }
  }
  const network = NETWORK.filter((variable) => env[variable] !== undefined && env[variable] !== '')
  return {
    command: 'npx',
    args: ['-y', `${name}@${version}`, ...args],
    ...(network.length > 0 && { env: Object.fromEntries(network.map((variable) => [variable, `\${${variable}:-}`])) }),
  }
}

function binFile(name: string, base: string): string | undefined {
  const manifest = findManifest(name, base)
  if (manifest === undefined) return undefined
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin?: string | Record<string, string> }
  const path = typeof bin === 'string' ? bin : Object.values(bin ?? {})[0]
  const file = path === undefined ? undefined : join(dirname(manifest), path)
  return file !== undefined && existsSync(file) ? file : undefined
}

function findManifest(name: string, base: string): string | undefined {
  try {
    return findPackageJSON(name, base)
  } catch {
    // Not installed there.
    return undefined
  }
}
