import { statSync } from 'node:fs'
import { join } from 'node:path'
import { createApiKeys } from '@mcp-gateway/auth'
import { configJsonSchema, parseConfig, type Config } from '@mcp-gateway/gateway'
import { describe, expect, test } from 'vitest'
import { folder, type Folder } from './cli.ts'

const configOf = (dir: Folder, env: Record<string, string> = {}): Config =>
  parseConfig(dir.read('gateway.yaml'), { env })

/** Every value that must not be found in what is written or printed. */
const secrets = [
  'ghp_abcdefghijklmnopqrstuvwxyz0123456789',
  's3cr3t-v4lue',
  'hunter2',
  'Zm9vOmJhcg',
  'letmein',
  'p4ssw0rd',
]

const claude = {
  mcpServers: {
    'GitHub MCP': {
      command: 'npx',
      args: ['-y', '@modelcontextprotocol/server-github'],
      env: { GITHUB_TOKEN: secrets[0], LOG_LEVEL: 'debug', HOME_DIR: '/home/me' },
    },
    reference: {
      url: 'https://a.example/mcp',
      type: 'http',
      headers: { Authorization: 'Bearer ${A_TOKEN}', 'X-Key': secrets[1] },
    },
    bearer: { url: 'https://b.example/sse', type: 'sse', headers: { Authorization: `Basic ${secrets[3]}` } },
    remote: {
      command: 'npx',
      args: ['mcp-remote', 'https://c.example/?api_key=hunter2', '--header', 'X-Auth: hunter2'],
    },
    docker: {
      command: 'docker',
      args: ['run', '-e', 'DB_PASSWORD=letmein', 'image', '--token', 'p4ssw0rd', '--api-key=letmein'],
    },
    dsn: { command: 'db', args: ['postgres://user:p4ssw0rd@host/db'] },
    gateway: { command: 'npx', args: ['-y', '@mcp-gateway/cli', 'stdio'] },
    socket: { type: 'ws', url: 'wss://x' },
    off: { command: 'x', disabled: true },
  },
}

