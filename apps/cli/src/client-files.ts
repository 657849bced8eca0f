/** Where MCP clients keep their servers, on each system. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Context } from './context.ts'

export const clients = ['claude-code', 'claude-desktop', 'cursor', 'vscode'] as const
export type Client = (typeof clients)[number]

export type ClientFile = {
  readonly client: Client
  readonly file: string
  readonly scope: 'project' | 'user'
}

type Places = Pick<Context, 'cwd' | 'home' | 'platform' | 'env'>

/** Every place a client may keep servers in, those of the project first. */
export function clientFiles({ cwd, home, platform, env }: Places): readonly ClientFile[] {
  const appData = env['APPDATA'] ?? join(home, 'AppData', 'Roaming')
  const support =
    platform === 'darwin'
      ? join(home, 'Library', 'Application Support')
      : platform === 'win32'
        ? appData
        : (env['XDG_CONFIG_HOME'] ?? join(home, '.config'))
  return [
    { client: 'claude-code', scope: 'project', file: join(cwd, '.mcp.json') },
    { client: 'cursor', scope: 'project', file: join(cwd, '.cursor', 'mcp.json') },
    { client: 'vscode', scope: 'project', file: join(cwd, '.vscode', 'mcp.json') },
    { client: 'claude-code', scope: 'user', file: join(home, '.claude.json') },
    { client: 'claude-desktop', scope: 'user', file: join(support, 'Claude', 'claude_desktop_config.json') },
    { client: 'cursor', scope: 'user', file: join(home, '.cursor', 'mcp.json') },
    { client: 'vscode', scope: 'user', file: join(support, 'Code', 'User', 'mcp.json') },
  ]
}

export function existingClientFiles(places: Places): readonly ClientFile[] {
  return clientFiles(places).filter(({ file }) => existsSync(file))
}

export function isClient(text: string): text is Client {
  return (clients as readonly string[]).includes(text)
}
