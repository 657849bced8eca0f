/** What each client needs to be told about the gateway, in its own format. */
import type { Client } from './client-files.ts'
import type { Context } from './context.ts'

export type EntryOptions = {
  readonly url: string
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

export const PLACEHOLDER = '<your key>'
export const KEY_VARIABLE = 'MCP_GATEWAY_KEY'

export function clientEntry(client: Client, { url, key, name, self }: EntryOptions): ClientEntry {
  const authorization = (reference: string): object => ({ Authorization: `Bearer ${key ?? reference}` })
  switch (client) {
    case 'claude-code':
      return { parent: 'mcpServers', entry: { type: 'http', url, headers: authorization(`\${${KEY_VARIABLE}}`) } }
    case 'cursor':
      return { parent: 'mcpServers', entry: { url, headers: authorization(`\${env:${KEY_VARIABLE}}`) } }
    case 'claude-desktop': {
      // Its file starts programs only, and has no references to variables.
      const entry = {
        command: self.command,
        args: [...self.args, 'stdio', '--url', url],
        env: { [KEY_VARIABLE]: key ?? PLACEHOLDER },
      }
      return { parent: 'mcpServers', entry }
    }
    case 'vscode': {
      const id = `${name}-key`
      const entry = { type: 'http', url, headers: authorization(`\${input:${id}}`) }
      const input = { type: 'promptString', id, description: 'API key of the MCP gateway', password: true }
      return key === undefined ? { parent: 'servers', entry, input } : { parent: 'servers', entry }
    }
  }
}

/** The whole file, for somebody who has none yet. */
export function clientDocument({ parent, entry, input }: ClientEntry, name: string): object {
  return { [parent]: { [name]: entry }, ...(input && { inputs: [input] }) }
}

/** The same for Claude Code as a command. */
export function claudeCodeCommand({ url, key, name }: Omit<EntryOptions, 'self'>): string {
  const header = `Authorization: Bearer ${key ?? `$${KEY_VARIABLE}`}`
  return `claude mcp add --transport http ${name} ${url} --header "${header}"`
}
