/** `servers list|add|remove|test`. */
import { append, entriesOf, openConfig, remove, replace, save, type Entry } from '../config-document.ts'
import { loadConfig, shown } from '../config-file.ts'
import { reply, table, type Context } from '../context.ts'
import { CliError } from '../errors.ts'
import { openGateway } from '../gateway-api.ts'
import { looksSecret } from '../secrets.ts'
import { testServers, type ServerTest } from '../server-test.ts'

export type AddServerOptions = {
  readonly id: string
  readonly command: readonly string[]
  readonly url?: string
  readonly transport?: string
  readonly name?: string
  readonly description?: string
  readonly cwd?: string
  readonly timeout?: string
  readonly env: readonly string[]
  readonly header: readonly string[]
  readonly tag: readonly string[]
  readonly disabled?: boolean
  readonly force?: boolean
}

const RESTART = 'A gateway that is running takes the change when it is started again.'

export function listServers(context: Context): void {
  const document = openConfig(context)
  const servers = entriesOf(document, 'servers').map((entry) => ({
    id: textOf(entry, 'id'),
    name: textOf(entry, 'name', textOf(entry, 'id')),
    enabled: entry['enabled'] !== false,
    transport: entry['command'] === undefined ? textOf(entry, 'transport', 'http') : 'stdio',
    // Arguments, headers and queries may hold what should have been a reference: they are not shown.
    target: textOf(entry, 'command', withoutQuery(textOf(entry, 'url'))),
  }))
  const rows = servers.map((s) => [s.id, s.transport, s.enabled ? 'enabled' : 'disabled', s.target, s.name])
  const header = ['ID', 'TRANSPORT', 'STATE', 'RUNS', 'NAME']
  const text = rows.length === 0 ? `${shown(context, document.file)} has no servers.` : table([header, ...rows])
  reply(context, { servers }, text)
}

export function addServer(context: Context, options: AddServerOptions): void {
  const [command, ...args] = options.command
  if ((command === undefined) === (options.url === undefined)) {
    throw new CliError('CLI_USAGE', 'give either --url or, after "--", the command of a local server', {
      hint: 'mcp-gateway servers add files -- npx -y @modelcontextprotocol/server-filesystem ./data',
    })
  }
  const exports: string[] = []
  const env = pairs('--env', options.env, '=', exports)
  const headers = pairs('--header', options.header, ':', exports)
  const entry = {
    id: options.id,
    ...(options.name !== undefined && { name: options.name }),
    ...(options.description !== undefined && { description: options.description }),
    ...(command !== undefined && { command }),
    ...(args.length > 0 && { args }),
    ...(options.url !== undefined && { url: options.url }),
    ...(options.transport !== undefined && { transport: options.transport }),
    ...(env && { env }),
    ...(headers && { headers }),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(options.timeout !== undefined && { timeout: Number(options.timeout) }),
    ...(options.tag.length > 0 && { tags: options.tag }),
    ...(options.disabled === true && { enabled: false }),
  }
  const document = openConfig(context)
  const exists = entriesOf(document, 'servers').some(({ id }) => id === options.id)
  if (exists && options.force !== true) {
    throw new CliError('CLI_FAILED', `there is a server "${options.id}" already`, { hint: 'Replace it with --force.' })
  }
  if (exists) replace(document, 'servers', entry)
  else append(document, 'servers', entry)
  save(context, document)
  const toExport = exports.map((name) => `\n  export ${name}=…   # its value was not written to the file`).join('')
  const text = `Added "${options.id}" to ${shown(context, document.file)}. Try it: mcp-gateway servers test ${options.id}\n${RESTART}${toExport}`
  reply(context, { server: entry, exports, config: document.file }, text)
}

export function removeServer(context: Context, id: string): void {
  const document = openConfig(context)
  if (!remove(document, 'servers', id)) {
    const ids = entriesOf(document, 'servers').map((entry) => entry['id'])
    const hint = ids.length === 0 ? 'There are no servers.' : `There is ${ids.join(', ')}.`
    throw new CliError('CLI_NOT_FOUND', `there is no server "${id}" in ${shown(context, document.file)}`, { hint })
  }
  save(context, document)
  reply(context, { id, removed: true, config: document.file }, `Removed "${id}". ${RESTART}`)
}

export async function testServer(
  context: Context,
  options: { readonly id?: string; readonly key?: string },
): Promise<void> {
  const { config } = loadConfig(context)
  await using gateway = await openGateway(context, config, options.key)
  const results = await testServers(gateway, options.id)
  const rows = results.map(describeTest)
  const where = gateway.isRunning ? `asked the gateway at ${gateway.url}` : 'started for this test'
  if (!context.json) context.note(`(${where})`)
  const text = results.length === 0 ? 'There are no servers to test.' : table(rows)
  reply(context, { ok: results.every(({ ok }) => ok), servers: results }, text)
  const failed = results.filter(({ ok }) => !ok)
  if (failed.length > 0) throw new CliError('CLI_FAILED', `${failed.length} of ${results.length} servers failed`)
}

function describeTest(result: ServerTest): readonly string[] {
  const { id, ok, tools, elapsedMs, protocolVersion, serverInfo, error } = result
  if (!ok) return [id, 'failed', error ?? '']
  const info = [serverInfo?.name, serverInfo?.version].filter(Boolean).join(' ')
  return [id, 'ok', `${tools} tools, MCP ${protocolVersion ?? '?'}, ${info}, ${elapsedMs} ms`]
}

/** NAME=value, Name: value, or NAME alone, which refers to the variable of that name. */
function pairs(flag: string, texts: readonly string[], mark: '=' | ':', exports: string[]): Entry | undefined {
  if (texts.length === 0) return undefined
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf(mark)
      if (at === -1 && mark === '=') return [text, `\${${text}}`]
      if (at < 1) throw new CliError('CLI_USAGE', `${flag} needs NAME${mark}value, not "${text}"`)
      const name = text.slice(0, at).trim()
      const value = mark === ':' ? text.slice(at + 1).trim() : text.slice(at + 1)
      if (!looksSecret(name, value)) return [name, value]
      const [, scheme = ''] = /^((?:Bearer|Basic|Token) +)/i.exec(value) ?? []
      const variable = name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_')
      exports.push(variable)
      return [name, `${scheme}\${${variable}}`]
    }),
  )
}

function textOf(entry: Entry, field: string, fallback: string = ''): string {
  const value = entry[field]
  return typeof value === 'string' ? value : fallback
}

function withoutQuery(url: string): string {
  return url.replace(/\?.*$/s, '')
}
