import { parseConfig, type Config } from '@mcp-gateway/gateway'
import { describe, expect, test } from 'vitest'
import { everything, folder, type Folder } from './cli.ts'

const configOf = (dir: Folder, env: Record<string, string> = {}): Config =>
  parseConfig(dir.read('gateway.yaml'), { env })

describe('servers add', () => {
  test('a local program', async () => {
    using dir = folder()
    dir.write('gateway.yaml', '# mine\nservers:\n  # the first\n  - id: first\n    command: node\n')
    const options = ['--name', 'My files', '--env', 'A=1', '--env', 'TOKEN', '--tag', 'x', '--timeout', '500']
    const program = ['npx', '-y', '@modelcontextprotocol/server-filesystem', './data', '--port', '8080']
    const { code, stdout, stderr } = await dir.run(['servers', 'add', 'files', ...options, '--', ...program])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Added "files" to gateway.yaml')
    expect(configOf(dir, { TOKEN: 't' }).servers[1]).toMatchObject({
      id: 'files',
      name: 'My files',
      enabled: true,
      tags: ['x'],
      timeout: 500,
      transport: 'stdio',
      command: 'npx',
      args: ['-y', '@modelcontextprotocol/server-filesystem', './data', '--port', '8080'],
      env: { A: '1', TOKEN: 't' },
    })
    expect(dir.read('gateway.yaml')).toMatch(/^# mine\nservers:\n {2}# the first\n {2}- id: first\n/)
  })

  test('a remote address', async () => {
    using dir = folder()
    dir.write('gateway.yaml', '')
    const args = [
      '--url',
      'https://example.com/mcp',
      '--header',
      'Authorization: Bearer ${TOKEN}',
      '--header',
      'X-Team: blue',
    ]
    expect(await dir.run(['servers', 'add', 'far', ...args])).toMatchObject({ code: 0 })
    expect(configOf(dir, { TOKEN: 't' }).servers[0]).toMatchObject({
      transport: 'http',
      url: 'https://example.com/mcp',
      headers: { Authorization: 'Bearer t', 'X-Team': 'blue' },
    })
  })

  test('a secret is not written down', async () => {
    using dir = folder()
    dir.write('gateway.yaml', '')
    const local = await dir.run(['servers', 'add', 'a', '--env', 'API_KEY=hunter2', '--', 'node'])
    const remote = await dir.run([
      'servers',
      'add',
      'b',
      '--url',
      'http://x',
      '--header',
      'Authorization: Bearer hunter2',
    ])
    expect(local.stdout).toContain('export API_KEY=…')
    expect(remote.stdout).toContain('export AUTHORIZATION=…')
    expect(dir.read('gateway.yaml')).not.toContain('hunter2')
    expect(configOf(dir, { API_KEY: 'k', AUTHORIZATION: 't' }).servers).toMatchObject([
      { env: { API_KEY: 'k' } },
      { headers: { Authorization: 'Bearer t' } },
    ])
  })

  test('the same id needs --force', async () => {
    using dir = folder()
    const text = 'servers:\n  - id: a\n    command: old\n  - id: b\n    command: other\n'
    dir.write('gateway.yaml', text)
    expect(await dir.run(['servers', 'add', 'a', '--', 'new'])).toMatchObject({
      code: 1,
      stderr: 'mcp-gateway: there is a server "a" already\n  Replace it with --force.\n',
    })
    expect(dir.read('gateway.yaml')).toBe(text)
    expect(await dir.run(['servers', 'add', 'a', '--force', '--', 'new'])).toMatchObject({ code: 0 })
    expect(dir.read('gateway.yaml')).toBe(text.replace('old', 'new'))
  })

  test.each<[string, readonly string[], number, string]>([
    ['neither command nor url', ['a'], 2, 'give either --url or'],
    ['both', ['a', '--url', 'http://x', '--', 'node'], 2, 'give either --url or'],
    ['an id with capitals', ['Files', '--', 'node'], 3, 'servers[0].id: must be lower-case'],
    ['an id with "__"', ['a__b', '--', 'node'], 3, 'servers[0].id: must be lower-case'],
    ['a URL that is none', ['a', '--url', 'ftp://x'], 3, 'servers[0].url: must be an http'],
    [
      'an unknown transport',
      ['a', '--url', 'http://x', '--transport', 'ws'],
      3,
      'servers[0].transport: expected one of',
    ],
    ['a timeout in words', ['a', '--timeout', 'soon', '--', 'node'], 3, 'servers[0].timeout'],
    ['a header without a colon', ['a', '--url', 'http://x', '--header', 'oops'], 2, '--header needs NAME:value'],
  ])('%s is refused and nothing is written', async (_, args, code, message) => {
    using dir = folder()
    dir.write('gateway.yaml', '# untouched\n')
    const result = await dir.run(['servers', 'add', ...args])
    expect(result.stderr).toContain(message)
    expect(result.code).toBe(code)
    expect(dir.read('gateway.yaml')).toBe('# untouched\n')
  })
})

describe('servers remove', () => {
  test('takes one out and leaves the rest', async () => {
    using dir = folder()
    dir.write('gateway.yaml', 'servers:\n  # keep\n  - id: a\n    command: x # why\n  - id: b\n    command: y\n')
    expect(await dir.run(['servers', 'remove', 'b'])).toMatchObject({ code: 0 })
    expect(dir.read('gateway.yaml')).toBe('servers:\n  # keep\n  - id: a\n    command: x # why\n')
    expect(await dir.run(['servers', 'remove', 'a'])).toMatchObject({ code: 0 })
    expect(configOf(dir).servers).toEqual([])
  })

  test('an unknown one is a failure', async () => {
    using dir = folder()
    dir.write('gateway.yaml', 'servers: [{ id: a, command: x }]\n')
    expect(await dir.run(['servers', 'remove', 'b'])).toMatchObject({
      code: 1,
      stderr: 'mcp-gateway: there is no server "b" in gateway.yaml\n  There is a.\n',
    })
  })
})

test('servers list shows no secrets, and no control characters', async () => {
  using dir = folder()
  dir.write('gateway.yaml', {
    servers: [
      { id: 'a', name: 'A\u001b[2J', command: 'node', args: ['--token', 'hunter2'], env: { T: 'hunter2' } },
      { id: 'b', url: 'https://x.example/mcp?token=hunter2', headers: { T: 'hunter2' }, enabled: false },
    ],
  })
  const { code, stdout } = await dir.run(['servers', 'list'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^a +stdio +enabled +node +A\uFFFD\[2J$/m)
  expect(stdout).toMatch(/^b +http +disabled +https:\/\/x.example\/mcp +b$/m)
  expect(stdout).not.toContain('hunter2')
})

describe('servers test', () => {
  test('starts a server, lists its tools and leaves no process behind', async () => {
    using dir = folder()
    dir.write('gateway.yaml', { servers: [{ id: 'everything', command: 'node', args: [everything, 'stdio'] }] })
    const { code, stdout, stderr } = await dir.run(['servers', 'test', '--json'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      servers: [{ id: 'everything', ok: true, tools: expect.any(Number), protocolVersion: expect.any(String) }],
    })
  })

  test('one that fails is a failure, and does not hide the others', async () => {
    using dir = folder()
    dir.write('gateway.yaml', {
      servers: [
        { id: 'good', command: 'node', args: [everything, 'stdio'] },
        { id: 'bad', command: 'no-such-program-anywhere' },
      ],
    })
    const { code, stdout, stderr } = await dir.run(['servers', 'test'])
    expect(stdout).toMatch(/^good +ok +\d+ tools/m)
    expect(stdout).toMatch(/^bad +failed +.*no-such-program-anywhere/m)
    expect(stderr).toContain('1 of 2 servers failed')
    expect(code).toBe(1)
    const json = await dir.run(['servers', 'test', '--json'])
    expect(json.code).toBe(1)
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false })
  })

  test('an unknown id is a failure', async () => {
    using dir = folder()
    dir.write('gateway.yaml', { servers: [] })
    expect(await dir.run(['servers', 'test', 'x'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no server "x"'),
    })
  })
})
