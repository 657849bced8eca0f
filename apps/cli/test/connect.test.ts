import { chmodSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { folder, type Folder } from './cli.ts'

const withConfig = (): Folder => {
  const dir = folder()
  dir.write('gateway.yaml', 'port: 3200\nservers: [{ id: files, command: node }]\n')
  return dir
}
const printed = async (dir: Folder, args: readonly string[]): Promise<unknown> => {
  const { stdout } = await dir.run(['connect', ...args, '--json'])
  return (JSON.parse(stdout) as { document: unknown }).document
}

describe('connect prints', () => {
  test('for Claude Code: a reference, and a command', async () => {
    using dir = withConfig()
    expect(await printed(dir, ['claude-code'])).toEqual({
      mcpServers: {
        gateway: {
          type: 'http',
          url: 'http://127.0.0.1:3200/mcp',
          headers: { Authorization: 'Bearer ${MCP_GATEWAY_KEY}' },
        },
      },
    })
    const { code, stdout } = await dir.run(['connect', 'claude-code', '--key', 'gw_k', '--name', 'mine'])
    expect(code).toBe(0)
    expect(stdout).toContain(
      'claude mcp add --transport http mine http://127.0.0.1:3200/mcp --header "Authorization: Bearer gw_k"',
    )
  })

  test('for Cursor, one server only', async () => {
    using dir = withConfig()
    expect(await printed(dir, ['cursor', '--server', 'files'])).toEqual({
      mcpServers: {
        gateway: {
          url: 'http://127.0.0.1:3200/mcp/server/files',
          headers: { Authorization: 'Bearer ${env:MCP_GATEWAY_KEY}' },
        },
      },
    })
  })

  test('for VS Code: a question for the key', async () => {
    using dir = withConfig()
    expect(await printed(dir, ['vscode'])).toEqual({
      servers: {
        gateway: {
          type: 'http',
          url: 'http://127.0.0.1:3200/mcp',
          headers: { Authorization: 'Bearer ${input:gateway-key}' },
        },
      },
      inputs: [{ type: 'promptString', id: 'gateway-key', description: expect.any(String), password: true }],
    })
  })

  test('for Claude Desktop: the stdio bridge', async () => {
    using dir = withConfig()
    expect(await printed(dir, ['claude-desktop', '--server', 'files', '--key', 'gw_k'])).toEqual({
      mcpServers: {
        gateway: {
          command: process.execPath,
          args: [
            '--conditions=@mcp-gateway/source',
            expect.stringMatching(/main\.ts$/),
            'stdio',
            '--url',
            'http://127.0.0.1:3200',
            '--server',
            'files',
          ],
          env: { MCP_GATEWAY_KEY: 'gw_k' },
        },
      },
    })
  })

  test.each(['https://gw.example.com', 'https://gw.example.com/', 'https://gw.example.com/mcp'])(
    'for %s',
    async (url) => {
      using dir = folder()
      expect(await printed(dir, ['cursor', '--url', url])).toMatchObject({
        mcpServers: { gateway: { url: 'https://gw.example.com/mcp' } },
      })
    },
  )

  test('an unknown server is a failure', async () => {
    using dir = withConfig()
    expect(await dir.run(['connect', 'cursor', '--server', 'x'])).toMatchObject({
      code: 1,
      stderr: 'mcp-gateway: there is no server "x"\n  There is files.\n',
    })
  })
})

describe('connect --write', () => {
  test('makes the file, closed to others', async () => {
    using dir = withConfig()
    expect(await dir.run(['connect', 'vscode', '--write'])).toMatchObject({ code: 0 })
    expect(JSON.parse(dir.read('.vscode/mcp.json'))).toEqual(await printed(dir, ['vscode']))
    expect(statSync(join(dir.path, '.vscode/mcp.json')).mode & 0o777).toBe(0o600)
  })

  test('keeps comments, other entries and the mode, and leaves a backup', async () => {
    using dir = withConfig()
    const before =
      '{\n\t// mine\n\t"mcpServers": {\n\t\t"other": { "command": "x" }, // stays\n\t},\n\t"theme": "dark"\n}\n'
    const file = dir.write('.cursor/mcp.json', before)
    chmodSync(file, 0o644)
    const { code, stdout } = await dir.run(['connect', 'cursor', '--write', '--scope', 'project'])
    expect(code).toBe(0)
    const after = dir.read('.cursor/mcp.json')
    const added = after.split('\n').filter((line) => !before.split('\n').includes(line))
    expect(before.split('\n').filter((line) => !after.split('\n').includes(line))).toEqual([])
    expect(added[0]).toBe('\t\t"gateway": {')
    expect(statSync(file).mode & 0o777).toBe(0o644)
    const [backup = ''] = readdirSync(join(dir.path, '.cursor')).filter((name) => name.includes('backup'))
    expect(dir.read(join('.cursor', backup))).toBe(before)
    expect(stdout).toContain(backup)
  })

  test('twice is the same as once', async () => {
    using dir = withConfig()
    dir.write('.vscode/mcp.json', { servers: { other: { command: 'x' } }, inputs: [{ type: 'promptString', id: 'a' }] })
    await dir.run(['connect', 'vscode', '--write'])
    const once = dir.read('.vscode/mcp.json')
    await dir.run(['connect', 'vscode', '--write'])
    expect(dir.read('.vscode/mcp.json')).toBe(once)
    expect(JSON.parse(once)).toMatchObject({
      servers: { other: { command: 'x' }, gateway: { type: 'http' } },
      inputs: [{ id: 'gateway-key' }, { id: 'a' }],
    })
  })

  test.each(['not json', '[1]', '{"a": }'])('leaves %j as it was', async (text) => {
    using dir = withConfig()
    dir.write('.mcp.json', text)
    const { code, stderr } = await dir.run(['connect', 'claude-code', '--write'])
    expect(stderr).toContain('is not a JSON object; it was left as it is')
    expect(code).toBe(1)
    expect(dir.read('.mcp.json')).toBe(text)
  })

  test('Claude Desktop needs the key itself', async () => {
    using dir = withConfig()
    expect(await dir.run(['connect', 'claude-desktop', '--write'])).toMatchObject({ code: 2 })
    const env = { XDG_CONFIG_HOME: join(dir.path, 'xdg') }
    expect(await dir.run(['connect', 'claude-desktop', '--write', '--key', 'gw_k'], { env })).toMatchObject({ code: 0 })
    if (process.platform === 'linux') expect(dir.read('xdg/Claude/claude_desktop_config.json')).toContain('gw_k')
  })

  test('a scope the client does not have is refused', async () => {
    using dir = withConfig()
    expect(await dir.run(['connect', 'claude-desktop', '--scope', 'project'])).toMatchObject({ code: 2 })
  })
})
