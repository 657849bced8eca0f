/** Which configuration file is meant, and what it says. */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { parseConfig, type Config } from '@mcp-gateway/gateway'
import type { Context } from './context.ts'
import { CliError } from './errors.ts'

export const DEFAULT_FILE = 'gateway.yaml'
export const DEFAULT_PORT = 3100
/** Where `serve --init` puts what it makes. */
export const DEMO_FOLDER = '.mcp-gateway'

export type LoadedConfig = { readonly file: string; readonly config: Config }

export type Overrides = { readonly host?: string; readonly port?: number }

/** --config, MCP_GATEWAY_CONFIG, ./gateway.yaml, ./.mcp-gateway/gateway.yaml. A file that was named must exist. */
export function findConfig({ config, env, cwd }: Context): string | undefined {
  const named = config ?? nonEmpty(env['MCP_GATEWAY_CONFIG'])
  if (named !== undefined) {
    const file = resolve(cwd, named)
    if (existsSync(file)) return file
    const source = config === undefined ? 'MCP_GATEWAY_CONFIG' : '--config'
    throw new CliError('CLI_CONFIG_NOT_FOUND', `${source} names ${named}, which does not exist`)
  }
  return [join(cwd, DEFAULT_FILE), join(cwd, DEMO_FOLDER, DEFAULT_FILE)].find((file) => existsSync(file))
}

export function requireConfig(context: Context): string {
  const file = findConfig(context)
  if (file !== undefined) return file
  throw new CliError('CLI_CONFIG_NOT_FOUND', `there is no ${DEFAULT_FILE} here`, {
    hint: 'Make one with `mcp-gateway init`, try the demo with `mcp-gateway serve --init`, or name one with --config.',
  })
}

export function loadConfig(context: Context, flags: Overrides = {}): LoadedConfig {
  const file = requireConfig(context)
  const port = portFromEnv(context.env)
  const overrides = { ...(port !== undefined && { port }), ...flags }
  const text = readFileSync(file, 'utf8')
  return { file, config: parseConfig(text, { env: context.env, file: shown(context, file), overrides }) }
}

/** What must survive a restart is kept beside the configuration, in a folder of its own. */
export function databaseOf(file: string): string {
  const folder = dirname(file)
  return join(basename(folder) === DEMO_FOLDER ? folder : join(folder, DEMO_FOLDER), 'gateway.db')
}

/** A path as a person wants to read it. */
export function shown({ cwd }: Pick<Context, 'cwd'>, file: string): string {
  const near = relative(cwd, file)
  return near === '' || near.startsWith('..') ? file : near
}

export function parsePort(text: string, source: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new CliError('CLI_USAGE', `${source} must be a port number from 0 to 65535, not "${text}"`)
}

/** PORT is what platforms set; MCP_GATEWAY_PORT is meant for us and wins. */
export function portFromEnv(env: Context['env']): number | undefined {
  for (const name of ['MCP_GATEWAY_PORT', 'PORT']) {
    const value = nonEmpty(env[name])
    if (value !== undefined) return parsePort(value, name)
  }
  return undefined
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
