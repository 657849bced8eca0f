import { resolve } from 'node:path'
import { configJsonSchema, ConfigError, parseConfig, type Config } from '@mcp-gateway/gateway'
import { hashApiKey } from '@mcp-gateway/auth'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const plainKey = `gw_${'a'.repeat(43)}`

const parse = (text: string, env: Record<string, string> = {}): Config =>
  parseConfig(text, { env, file: 'gateway.yaml' })

const refusal = (text: string, env: Record<string, string> = {}): ConfigError => {
  try {
    parse(text, env)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('the configuration was accepted')
}

describe('parseConfig', () => {
  test.each([
    '',
    '# nothing yet\n',
    '{}',
    'servers: []',
    'servers:\n  # - id: later\nauth:\nlog:\n',
    'auth:\n  keys:\n',
  ])('%j is a complete configuration', (text) => {
    expect(parse(text)).toEqual({
      host: '127.0.0.1',
      port: 3100,
      allowedHosts: [],
      allowedOrigins: [],
      auth: { type: 'api-key', keys: [], oidc: [], scopes: [] },
      servers: [],
      limits: {
        maxBodyBytes: 4_194_304,
        maxDepth: 128,
        maxBatch: 50,
        maxSessions: 1000,
        maxSessionsPerCaller: 100,
        sessionIdleMs: 1_800_000,
        maxLineBytes: 16_777_216,
        maxConcurrentCalls: 1024,
        maxConnectionsPerServer: 100,
        maxParkedCalls: 1000,
      },
      discovery: 'all',
      discoveryThreshold: 1000,
      policyMode: 'enforce',
      trustedProxies: [],
      audit: {
        enabled: true,
        storage: 'sqlite',
        mode: 'sync',
        onFailure: 'closed',
        arguments: 'redacted',
        responses: 'redacted',
        maxBodyBytes: 16_384,
        checkpointIntervalMs: 60_000,
        witnesses: [],
        export: [],
      },
      metrics: { enabled: true },
      log: { level: 'info' },
    })
  })

  test('reads keys and both kinds of servers', () => {
    const config = parse(`
auth:
  keys:
    - { id: k1, key: ${plainKey}, name: My Agent, consumerId: agent-1, roles: [reader], enabled: false, expiresAt: 2027-01-31T00:00:00+01:00 }
    - { id: k2, key: ${hashApiKey('gw_other')}, consumerId: agent-1, expiresAt: 5 }
servers:
  - { id: files, command: node, args: [server.js], env: { A: '1' }, tags: [x], timeout: 5, description: Files }
  - { id: far, name: Far away, url: 'https://example.com/mcp', headers: { X-Token: t } }
  - { id: old, url: 'http://example.com/sse', transport: sse, enabled: false }
`)
    const more = { attributes: {}, tenantId: 'default' }
    expect(config.auth.keys).toEqual([
      {
        ...more,
        id: 'k1',
        key: plainKey,
        name: 'My Agent',
        consumerId: 'agent-1',
        roles: ['reader'],
        enabled: false,
        expiresAt: Date.parse('2027-01-30T23:00:00Z'),
      },
      {
        ...more,
        id: 'k2',
        key: hashApiKey('gw_other'),
        name: 'k2',
        consumerId: 'agent-1',
        roles: [],
        enabled: true,
        expiresAt: 5,
      },
    ])
    const times = { maxTimeout: 3_600_000, startTimeout: 30_000, idleStop: 300_000, healthInterval: 30_000 }
    const settings = { ...times, tenants: ['default'], isolation: 'caller', tools: {} }
    const common = { ...settings, enabled: true, tags: [], timeout: 60_000 }
    expect(config.servers).toEqual([
      {
        ...settings,
        id: 'files',
        name: 'files',
        description: 'Files',
        enabled: true,
        tags: ['x'],
        timeout: 5,
        transport: 'stdio',
        command: 'node',
        args: ['server.js'],
        env: { A: '1' },
      },
      {
        ...common,
        id: 'far',
        name: 'Far away',
        transport: 'http',
        url: 'https://example.com/mcp',
        headers: { 'X-Token': 't' },
      },
      {
        ...common,
        id: 'old',
        name: 'old',
        enabled: false,
        transport: 'sse',
        url: 'http://example.com/sse',
        headers: {},
      },
    ])
  })

  test('what is empty is empty, not wrong; what is required is still required', () => {
    const text = 'servers:\n  - { id: a, command: n, args: , env: , tags:  }\n  - { id: b, url: http://x, headers:  }'
    expect(parse(text).servers).toMatchObject([{ args: [], env: {}, tags: [] }, { headers: {} }])
    expect(refusal('servers: [{ id: a, command:  }]').message).toContain('servers[0].command: is empty')
    expect(refusal('servers: [{ id: a, command: n, env: { A:  } }]').message).toContain('servers[0].env.A: is empty')
    expect(refusal('port:').message).toContain('port: is empty')
  })

  test('reads JSON with a $schema', () => {
    expect(parse('{"$schema": "./gateway.schema.json", "port": 4000}')).toMatchObject({ port: 4000 })
    expect(parse('{"$schema": "./gateway.schema.json"}')).not.toHaveProperty('$schema')
  })

  test('a relative cwd starts from the file', () => {
    const text = 'servers: [{ id: a, command: n, cwd: ./x }, { id: b, command: n, cwd: /x }]'
    const cwds = (config: Config): unknown => config.servers.map((server) => server.transport === 'stdio' && server.cwd)
    expect(cwds(parseConfig(text, { env: {}, file: 'etc/gateway.yaml' }))).toEqual([resolve('etc/x'), resolve('/x')])
    expect(cwds(parseConfig(text, { env: {} }))).toEqual(['./x', '/x'])
  })

  test('overrides win, and pass the same checks', () => {
    const overrides = { host: '0.0.0.0', port: 1 }
    expect(parseConfig('port: 5', { env: {}, overrides })).toMatchObject(overrides)
    expect(() => parseConfig('auth: { type: none }', { env: {}, overrides })).toThrow(/reachable from other machines/)
    expect(() => parseConfig('', { env: {}, overrides: { port: 65_536 } })).toThrow(ConfigError)
  })
})

describe('ConfigError', () => {
  test('tells everything that is wrong at once, in the order of the file', () => {
    const error = refusal(`prt: 1
auth:
  keys:
    - id: a
      key: gw_short
      consumerId: agent-1
      role: [x]
    - id: a
      key: secret-without-prefix
      expiresAt: tomorrow
servers:
  - id: My Server
    comand: node
  - id: ok
    command: node
    args: [1, '2']
    env: { A: 1 }
    headers: {}
  - id: ok
    url: ftp://x
    timeout: abc
  - id: both
    command:
    url: http://x
  - nonsense
limits: { maxDepth: 1 }
log: { level: loud }
`)
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toMatchInlineSnapshot(`
      "gateway.yaml:1:1 prt: unknown key; did you mean "port"?
      gateway.yaml:5:12 auth.keys[0].key: is too short to be a secret; make one with \`mcp-gateway keys create\`
      gateway.yaml:7:7 auth.keys[0].role: unknown key; did you mean "roles"?
      gateway.yaml:8:7 auth.keys[1].consumerId: is required
      gateway.yaml:8:11 auth.keys[1].id: is the id of another key
      gateway.yaml:9:12 auth.keys[1].key: must start with "gw_" or "sha256:"; make one with \`mcp-gateway keys create\`
      gateway.yaml:10:18 auth.keys[1].expiresAt: must be a time such as 2027-01-31T00:00:00Z, a date, or epoch milliseconds
      gateway.yaml:12:5 servers[0]: needs "command" (a local program) or "url" (a remote address)
      gateway.yaml:12:9 servers[0].id: must be lower-case letters, digits and "-", at most 32 characters
      gateway.yaml:13:5 servers[0].comand: unknown key; did you mean "command"?
      gateway.yaml:16:12 servers[1].args[0]: expected string, received number; put it in quotes
      gateway.yaml:17:15 servers[1].env.A: expected string, received number; put it in quotes
      gateway.yaml:18:5 servers[1].headers: belongs to a server with "url"
      gateway.yaml:19:9 servers[2].id: is the id of another server
      gateway.yaml:20:10 servers[2].url: must be an http:// or https:// URL without user name, password or fragment
      gateway.yaml:21:14 servers[2].timeout: expected number, received string
      gateway.yaml:22:5 servers[3]: has both "command" and "url": a server is either a local program or a remote address
      gateway.yaml:23:5 servers[3].command: is empty
      gateway.yaml:25:5 servers[4]: expected object, received string
      gateway.yaml:26:21 limits.maxDepth: expected number to be >=8
      gateway.yaml:27:15 log.level: expected one of "fatal"|"error"|"warn"|"info"|"debug"|"trace"|"silent""
    `)
  })

  test('a finding is data for an editor', () => {
    expect(refusal('servers:\n  - id: a\n    comand: node\n').findings).toEqual([
      { line: 2, column: 5, path: 'servers[0]', message: expect.stringMatching(/^needs "command"/) },
      { line: 3, column: 5, path: 'servers[0].comand', message: 'unknown key', suggestion: 'command' },
    ])
  })

  test.each<[string, string]>([
    ['- a', 'gateway.yaml:1:1 must be a map of settings, such as "servers:"'],
    ['hello', 'gateway.yaml:1:1 must be a map of settings, such as "servers:"'],
    ['port: 1\nport: 2', 'gateway.yaml:2:1 is not valid YAML: Map keys must be unique'],
    ['port: 1\n---\nport: 2', 'gateway.yaml:2:1 is a second YAML document'],
    ['host: !!js/function x', 'gateway.yaml:1:7 is not valid YAML: Unresolved tag: tag:yaml.org,2002:js/function'],
    ['host: &a x\nlog: { level: *b }', 'gateway.yaml:2:15 "*b" has no "&b" before it'],
    ['__proto__: { host: x }', 'gateway.yaml:1:1 __proto__: unknown key'],
    ['[[[[', 'gateway.yaml:1:5 is not valid YAML'],
  ])('%j', (text, message) => {
    expect(refusal(text).message).toContain(message)
  })

  test('never repeats a secret', () => {
    const secret = 'hunter2-hunter2'
    const { message } = refusal(
      `auth: { keys: [{ id: a, key: ${secret}, consumerId: a }] }
servers: [{ id: a, url: 'http://user:${secret}@x' }, { id: b, url: x, headers: { A: "\${S}" }, timeout: "\${S}" }]`,
      { S: `${secret}\r\nX-Admin: 1` },
    )
    expect(message).toContain('auth.keys[0].key')
    expect(message).toContain('servers[1].headers.A: must not contain a line break')
    expect(message).not.toContain('hunter2')
  })

  test('any text ≡ a Config or a ConfigError with places inside the text', () => {
    const word = fc.constantFrom(
      'servers',
      'id',
      'auth',
      'keys',
      ':',
      ': ',
      '- ',
      '\n',
      '  ',
      '{',
      '}',
      '[',
      ']',
      '&a',
      '*a',
      '${A}',
      '"',
      '1',
    )
    const text = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
    )
    fc.assert(
      fc.property(text, (value) => {
        try {
          parse(value)
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error
          const lines = value.split('\n').length
          expect(error.findings.length).toBeGreaterThan(0)
          for (const { line, column } of error.findings) {
            expect(line).toBeGreaterThanOrEqual(1)
            expect(line).toBeLessThanOrEqual(lines)
            expect(column).toBeGreaterThanOrEqual(1)
          }
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('limits of the file', () => {
  test('1 MiB is read, a byte more is not', () => {
    const comment = `#${'x'.repeat(1_048_575)}`
    expect(parse(comment).port).toBe(3100)
    expect(refusal(`${comment}x`).message).toBe('gateway.yaml:1:1 is larger than 1048576 bytes')
  })

  test('an alias bomb is refused', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(',')}]`)
    expect(refusal(`l0: &l0 x\n${levels.join('\n')}`).message).toBe('gateway.yaml:1:1 expands too many aliases')
  })

  test.each(['[', '{a: ', '- ', '{'])('half a megabyte of %j ends in a finding', { timeout: 60_000 }, (opening) => {
    expect(refusal(opening.repeat(500_000 / opening.length)).message).toMatch(/^gateway.yaml:\d+:\d+ is n/)
  })

  test('an anchor may be used a few times', () => {
    const text = 'servers:\n  - { id: a, command: n, env: &e { A: "1" } }\n  - { id: b, command: n, env: *e }\n'
    expect(parse(text).servers[1]).toMatchObject({ id: 'b', env: { A: '1' } })
  })
})

describe('who may reach the gateway', () => {
  test.each(['0.0.0.0', '::', '192.168.1.5', 'example.com', '127.0.0.1.example.com', 'localhost.example.com'])(
    '%s needs authentication',
    (host) => {
      expect(refusal(`host: '${host}'\nauth: { type: none }`).findings).toMatchObject([{ line: 1, path: 'host' }])
      expect(parse(`host: '${host}'`).host).toBe(host)
    },
  )

  test.each(['127.0.0.1', '127.8.8.8', 'localhost', '::1'])('%s does not', (host) => {
    expect(parse(`host: '${host}'\nauth: { type: none }`).auth.type).toBe('none')
  })

  test('a key and its own hash are the same key', () => {
    const key = (id: string, value: string): string => `{ id: ${id}, key: ${value}, consumerId: c }`
    const text = `auth: { keys: [${key('a', plainKey)}, ${key('b', hashApiKey(plainKey))}] }`
    expect(refusal(text).message).toContain('auth.keys[1].key: is the key of another entry')
  })
})

describe('configJsonSchema', () => {
  const OPTIONAL = ['publicUrl', 'tls', 'policies', 'rateLimit', 'ipFilter', 'redaction', 'toolGuard', 'quotas']

  test('knows every setting of a Config, each with a description', () => {
    const { properties } = configJsonSchema() as { properties: Record<string, { description?: string }> }
    expect(Object.keys(properties).sort()).toEqual([...Object.keys(parse('')), '$schema', ...OPTIONAL].sort())
    for (const [name, { description }] of Object.entries(properties)) expect(description, name).toMatch(/\.$/)
  })

  test('an editor accepts ${PORT} where a number belongs', () => {
    const { properties } = configJsonSchema() as { properties: Record<string, unknown> }
    expect(properties['port']).toMatchObject({
      default: 3100,
      anyOf: [
        { type: 'integer', minimum: 0, maximum: 65_535 },
        { type: 'string', pattern: '^\\$\\{.*\\}$' },
      ],
    })
  })
})
