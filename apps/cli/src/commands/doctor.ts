/** `doctor`: is everything as it must be, and if not, what mends it. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { ConfigError, type Config, type ServerConfig } from '@mcp-gateway/gateway'
import { loadConfig, shown, type LoadedConfig } from '../config-file.ts'
import { reply, type Context } from '../context.ts'
import { CliError } from '../errors.ts'
import { openGateway, probe, urlOf } from '../gateway-api.ts'
import { testServers } from '../server-test.ts'

export type Check = {
  readonly id: string
  readonly status: 'ok' | 'warning' | 'failed'
  readonly message: string
  /** How to mend it. */
  readonly mend?: string
}

export async function doctor(context: Context, options: { readonly key?: string }): Promise<void> {
  const checks: Check[] = [checkNode()]
  const loaded = checkConfig(context, checks)
  if (loaded !== undefined) {
    checks.push(...checkKeys(context, loaded))
    checks.push(await checkPort(loaded.config))
    checks.push(...(await checkServers(context, loaded.config, options.key)))
  }
  const failed = checks.filter(({ status }) => status === 'failed').length
  reply(context, { ok: failed === 0, checks }, checks.map(describe).join('\n'))
  if (failed > 0) throw new CliError('CLI_FAILED', `${failed} of ${checks.length} checks failed`)
}

function checkNode(): Check {
  const [major = 0] = process.versions.node.split('.').map(Number)
  const message = `Node ${process.versions.node}`
  if (major >= 24) return { id: 'node', status: 'ok', message }
  return { id: 'node', status: 'failed', message, mend: 'Install Node 24 or newer: https://nodejs.org' }
}

function checkConfig(context: Context, checks: Check[]): LoadedConfig | undefined {
  const id = 'config'
  try {
    const loaded = loadConfig(context)
    checks.push({ id, status: 'ok', message: `${shown(context, loaded.file)} is valid` })
    return loaded
  } catch (error) {
    if (error instanceof ConfigError) {
      const names = new Set(error.findings.flatMap(({ variable }) => variable ?? []))
      const toExport = [...names].map((name) => `export ${name}=…`).join('; ')
      const onlyVariables = error.findings.every(({ variable }) => variable !== undefined)
      const mend = onlyVariables ? `Set what is missing: ${toExport}` : 'Correct the lines above.'
      checks.push({ id, status: 'failed', message: error.message, mend })
    } else if (error instanceof CliError) {
      checks.push({
        id,
        status: 'failed',
        message: error.message,
        ...(error.hint !== undefined && { mend: error.hint }),
      })
    } else throw error
    return undefined
  }
}

function checkKeys(context: Context, { file, config }: LoadedConfig): readonly Check[] {
  const id = 'keys'
  const { type, keys } = config.auth
  if (type === 'none')
    return [{ id, status: 'warning', message: 'auth.type is none: every program on this machine may call' }]
  const usable = keys.filter(({ enabled, expiresAt = Infinity }) => enabled && expiresAt > Date.now())
  const checks: Check[] = [
    usable.length > 0
      ? { id, status: 'ok', message: `${usable.length} of ${keys.length} API keys can be used` }
      : {
          id,
          status: 'failed',
          message: 'nobody can call: there is no usable API key',
          mend: 'mcp-gateway keys create "My Agent" agent-1',
        },
  ]
  // By the file and not by the parsed value, which may come from a variable.
  const hasPlainKey = /\bgw_[A-Za-z0-9_-]{20,}/.test(readFileSync(file, 'utf8'))
  const isShared = context.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0
  if (hasPlainKey) {
    const mend = `Make a new key with \`mcp-gateway keys create\` and remove the plain one${isShared ? `; chmod 600 ${shown(context, file)}` : ''}`
    checks.push({ id, status: 'warning', message: `${shown(context, file)} holds a key in plain text`, mend })
  }
  return checks
}

async function checkPort(config: Config): Promise<Check> {
  const id = 'port'
  const place = `port ${config.port} on ${config.host}`
  if (config.port === 0) return { id, status: 'ok', message: 'the system chooses the port' }
  const error = await tryListen(config)
  if (error === undefined) return { id, status: 'ok', message: `${place} is free` }
  if (error !== 'EADDRINUSE')
    return { id, status: 'failed', message: `${place}: ${error}`, mend: 'Choose another host or port.' }
  const presence = await probe(urlOf(config))
  if (presence.who === 'gateway')
    return { id, status: 'ok', message: `${place}: a gateway ${presence.version} is running` }
  return {
    id,
    status: 'failed',
    message: `${place} is in use by another program`,
    mend: `Stop it (lsof -i :${config.port} names it), or choose another port in the configuration or with --port.`,
  }
}

async function tryListen({ host, port }: Config): Promise<string | undefined> {
  const server = createServer()
  return await new Promise((done) => {
    server.once('error', (error) => done('code' in error ? String(error.code) : error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => done(undefined)))
  })
}

async function checkServers(context: Context, config: Config, key: string | undefined): Promise<readonly Check[]> {
  const enabled = config.servers.filter((server) => server.enabled)
  if (enabled.length === 0) {
    return [
      { id: 'servers', status: 'warning', message: 'no server is enabled', mend: 'mcp-gateway servers add --help' },
    ]
  }
  try {
    await using gateway = await openGateway(context, config, key)
    const results = await testServers(gateway)
    return enabled.map((server): Check => {
      const id = `server:${server.id}`
      const result = results.find((one) => one.id === server.id)
      if (result === undefined) {
        const message = `server ${server.id} is not known to the running gateway`
        return { id, status: 'warning', message, mend: 'Start the gateway again: it runs with an older configuration.' }
      }
      if (result.ok)
        return { id, status: 'ok', message: `server ${server.id}: ${result.tools} tools, ${result.elapsedMs} ms` }
      return {
        id,
        status: 'failed',
        message: `server ${server.id}: ${result.error}`,
        mend: mendServer(context, server),
      }
    })
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    return [
      {
        id: 'servers',
        status: 'failed',
        message: error.message,
        ...(error.hint !== undefined && { mend: error.hint }),
      },
    ]
  }
}

function mendServer({ env, cwd }: Context, server: ServerConfig): string {
  if (server.transport !== 'stdio')
    return `Is ${new URL(server.url).origin} reachable from here, and are the headers right?`
  const base = server.cwd ?? cwd
  if (!isRunnable(server.command, env['PATH'] ?? '', base))
    return `There is no program "${server.command}": install it or give its path.`
  // Not its arguments: a variable's value may be among them.
  return `Run "${server.command}" by hand, as the configuration has it, to see what it says.`
}

function isRunnable(command: string, path: string, cwd: string): boolean {
  const candidates = /[/\\]/.test(command)
    ? [resolve(cwd, command)]
    : path.split(delimiter).map((folder) => join(isAbsolute(folder) ? folder : resolve(cwd, folder), command))
  return candidates.some((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function describe({ status, message, mend }: Check): string {
  const mark = { ok: 'ok      ', warning: 'warning ', failed: 'FAILED  ' }[status]
  const lines = [...message.split('\n'), ...(mend === undefined ? [] : [`→ ${mend}`])]
  return mark + lines.join('\n        ')
}
