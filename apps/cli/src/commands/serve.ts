/** `serve`: runs the gateway until it is told to stop. What a person needs goes to stdout, the log to stderr. */
import { join } from 'node:path'
import { createLogger, startGateway, type Logger, type RunningGateway } from '@mcp-gateway/gateway'
import { claudeCodeCommand, clientDocument, clientEntry, endpointOf } from '../client-entries.ts'
import type { Client } from '../client-files.ts'
import {
  databaseOf,
  DEFAULT_FILE,
  DEFAULT_PORT,
  DEMO_FOLDER,
  findConfig,
  loadConfig,
  parsePort,
  portFromEnv,
  shown,
  type LoadedConfig,
  type Overrides,
} from '../config-file.ts'
import { watchConfig } from '../config-watch.ts'
import type { Context } from '../context.ts'
import { createConfig, type CreatedConfig } from '../create-config.ts'
import { demoServers } from '../demo.ts'
import { CliError } from '../errors.ts'
import { probe, urlOf } from '../gateway-api.ts'
import { closeOnSignal } from '../lifetime.ts'
import { limitYoungGeneration } from '../young-generation.ts'

export type ServeOptions = { readonly host?: string; readonly port?: string; readonly init?: boolean }

export async function serve(context: Context, options: ServeOptions): Promise<void> {
  limitYoungGeneration()
  const { host } = options
  const port = options.port === undefined ? portFromEnv(context.env) : parsePort(options.port, '--port')
  const created = options.init === true && findConfig(context) === undefined ? createDemo(context, port) : undefined
  const overrides = { ...(host !== undefined && { host }), ...(port !== undefined && { port }) }
  const loaded = loadConfig(context, overrides)
  const logger = createLogger(loaded.config.log.level)
  const gateway = await start(context, loaded, logger)
  using signals = closeOnSignal(() => gateway.close())
  using _watch = watchConfig(loaded.file, () => void reload(context, gateway, overrides, logger))
  const servers = loaded.config.servers.filter(({ enabled }) => enabled).map(({ id }) => id)
  if (context.json) {
    // One line: a program reads it while the gateway goes on.
    context.print(
      JSON.stringify({
        url: gateway.url,
        port: gateway.port,
        config: loaded.file,
        servers,
        ...(created && { key: created.key }),
      }),
    )
  } else {
    context.print(
      created === undefined ? greet(context, gateway, loaded, servers) : welcome(context, gateway, created, servers),
    )
  }
  await signals.closed
}

/** A file that is wrong changes nothing: the log says what is wrong where, and the gateway goes on as it was. */
async function reload(context: Context, gateway: RunningGateway, overrides: Overrides, logger: Logger): Promise<void> {
  try {
    await gateway.reload(loadConfig(context, overrides).config)
  } catch (error) {
    logger.error({ error: error instanceof Error ? error.message : String(error) }, 'configuration not reloaded')
  }
}

async function start(context: Context, { config, file }: LoadedConfig, logger: Logger): Promise<RunningGateway> {
  try {
    return await startGateway({ config, logger, version: context.version, database: databaseOf(file), enforceSignatures: context.env['ERC8128_ENFORCE_OPERATOR_MCP'] === 'true' }) // prettier-ignore
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const place = `port ${config.port} on ${config.host}`
    if (code === 'EADDRINUSE') {
      const { who } = await probe(urlOf(config))
      const owner = who === 'gateway' ? 'another MCP gateway' : 'another program'
      throw new CliError('CLI_PORT_UNAVAILABLE', `${place} is in use by ${owner}`, {
        cause: error,
        hint: `Stop it, or choose another port: mcp-gateway serve --port ${config.port + 1}`,
      })
    }
    if (code === 'EACCES') {
      const hint = 'Ports below 1024 need privileges; choose another with --port.'
      throw new CliError('CLI_PORT_UNAVAILABLE', `${place} may not be used`, { cause: error, hint })
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      const hint = 'host must be an address of this machine: 127.0.0.1, or 0.0.0.0 for all of them.'
      throw new CliError('CLI_PORT_UNAVAILABLE', `${config.host} is not an address of this machine`, {
        cause: error,
        hint,
      })
    }
    throw error
  }
}

/** A port that was asked for is written down, so that the next start without a word has it, too. */
function createDemo(context: Context, port: number | undefined): CreatedConfig {
  const folder = join(context.cwd, DEMO_FOLDER)
  const servers = demoServers(context, folder)
  return createConfig(context, { file: join(folder, DEFAULT_FILE), port: port || DEFAULT_PORT, servers, force: false })
}

function greet(context: Context, gateway: RunningGateway, { file }: LoadedConfig, servers: readonly string[]): string {
  return `MCP Gateway ${context.version} listens on ${gateway.url}/mcp

  Configuration  ${shown(context, file)}
  Servers        ${servers.join(', ') || 'none yet: mcp-gateway servers add --help'}
  Connect        mcp-gateway connect claude-code (or cursor, vscode, claude-desktop)
  Lost the key?  mcp-gateway keys create "My Agent" agent-1
`
}

function welcome(
  context: Context,
  { url }: RunningGateway,
  created: CreatedConfig,
  servers: readonly string[],
): string {
  const { file, key } = created
  const options = { base: url, key, name: 'gateway', self: context.self }
  const snippet = (client: Client): string =>
    JSON.stringify(clientDocument(clientEntry(client, options), options.name), null, 2).replaceAll(/^/gm, '  ')
  return `MCP Gateway ${context.version} listens on ${endpointOf(options)}

  API key        ${key}
                 shown this once: only its hash is stored
  Configuration  ${shown(context, file)} (new)
  Servers        ${servers.join(', ')}

Call a tool:

  curl -s ${url}/api/servers/everything/tools/echo -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' -d '{"arguments":{"message":"hello"}}'

Claude Code:

  ${claudeCodeCommand(options)}

Cursor, ~/.cursor/mcp.json:

${snippet('cursor')}

VS Code, .vscode/mcp.json:

${snippet('vscode')}
`
}
