/** What each client needs to be told about the gateway, in its own format. */
import type { Client } from './client-files.ts'
import type { Context } from './context.ts'

export type EntryOptions = {
  /** The gateway, without a path: http://127.0.0.1:3100 */
  readonly base: string
  /** One server, its names unchanged, instead of all. */
  readonly server?: string | undefined
  /** The key itself. Without one, clients that can refer to a variable do; the others get `PLACEHOLDER`. */
  readonly key: string | undefined
  readonly name: string
  readonly self: Context['self']
}

export type ClientEntry = {
  /** The key under which the client keeps its servers. */
  readonly parent: 'mcpServers' | 'servers'
  readonly entry: Readonly<Record<string, unknown>>
  /** VS Code asks for the key once and keeps it encrypted. */
  readonly input?: Readonly<Record<string, unknown>> & { readonly id: string }
}

const PLACEHOLDER = '<your key>'
const KEY_VARIABLE = 'MCP_GATEWAY_KEY'

export function clientEntry(client: Client, options: EntryOptions): ClientEntry {
  return entries[client](options)
}

const entries: Readonly<Record<Client, (options: EntryOptions) => ClientEntry>> = {
  'claude-code': (options) => ({
    parent: 'mcpServers',
    entry: { type: 'http', url: endpointOf(options), headers: headersOf(options, `\${${KEY_VARIABLE}}`) },
  }),
  cursor: (options) => ({
    parent: 'mcpServers',
    entry: { url: endpointOf(options), headers: headersOf(options, `\${env:${KEY_VARIABLE}}`) },
  }),
  // Its file starts programs only, and has no references to variables.
  'claude-desktop': ({ base, server, key = PLACEHOLDER, self }) => ({
    parent: 'mcpServers',
    entry: {
      command: self.command,
      args: [...self.args, 'stdio', '--url', base, ...(server === undefined ? [] : ['--server', server])],
      env: { [KEY_VARIABLE]: key },
    },
  }),
  vscode: (options) => {
    const id = `${options.name}-key`
    const entry = { type: 'http', url: endpointOf(options), headers: headersOf(options, `\${input:${id}}`) }
    const input = { type: 'promptString', id, description: 'API key of the MCP gateway', password: true }
    return options.key === undefined ? { parent: 'servers', entry, input } : { parent: 'servers', entry }
  },
}

function headersOf({ key }: EntryOptions, reference: string): object {
  return { Authorization: `Bearer ${key ?? reference}` }
}

/** The whole file, for somebody who has none yet. */
export function clientDocument({ parent, entry, input }: ClientEntry, name: string): object {
  return { [parent]: { [name]: entry }, ...(input && { inputs: [input] }) }
}

/** The same for Claude Code as a command. */
export function claudeCodeCommand(options: Omit<EntryOptions, 'self'>): string {
  const { key, name } = options
  const header = `Authorization: Bearer ${key ?? `$${KEY_VARIABLE}`}`
  return `claude mcp add --transport http ${name} ${endpointOf(options)} --header "${header}"`
}

export function endpointOf({ base, server }: Pick<EntryOptions, 'base' | 'server'>): string {
  return server === undefined ? `${base}/mcp` : `${base}/mcp/server/${server}`
}
