/** Two official servers to try the gateway with. They run from where they are installed, or through npx. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Entry } from './config-document.ts'

// The releases this version was tested with: npx must not fetch whatever is newest at the time.
const EVERYTHING = { name: '@modelcontextprotocol/server-everything', version: '2026.8.31' }
const FILESYSTEM = { name: '@modelcontextprotocol/server-filesystem', version: '2026.8.31' }

/** `folder` is where the demo keeps its files; the filesystem server sees nothing outside `folder`/files. */
export function demoServers(cwd: string, folder: string): readonly (Entry & { readonly id: string })[] {
  const files = join(folder, 'files')
  mkdirSync(files, { recursive: true })
  const hello = join(files, 'hello.txt')
  if (!existsSync(hello)) writeFileSync(hello, 'Hello from behind the gateway.\n')
  return [
    {
      id: 'everything',
      description: 'Every feature of MCP, for trying clients',
      ...program(EVERYTHING, cwd, ['stdio']),
    },
    { id: 'filesystem', description: `Files in ${files}`, ...program(FILESYSTEM, cwd, [files]) },
  ]
}

type Package = { readonly name: string; readonly version: string }

function program({ name, version }: Package, cwd: string, args: readonly string[]): Entry {
  for (const base of [pathToFileURL(join(cwd, 'any.js')).href, import.meta.url]) {
    const file = binFile(name, base)
    if (file !== undefined) return { command: 'node', args: [file, ...args] }
  }
  return { command: 'npx', args: ['-y', `${name}@${version}`, ...args] }
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
