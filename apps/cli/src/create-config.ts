/** A new configuration with its first key and the schema for editors. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { generateApiKey } from '@mcp-gateway/auth'
import { configJsonSchema, ConfigError, parseConfig } from '@mcp-gateway/gateway'
import { writeAtomically } from './atomic-write.ts'
import type { Entry } from './config-document.ts'
import { shown } from './config-file.ts'
import type { Context } from './context.ts'
import { CliError } from './errors.ts'
import { renderConfig, SCHEMA_FILE } from './template.ts'

export type NewConfig = {
  readonly file: string
  readonly port: number
  readonly servers: readonly Entry[]
  readonly force: boolean
}

export type CreatedConfig = {
  readonly file: string
  /** The first key. It is in no file. */
  readonly key: string
  readonly keyId: string
}

export function createConfig(context: Context, { file, port, servers, force }: NewConfig): CreatedConfig {
  if (existsSync(file) && !force) {
    throw new CliError('CLI_FILE_EXISTS', `${shown(context, file)} exists`, { hint: 'Replace it with --force.' })
  }
  const { key, hash } = generateApiKey()
  const keyId = 'default'
  const entry = { id: keyId, key: hash, name: 'Default key', consumerId: 'default', roles: ['admin'] }
  const text = renderConfig({ port, key: entry, servers })
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(join(dirname(file), SCHEMA_FILE), `${JSON.stringify(configJsonSchema(), null, 2)}\n`)
  writeAtomically(file, text)
  // --force keeps the mode of what it replaces, which may have been readable by others.
  chmodSync(file, 0o600)
  return { file, key, keyId }
}

/** What is wrong with one server's entry; a variable that is not set is nothing wrong with it. */
export function problemOf(server: Entry): string | undefined {
  try {
    parseConfig(JSON.stringify({ servers: [server] }), { env: {} })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const found = error.findings.filter(({ variable }) => variable === undefined)
    if (found.length > 0)
      return found.map(({ path, message }) => `${path.replace(/^servers\[0\]\.?/, '')} ${message}`.trim()).join('; ')
  }
  return undefined
}