describe('init', () => {
  test('in a pipe asks nothing, and what it writes is valid, commented and closed to others', async () => {
    using dir = folder()
    const { code, stdout, stderr } = await dir.run(['init'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [key = ''] = stdout.match(/gw_[A-Za-z0-9_-]{43}/) ?? []
    const text = dir.read('gateway.yaml')
    expect(text).toMatch(/^# yaml-language-server: \$schema=\.\/gateway\.schema\.json\n/)
    expect(text).not.toContain(key)
    expect(JSON.parse(dir.read('gateway.schema.json'))).toEqual(configJsonSchema())
    expect(statSync(join(dir.path, 'gateway.yaml')).mode & 0o777).toBe(0o600)
    const config = configOf(dir)
    expect(config).toMatchObject({ host: '127.0.0.1', port: 3100, servers: [] })
    const { authenticate } = createApiKeys({ keys: config.auth.keys })
    expect(
      authenticate({ method: 'POST', url: 'http://gateway.test/mcp', headers: { 'x-api-key': key } }),
    ).toMatchObject({ keyId: 'default' })
  })

  test('replaces nothing without --force, and closes what it replaces', async () => {
    using dir = folder()
    dir.write('gateway.yaml', 'mine')
    const refused = await dir.run(['init', '--yes'])
    expect(refused).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'mcp-gateway: gateway.yaml exists\n  Replace it with --force.\n',
    })
    expect(dir.read('gateway.yaml')).toBe('mine')
    expect(await dir.run(['init', '--yes', '--force', '--port', '3999'])).toMatchObject({ code: 0 })
    expect(configOf(dir).port).toBe(3999)
    expect(statSync(join(dir.path, 'gateway.yaml')).mode & 0o777).toBe(0o600)
  })

  test('--config names the file, and the schema lies beside it', async () => {
    using dir = folder()
    expect(await dir.run(['init', '--config', 'etc/mine.yaml'])).toMatchObject({ code: 0 })
    expect(dir.read('etc/mine.yaml')).toContain('servers: []')
    expect(dir.read('etc/gateway.schema.json')).toContain('MCP Gateway configuration')
  })

  test('--json is only JSON', async () => {
    using dir = folder()
    const { stdout, stderr } = await dir.run(['init', '--demo', '--json'])
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({
      key: expect.stringMatching(/^gw_/),
      servers: ['everything', 'filesystem'],
    })
  })
})

describe('init --from', () => {
  test('takes servers over and copies no secret', async () => {
    using dir = folder()
    dir.write('claude.json', claude)
    const { code, stdout, stderr } = await dir.run(['init', '--from', 'claude.json'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const secret of secrets) expect(stdout + dir.read('gateway.yaml')).not.toContain(secret)

    const names = [...stdout.matchAll(/^ {2}export (\w+)=…/gm)].map(([, name]) => String(name))
    const env = Object.fromEntries(names.map((name) => [name, `<${name}>`]))
    expect(configOf(dir, { ...env, REMOTE_ARG_2: 'https://c.example' }).servers).toMatchObject([
      {
        id: 'github-mcp',
        name: 'GitHub MCP',
        command: 'npx',
        args: ['-y', '@modelcontextprotocol/server-github'],
        env: { GITHUB_TOKEN: '<GITHUB_TOKEN>', LOG_LEVEL: 'debug', HOME_DIR: '/home/me' },
      },
      {
        id: 'reference',
        transport: 'http',
        headers: { Authorization: 'Bearer <A_TOKEN>', 'X-Key': '<REFERENCE_X_KEY>' },
      },
      { id: 'bearer', transport: 'sse', headers: { Authorization: 'Basic <BEARER_TOKEN>' } },
      { id: 'remote', args: ['mcp-remote', 'https://c.example', '--header', 'X-Auth: <REMOTE_X_AUTH>'] },
      {
        id: 'docker',
        args: [
          'run',
          '-e',
          'DB_PASSWORD=<DB_PASSWORD>',
          'image',
          '--token',
          '<DOCKER_TOKEN>',
          '--api-key=<DOCKER_API_KEY>',
        ],
      },
      { id: 'dsn', args: ['<DSN_ARG_1>'] },
      { id: 'off', enabled: false },
    ])
    expect(stdout).toContain('gateway: it is the gateway itself')
    expect(stdout).toContain('socket: its transport is ws')
  })

  test('two values of one name get two names', async () => {
    using dir = folder()
    const server = (token: string): object => ({ command: 'x', env: { API_TOKEN: token } })
    dir.write('a.json', { mcpServers: { one: server('alpha'), two: server('beta'), three: server('alpha') } })
    await dir.run(['init', '--from', 'a.json'])
    expect(configOf(dir, { API_TOKEN: '1', TWO_API_TOKEN: '2' }).servers).toMatchObject([
      { env: { API_TOKEN: '1' } },
      { env: { API_TOKEN: '2' } },
      { env: { API_TOKEN: '1' } },
    ])
  })

  test('reads VS Code with comments, inputs and folders, and Cursor from its place', async () => {
    using dir = folder()
    dir.write(
      '.vscode/mcp.json',
      `{ // mine
  "inputs": [{ "type": "promptString", "id": "db-pass", "password": true }],
  "servers": {
    "db": { "type": "stdio", "command": "\${workspaceFolder}/db", "args": ["postgres://u:\${input:db-pass}@h/d", "$\${x", "5$"], "envFile": ".env", "env": { "ODD": "\${command:a}" } },
  },
}`,
    )
    dir.write('home/.cursor/mcp.json', {
      mcpServers: { far: { url: 'https://x.example/mcp', headers: { 'X-Team': '${env:TEAM}' } } },
    })
    const { code, stdout } = await dir.run(['init', '--from', 'vscode', '--from', 'cursor'], { env: { TEAM: 'blue' } })
    expect(code).toBe(0)
    expect(configOf(dir, { DB_PASS: 'p', TEAM: 'blue' }).servers).toMatchObject([
      {
        id: 'db',
        command: `${dir.path}/db`,
        args: ['postgres://u:p@h/d', '$${x', '5$'],
        env: { ODD: '${command:a}' },
      },
      { id: 'far', headers: { 'X-Team': 'blue' } },
    ])
    expect(stdout).toContain('export DB_PASS=…')
    expect(stdout).toContain('its envFile is not read')
    expect(stdout).toContain('${command:a} has no meaning here')
    expect(stdout).not.toContain('export TEAM')
  })

  test('reads the servers of this project from ~/.claude.json', async () => {
    using dir = folder()
    const projects = {
      [dir.path]: { mcpServers: { here: { command: 'x' } } },
      '/elsewhere': { mcpServers: { there: { command: 'y' } } },
    }
    dir.write('home/.claude.json', { numStartups: 5, mcpServers: { everywhere: { command: 'z' } }, projects })
    await dir.run(['init', '--from', 'claude-code'])
    expect(configOf(dir).servers.map(({ id }) => id)).toEqual(['everywhere', 'here'])
  })

  test('a server that cannot be is left out with its reason, the others are taken', async () => {
    using dir = folder()
    dir.write('a.json', {
      mcpServers: {
        good: { command: 'x' },
        日本: { command: 'y' },
        '': { command: 'z' },
        bad: { url: 'https://x', headers: { 'not a name': 'v' } },
        empty: {},
        password: { url: 'https://user:hunter2@x' },
      },
    })
    const { code, stdout } = await dir.run(['init', '--from', 'a.json'])
    expect(code).toBe(0)
    expect(configOf(dir).servers.map(({ id, name }) => [id, name])).toEqual([
      ['good', 'good'],
      ['server', '日本'],
      ['server-2', 'server-2'],
    ])
    expect(stdout).toContain('bad: headers["not a name"] is not an HTTP header name')
    expect(stdout).toContain('empty: it has neither command nor url')
    expect(stdout).toContain('password: its URL holds a password')
    expect(stdout + dir.read('gateway.yaml')).not.toContain('hunter2')
  })

  test.each<[string, string | undefined, string]>([
    ['a file that is not there', undefined, 'there is no such file'],
    ['text', 'hello', 'a.json:1 is not JSON'],
    ['half a file', '{\n  "mcpServers": {', 'a.json:2 is not JSON'],
    ['another kind of file', '{"name": "x"}', 'a.json has neither "mcpServers" nor "servers"'],
  ])('%s is refused, and nothing is written', async (_, content, message) => {
    using dir = folder()
    if (content !== undefined) dir.write('a.json', content)
    const { code, stderr } = await dir.run(['init', '--from', 'a.json'])
    expect(stderr).toContain(message)
    expect(code).toBe(1)
    expect(() => dir.read('gateway.yaml')).toThrow('ENOENT')
  })
})
