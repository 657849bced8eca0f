import { ConfigError, parseConfig } from '@mcp-gateway/gateway'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const host = (value: string, env: Record<string, string>): string =>
  parseConfig(`servers: [{ id: a, command: ${JSON.stringify(value)} }]`, { env })
    .servers.map((server) => (server.transport === 'stdio' ? server.command : ''))
    .join()

describe('${NAME}', () => {
  test.each<[string, string]>([
    ['${A}', 'one'],
    ['<${A}${B}>', '<onetwo>'],
    ['${NOPE:-fallback}', 'fallback'],
    ['x${NOPE:-}', 'x'],
    ['${A:-fallback}', 'one'],
    ['x${EMPTY:-fallback}', 'x'],
    ['${NOPE:-a:-b}', 'a:-b'],
    ['${NOPE:-$A}', '$A'],
    ['$${A}', '${A}'],
    ['$$${A}', '$one'],
    ['$A $ $(A)', '$A $ $(A)'],
    ['${C}', '${A}'],
    ['cost: 5$', 'cost: 5$'],
  ])('%s ≡ %s', (text, expected) => {
    expect(host(text, { A: 'one', B: 'two', C: '${A}', EMPTY: '' })).toBe(expected)
  })

  test('a variable that is not set is an error with its line and name, and nothing else', () => {
    const text = `host: \${HOST}
port: \${PORT}
auth:
  keys:
    - { id: a, key: "\${KEY}", consumerId: a }
servers:
  - id: a
    url: \${URL}
    headers:
      Authorization: Bearer \${TOKEN}
`
    expect(() => parseConfig(text, { env: {}, file: 'gateway.yaml' })).toThrow(
      new RegExp(
        [
          /^gateway.yaml:1:7 host: environment variable HOST is not set.*/,
          /gateway.yaml:2:7 port: environment variable PORT is not set.*/,
          /gateway.yaml:5:21 auth.keys\[0\].key: environment variable KEY is not set.*/,
          /gateway.yaml:8:10 servers\[0\].url: environment variable URL is not set.*/,
          /gateway.yaml:10:22 servers\[0\].headers.Authorization: environment variable TOKEN is not set[^\n]*$/,
        ]
          .map(({ source }) => source)
          .join('\n'),
      ),
    )
  })

  test.each(['${constructor}', '${__proto__}', '${toString}'])('%s finds nothing in Object', (text) => {
    expect(() => host(text, {})).toThrow(/is not set/)
  })

  test.each(['${}', '${:-x}', '${a b}', '${1A}', '${A', '${input:token}'])('%s is not a reference', (text) => {
    expect(() => host(text, { A: 'x' })).toThrow(/is not a reference to an environment variable/)
  })

  test('digits and truth values fit where a number or a flag belongs', () => {
    const env = { PORT: '4000', ON: 'false' }
    const config = parseConfig('port: ${PORT}\nservers: [{ id: a, command: n, enabled: "${ON}" }]', { env })
    expect(config).toMatchObject({ port: 4000, servers: [{ enabled: false }] })
    for (const bad of ['', '-1', '1e3', '0x10', '4000 ', '65536', '99999999999999999999']) {
      expect(() => parseConfig('port: ${PORT}', { env: { PORT: bad } }), bad).toThrow(ConfigError)
    }
  })

  test('keys of a map are left alone', () => {
    const config = parseConfig('servers: [{ id: a, command: n, env: { "${A}": "1" } }]', { env: { A: 'x' } })
    expect(config.servers[0]).toMatchObject({ env: { '${A}': '1' } })
  })

  test('a value is data: parse(${A}) with A=v ≡ v, whatever YAML v contains', () => {
    const nasty = fc.constantFrom(
      'x\nauth: { type: none }',
      '"',
      "'",
      '*a',
      '&a',
      '!!js',
      '# c',
      '${B}',
      '$$',
      ': ',
      '- ',
    )
    const value = fc
      .array(fc.oneof(nasty, fc.string()), { minLength: 1 })
      .map((parts) => `x${parts.join('')}`.slice(0, 4096))
    fc.assert(
      fc.property(value, (text) => {
        expect(host('${A}', { A: text, B: 'no' })).toBe(text)
      }),
    )
  })

  test('escape(v) ≡ v for every v', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        expect(host(text.replaceAll('$', '$$$$'), {})).toBe(text)
      }),
    )
  })
})
