import { afterAll, describe, expect, test } from 'vitest'
import { folder } from './cli.ts'

const dir = folder()
afterAll(() => dir[Symbol.dispose]())

const commands = [
  ['init'],
  ['serve'],
  ['stdio'],
  ['doctor'],
  ['version'],
  ['connect'],
  ...['list', 'add', 'remove', 'test'].map((verb) => ['servers', verb]),
  ...['create', 'list', 'revoke'].map((verb) => ['keys', verb]),
  ...['list', 'call'].map((verb) => ['tools', verb]),
]

describe('--help', () => {
  test.each(commands.map((words) => [words.join(' '), words] as const))(
    '%s has examples and exit codes',
    async (_, words) => {
      const { code, stdout, stderr } = await dir.run([...words, '--help'])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain(`Usage: mcp-gateway ${words.join(' ')}`)
      expect(stdout).toMatch(new RegExp(`Examples:\\n  \\$ mcp-gateway ${words.join(' ')}`))
      expect(stdout).toContain('3  the configuration is missing or not valid')
      expect(stdout).toContain('--json')
    },
  )

  test('names every command', async () => {
    const { code, stdout } = await dir.run(['--help'])
    expect(code).toBe(0)
    for (const [name] of commands) expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
  })
})

describe('what is not understood ends with 2', () => {
  test.each<[string, string]>([
    ['serv', "unknown command 'serv'\n  Did you mean serve?"],
    ['servers lst', "unknown command 'lst'\n  Did you mean list?"],
    ['keys list --jsn', "unknown option '--jsn'\n  Did you mean --json?"],
    ['usag', "unknown command 'usag'"],
    ['keys list extra', "too many arguments for 'list'"],
    ['keys create', "missing required argument 'name'"],
    ['servers add files npx -y pkg', 'unknown option \'-y\'\n  Put "--" before'],
    ['serve --port 99999', '--port must be a port number'],
    ['serve --port 1e3', '--port must be a port number'],
    ['connect emacs', 'the clients are claude-code, claude-desktop, cursor, vscode, not "emacs"'],
    ['tools call a b []', 'the arguments must be a JSON object'],
    ['tools call a b {', 'the arguments must be a JSON object'],
  ])('%s', async (line, message) => {
    const { code, stdout, stderr } = await dir.run(line.split(' '))
    expect(stderr).toContain(message)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })

  test.each(['', 'servers', 'keys', 'tools'])(
    '%j without a command prints the help and is no success',
    async (line) => {
      const { code, stdout, stderr } = await dir.run(line === '' ? [] : [line])
      expect(stderr).toContain('which command?')
      expect(stderr).toContain('Usage: mcp-gateway')
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    },
  )
})

describe('--json', () => {
  test.each<[string, number, string]>([
    ['serv --json', 2, 'CLI_USAGE'],
    ['--json serv', 2, 'CLI_USAGE'],
    ['keys list --json', 3, 'CLI_CONFIG_NOT_FOUND'],
    ['serve --json', 3, 'CLI_CONFIG_NOT_FOUND'],
    ['tools list --json --config nowhere.yaml', 3, 'CLI_CONFIG_NOT_FOUND'],
  ])('%s is refused in JSON, and in nothing else', async (line, code, errorCode) => {
    const result = await dir.run(line.split(' '))
    expect(result).toMatchObject({ code, stderr: '' })
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: errorCode, message: expect.any(String) } })
  })

  test('after "--" it belongs to the other program', async () => {
    using own = folder()
    own.write('gateway.yaml', 'servers: []\n')
    const { code, stdout } = await own.run(['servers', 'add', 'a', '--', 'node', '--json'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Added "a"/)
  })
})

describe('which configuration', () => {
  test('flag, then MCP_GATEWAY_CONFIG, then gateway.yaml, then .mcp-gateway/gateway.yaml', async () => {
    using own = folder()
    const list = async (args: readonly string[], env = {}): Promise<unknown> => {
      const { stdout } = await own.run(['servers', 'list', '--json', ...args], { env })
      return (JSON.parse(stdout) as { servers: { id: string }[] }).servers.map(({ id }) => id)
    }
    const config = (id: string): object => ({ servers: [{ id, command: 'node' }] })
    own.write('.mcp-gateway/gateway.yaml', config('hidden'))
    expect(await list([])).toEqual(['hidden'])
    own.write('gateway.yaml', config('here'))
    expect(await list([])).toEqual(['here'])
    own.write('env.yaml', config('env'))
    expect(await list([], { MCP_GATEWAY_CONFIG: 'env.yaml' })).toEqual(['env'])
    own.write('flag.yaml', config('flag'))
    expect(await list(['--config', 'flag.yaml'], { MCP_GATEWAY_CONFIG: 'env.yaml' })).toEqual(['flag'])
  })

  test('a wrong one ends with 3 and every finding', async () => {
    using own = folder()
    own.write('gateway.yaml', 'prt: 1\nservers:\n  - id: a\n    comand: node\n')
    const { code, stdout, stderr } = await own.run(['keys', 'list'])
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toBe(`mcp-gateway: gateway.yaml:1:1 prt: unknown key; did you mean "port"?
gateway.yaml:3:5 servers[0]: needs "command" (a local program) or "url" (a remote address)
gateway.yaml:4:5 servers[0].comand: unknown key; did you mean "command"?
`)
    const json = await own.run(['keys', 'list', '--json'])
    expect(JSON.parse(json.stdout)).toMatchObject({
      error: { code: 'CONFIG_INVALID', findings: [{ line: 1 }, { line: 3 }, { line: 4, suggestion: 'command' }] },
    })
  })
})

test('version', async () => {
  expect(await dir.run(['version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
})
