import { chmodSync, existsSync, lstatSync, readdirSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { createApiKeys, type ApiKey } from '@mcp-gateway/auth'
import { parseConfig } from '@mcp-gateway/gateway'
import { describe, expect, test } from 'vitest'
import { folder, type Folder } from './cli.ts'

const commented = `# The gateway of the blue team.
port: 3200 # not 3100, that is the red team's

auth:
  keys:
    # Made by hand, long ago.
    - id: old
      key: sha256:${'0'.repeat(64)}
      consumerId: legacy
      roles: [reader] # may only read

servers:
  # Files of the team
  - { id: files, command: node, args: ["-e", "0"] }
  - id: secret
    command: node
    env:
      TOKEN: \${NOT_SET_HERE}
# the end
`

const keysOf = (dir: Folder): readonly ApiKey[] =>
  parseConfig(dir.read('gateway.yaml'), { env: { NOT_SET_HERE: 'x' } }).auth.keys

describe('keys create', () => {
  test('makes a key that opens the gateway, shows it once and stores its hash', async () => {
    using dir = folder()
    dir.write('gateway.yaml', commented)
    const { code, stdout, stderr } = await dir.run(['keys', 'create', 'My Agent', 'agent-1', 'reader,writer'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [key = ''] = stdout.match(/gw_[A-Za-z0-9_-]{43}/) ?? []
    const { authenticate } = createApiKeys({ keys: keysOf(dir) })
    expect(
      authenticate({ method: 'POST', url: 'http://gateway.test/mcp', headers: { 'x-api-key': key } }),
    ).toMatchObject({
      id: 'agent-1',
      name: 'My Agent',
      keyId: expect.stringMatching(/^key-[0-9a-f]{8}$/),
      roles: ['reader', 'writer'],
    })
    expect(dir.read('gateway.yaml')).not.toContain(key)
  })

  test('leaves every other line as it was', async () => {
    using dir = folder()
    dir.write('gateway.yaml', commented)
    await dir.run(['keys', 'create', 'My Agent', 'agent-1', '--id', 'mine'])
    const before = commented.split('\n')
    const after = dir.read('gateway.yaml').split('\n')
    expect(after.filter((line) => !before.includes(line))).toEqual([
      '    - id: mine',
      expect.stringMatching(/^ {6}key: sha256:[0-9a-f]{64}$/),
      '      name: My Agent',
      '      consumerId: agent-1',
      '      roles: []',
    ])
    expect(before.filter((line) => !after.includes(line))).toEqual([])
  })

  test('as JSON is only JSON', async () => {
    using dir = folder()
    dir.write('gateway.yaml', '')
    const { stdout } = await dir.run(['keys', 'create', 'CI', 'ci', '--expires', '30d', '--json'])
    const made = JSON.parse(stdout) as { key: string; expiresAt: string }
    expect(made).toMatchObject({ name: 'CI', consumerId: 'ci', roles: [], key: expect.stringMatching(/^gw_/) })
    const days = (Date.parse(made.expiresAt) - Date.now()) / 86_400_000
    expect(days).toBeGreaterThan(29.99)
    expect(days).toBeLessThanOrEqual(30)
    expect(keysOf(dir)[0]?.expiresAt).toBe(Date.parse(made.expiresAt))
  })

  test.each([
    '',
    '# only a comment\n',
    'auth:\n',
    'auth:\n  keys:\n',
    'auth: {}\n',
    'auth: { keys: [] }\n',
    '{}',
    'port: 1\n',
  ])('finds a place in %j', async (text) => {
    using dir = folder()
    dir.write('gateway.yaml', text)
    const { code, stderr } = await dir.run(['keys', 'create', 'A', 'a', '--id', 'one'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(keysOf(dir).map(({ id }) => id)).toEqual(['one'])
    if (text.startsWith('#')) expect(dir.read('gateway.yaml')).toContain('# only a comment')
  })

  test('a JSON file stays JSON', async () => {
    using dir = folder()
    dir.write('gateway.json', { port: 3300, auth: { keys: [] } })
    const { code } = await dir.run(['keys', 'create', 'A', 'a', 'x', '--config', 'gateway.json'])
    expect(code).toBe(0)
    expect(JSON.parse(dir.read('gateway.json'))).toMatchObject({
      port: 3300,
      auth: { keys: [{ consumerId: 'a', roles: ['x'] }] },
    })
  })

  test.each<[readonly string[], RegExp]>([
    [['A', 'a', '--expires', 'tomorrow'], /--expires must be a date/],
    [['A', 'a', '--expires', '2020-01-01'], /is in the past/],
    [['A', 'a', '--expires', '2027-01-01T00:00'], /--expires must be a date/],
  ])('%j is refused with 2', async (args, message) => {
    using dir = folder()
    dir.write('gateway.yaml', '')
    const { code, stderr } = await dir.run(['keys', 'create', ...args])
    expect(stderr).toMatch(message)
    expect(code).toBe(2)
    expect(dir.read('gateway.yaml')).toBe('')
  })

  test('a consumer the configuration does not allow is refused before anything is written', async () => {
    using dir = folder()
    dir.write('gateway.yaml', commented)
    const { code, stderr } = await dir.run(['keys', 'create', 'A', 'not an id'])
    expect(code).toBe(3)
    expect(stderr).toContain('consumerId: must be a short name')
    expect(dir.read('gateway.yaml')).toBe(commented)
  })

  test('one more than the quota of its consumer is refused before anything is written, until one is revoked', async () => {
    using dir = folder()
    dir.write('gateway.yaml', `${commented}quotas: { maxKeysPerConsumer: 2 }\n`)
    expect(await dir.run(['keys', 'create', 'A', 'legacy', '--id', 'second'])).toMatchObject({ code: 0 })
    const two = dir.read('gateway.yaml')
    const { code, stderr } = await dir.run(['keys', 'create', 'A', 'legacy', '--id', 'third'])
    expect([code, stderr]).toEqual([3, expect.stringContaining('auth.keys[2]: is one key too many')])
    expect(dir.read('gateway.yaml')).toBe(two)
    expect(await dir.run(['keys', 'rotate', 'second'])).toMatchObject({ code: 0 })
    expect(await dir.run(['keys', 'revoke', 'old'])).toMatchObject({ code: 0 })
    expect(await dir.run(['keys', 'create', 'A', 'legacy', '--id', 'third'])).toMatchObject({ code: 0 })
  })

  test('an id that is taken is refused', async () => {
    using dir = folder()
    dir.write('gateway.yaml', commented)
    expect(await dir.run(['keys', 'create', 'A', 'a', '--id', 'old'])).toMatchObject({ code: 1 })
    expect(dir.read('gateway.yaml')).toBe(commented)
  })
})

describe('the file', () => {
  test('keeps its mode, and is never seen half written', async () => {
    using dir = folder()
    const file = dir.write('gateway.yaml', commented)
    chmodSync(file, 0o640)
    expect(await dir.run(['keys', 'create', 'A', 'a'])).toMatchObject({ code: 0 })
    expect(statSync(file).mode & 0o777).toBe(0o640)
    expect(readdirSync(dir.path).filter((name) => name.includes('tmp'))).toEqual([])
  })

  test('stays a symbolic link when it is one', async () => {
    using dir = folder()
    dir.write('real/config.yaml', '')
    symlinkSync(join(dir.path, 'real/config.yaml'), join(dir.path, 'gateway.yaml'))
    expect(await dir.run(['keys', 'create', 'A', 'a'])).toMatchObject({ code: 0 })
    expect(lstatSync(join(dir.path, 'gateway.yaml')).isSymbolicLink()).toBe(true)
    expect(dir.read('real/config.yaml')).toContain('consumerId: a')
  })

  test('two writers at once lose nothing silently', async () => {
    using dir = folder()
    dir.write('gateway.yaml', '')
    const names = ['a', 'b', 'c', 'd']
    const results = await Promise.all(names.map((name) => dir.run(['keys', 'create', name, name, '--id', name])))
    const kept = keysOf(dir).map(({ id }) => id)
    for (const [index, { code, stderr }] of results.entries()) {
      const name = names[index] ?? ''
      if (code === 0) expect(kept).toContain(name)
      else expect(stderr).toContain('was changed by somebody else meanwhile')
    }
    expect(kept.length).toBeGreaterThan(0)
  })
})

describe('keys list', () => {
  test('shows states and no secrets', async () => {
    using dir = folder()
    dir.write('gateway.yaml', {
      auth: {
        keys: [
          { id: 'on', key: `gw_${'s'.repeat(43)}`, name: 'On', consumerId: 'a', roles: ['x', 'y'] },
          { id: 'off', key: `sha256:${'1'.repeat(64)}`, consumerId: 'a', enabled: false },
          { id: 'gone', key: `sha256:${'2'.repeat(64)}`, consumerId: 'b', expiresAt: '2020-01-01' },
        ],
      },
    })
    const { code, stdout } = await dir.run(['keys', 'list'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^on +On +a +x,y +enabled$/m)
    expect(stdout).toMatch(/^off +off +a +revoked$/m)
    expect(stdout).toMatch(/^gone +gone +b +expired +2020-01-01T00:00:00.000Z$/m)
    const json = await dir.run(['keys', 'list', '--json'])
    expect(JSON.parse(json.stdout)).toMatchObject({
      keys: [{ id: 'on' }, { id: 'off', enabled: false }, { id: 'gone' }],
    })
    for (const text of [stdout, json.stdout]) expect(text).not.toMatch(/sss|111|222/)
  })
})

describe('keys revoke', () => {
  test('disables the key and keeps its entry and comments', async () => {
    using dir = folder()
    dir.write('gateway.yaml', commented)
    expect(await dir.run(['keys', 'revoke', 'old'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Revoked "old"'),
    })
    expect(keysOf(dir)).toMatchObject([{ id: 'old', enabled: false }])
    const after = dir.read('gateway.yaml')
    expect(after.split('\n').filter((line) => !commented.split('\n').includes(line))).toEqual(['      enabled: false'])
    expect(await dir.run(['keys', 'revoke', 'old'])).toMatchObject({ code: 0 })
    expect(dir.read('gateway.yaml')).toBe(after)
  })

  test('an unknown one is a failure that names those there are', async () => {
    using dir = folder()
    dir.write('gateway.yaml', commented)
    const { code, stderr } = await dir.run(['keys', 'revoke', 'key-123'])
    expect(code).toBe(1)
    expect(stderr).toBe('mcp-gateway: there is no key "key-123" in gateway.yaml\n  There is "old".\n')
    expect(existsSync(join(dir.path, 'gateway.yaml'))).toBe(true)
    expect(dir.read('gateway.yaml')).toBe(commented)
  })
})

describe('keys rotate', () => {
  test('gives a new secret, keeps the old one for the overlap, and the list says when it was used', async () => {
    using dir = folder()
    const old = `gw_${'o'.repeat(43)}`
    dir.write('gateway.yaml', `auth:\n  keys:\n    - { id: ci, key: ${old}, consumerId: ci }\n`)
    const { code, stdout } = await dir.run(['keys', 'rotate', 'ci', '--overlap', '2h'])
    expect(code).toBe(0)
    const [key = ''] = stdout.match(/gw_[A-Za-z0-9_-]{43}/) ?? []
    const headers = (secret: string) => ({
      method: 'POST',
      url: 'http://gateway.test/mcp',
      headers: { 'x-api-key': secret },
    })
    const later = createApiKeys({ keys: keysOf(dir), clock: () => Date.now() + 3 * 3_600_000 })
    const now = createApiKeys({ keys: keysOf(dir) })
    expect([now.authenticate(headers(key)), now.authenticate(headers(old))]).toMatchObject([
      { keyId: 'ci' },
      { keyId: 'ci' },
    ])
    expect(later.authenticate(headers(key))).toMatchObject({ keyId: 'ci' })
    expect(() => later.authenticate(headers(old))).toThrow(/expired/)
    expect((await dir.run(['keys', 'rotate', 'nobody'])).code).toBe(1)
    expect((await dir.run(['keys', 'rotate', 'ci', '--overlap', 'soon'])).stderr).toContain('--overlap must be')
  })
})
