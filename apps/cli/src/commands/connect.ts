/** `connect <client>`: prints what a client needs to be told, or with --write puts it into the client's file. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parse, type ParseError } from 'jsonc-parser'
import { writeAtomically } from '../atomic-write.ts'
import { claudeCodeCommand, clientDocument, clientEntry, type ClientEntry } from '../client-entries.ts'
import { clientFiles, clients, isClient, type Client } from '../client-files.ts'
import { loadConfig, shown } from '../config-file.ts'
import { reply, type Context } from '../context.ts'
import { CliError } from '../errors.ts'
import { urlOf } from '../gateway-api.ts'
import { addElement, setMember } from '../json-edit.ts'

export type ConnectOptions = {
  readonly client: string
  readonly write?: boolean
  readonly scope?: string
  readonly server?: string
  readonly url?: string
  readonly key?: string
  readonly name?: string
}

export function connect(context: Context, options: ConnectOptions): void {
  const { client, name = 'gateway' } = options
  if (!isClient(client)) throw new CliError('CLI_USAGE', `the clients are ${clients.join(', ')}, not "${client}"`)
  const { key, server } = options
  const described = { base: baseUrl(context, options), server, key, name, self: context.self }
  const entry = clientEntry(client, described)
  const target = targetFile(context, client, options.scope)
  if (options.write === true) {
    if (client === 'claude-desktop' && key === undefined) {
      throw new CliError('CLI_USAGE', 'Claude Desktop cannot refer to a variable: --write needs --key', {
        hint: 'Make a key with `mcp-gateway keys create "Claude Desktop" desktop`.',
      })
    }
    const backup = merge(target, name, entry)
    const kept = backup === undefined ? '' : `; what it was is in ${shown(context, backup)}`
    const text = `Wrote "${name}" to ${shown(context, target)}${kept}.\n${nextStep(client, key)}`
    reply(context, { client, file: target, backup, name, entry: entry.entry }, text)
    return
  }
  const document = clientDocument(entry, name)
  const command = client === 'claude-code' ? `\nor run:\n\n${claudeCodeCommand(described)}\n` : ''
  const text = `Put this into ${shown(context, target)}:\n\n${JSON.stringify(document, null, 2)}\n${command}\n${nextStep(client, key)}`
  reply(context, { client, file: target, name, document }, text)
}

function baseUrl(context: Context, { url, server }: ConnectOptions): string {
  if (url !== undefined) {
    const parsed = URL.parse(url)
    if (parsed !== null && /^https?:$/.test(parsed.protocol)) return parsed.href.replace(/\/(mcp\/?)?$/, '')
    throw new CliError('CLI_USAGE', `--url must be an address such as http://127.0.0.1:3100, not "${url}"`)
  }
  const { config } = loadConfig(context)
  if (server !== undefined && !config.servers.some(({ id }) => id === server)) {
    const hint = `There is ${config.servers.map(({ id }) => id).join(', ') || 'none'}.`
    throw new CliError('CLI_NOT_FOUND', `there is no server "${server}"`, { hint })
  }
  return urlOf(config)
}

function targetFile(context: Context, client: Client, scope: string | undefined): string {
  const own = clientFiles(context).filter((item) => item.client === client)
  const [first] = own
  const found = scope === undefined ? first : own.find((item) => item.scope === scope)
  if (found !== undefined) return found.file
  throw new CliError(
    'CLI_USAGE',
    `${client} has no file of scope "${scope}"; it has ${own.map((item) => item.scope).join(', ')}`,
  )
}

/** Changes one entry and leaves every other byte of the file: it is the person's, comments and all. */
function merge(file: string, name: string, { parent, entry, input }: ClientEntry): string | undefined {
  const existing = existsSync(file) ? readFileSync(file, 'utf8') : undefined
  const before = existing === undefined || existing.trim() === '' ? '{}\n' : existing
  const errors: ParseError[] = []
  const root: unknown = parse(before, errors, { allowTrailingComma: true, disallowComments: false })
  const isMap = typeof root === 'object' && root !== null && !Array.isArray(root)
  if (errors.length > 0 || !isMap) {
    throw new CliError('CLI_FAILED', `${file} is not a JSON object; it was left as it is`)
  }
  const withEntry = setMember(before, [parent, name], entry)
  const inputs = (root as { inputs?: unknown }).inputs
  const isAsked = Array.isArray(inputs) && inputs.some((item) => Object(item).id === input?.id)
  const after = input === undefined || isAsked ? withEntry : addElement(withEntry, 'inputs', input)
  mkdirSync(dirname(file), { recursive: true })
  if (existing === undefined) {
    writeAtomically(file, after)
    return undefined
  }
  const backup = `${file}.backup-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`
  writeAtomically(backup, existing)
  writeAtomically(file, after, { expected: existing })
  return backup
}

function nextStep(client: Client, key: string | undefined): string {
  if (key !== undefined) return 'The key is in this text: do not commit it.'
  if (client === 'vscode') return 'VS Code asks for the key when it first connects.'
  if (client === 'claude-desktop') return 'Put your key in the place of <your key>.'
  return 'Set MCP_GATEWAY_KEY to your key where the client starts, or give it here with --key.'
}
