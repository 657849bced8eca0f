import { parsePolicyFile, parsePolicyTable, PolicyError, toPolicyFile, type PolicyFinding } from '@mcp-gateway/policy'
import { describe, expect, test } from 'vitest'

function findings(action: () => unknown): readonly PolicyFinding[] {
  try {
    action()
  } catch (error) {
    if (!(error instanceof PolicyError) || error.code !== 'POLICY_DOCUMENT_INVALID') throw error
    return error.findings
  }
  return []
}

const told = (yaml: string): string[] =>
  findings(() => parsePolicyFile(yaml)).map(({ line, column, path, message }) => `${line}:${column} ${path} ${message}`)

describe('a policy file', () => {
  test('says everything that is wrong at once, each with its line', () => {
    expect(
      told(`polices: []
policies:
  - id: a
    roles: reader
    rules:
      - tool: get_*
        action: alow
      - tool: '[a'
        conditons: []
        action: deny
      - action: allow
        conditions:
          - { param: x, operator: eq }
          - { param: x, operator: equals, value: 1 }
          - { param: x, operator: gt, value: '5' }
          - { operator: eq, value: 1 }
          - { param: 'a..b', operator: eq, value: 1 }
          - { param: x, operator: regex, value: '(' }
          - { param: x, operator: cidr, value: 10.0.0.1/8 }
          - { param: x, operator: in, value: [] }
          - { param: x, operator: eq, value: 12345678901234567890 }
          - { not: { param: x, operator: exists }, any: [] }
`),
    ).toEqual([
      '1:1 polices unknown key; did you mean "policies"?',
      '7:17 policies[0].rules[0].action must be one of "allow", "deny"; did you mean "allow"?',
      '8:15 policies[0].rules[1].tool a "[" is not closed; write "\\[" for the character',
      '9:9 policies[0].rules[1].conditons unknown key; did you mean "conditions"?',
      '13:13 policies[0].rules[2].conditions[0] needs either "value" (a constant) or "caller" (a path like attributes.customerId)',
      expect.stringContaining('14:35 policies[0].rules[2].conditions[1].operator must be one of "eq", "neq"'),
      '15:46 policies[0].rules[2].conditions[2].value must be a number',
      '16:13 policies[0].rules[2].conditions[3] needs either "param" (an argument, like customer.id) or "path" (like args.customer.id)',
      '17:22 policies[0].rules[2].conditions[4].param "args.a..b" cannot be read from "..b" on',
      expect.stringContaining('18:49 policies[0].rules[2].conditions[5].value "(" is no RE2 pattern'),
      '19:48 policies[0].rules[2].conditions[6].value "10.0.0.1/8" has bits behind its prefix; write "10.0.0.0/8" or "10.0.0.1"',
      '20:46 policies[0].rules[2].conditions[7].value is empty',
      '21:46 policies[0].rules[2].conditions[8].value is too large to be exact',
      '22:13 policies[0].rules[2].conditions[9] has more than "any"',
    ])
  })

  test.each([
    ['', 'must be a map of'],
    ['[]', 'must be a map of'],
    ['policies: {}', 'must be a list'],
    ['policies:\n', 'has no value'],
    ['policies: [{ id: a, roles: [], rules: [] }]', 'is empty'],
    ['policies: [{ id: a, roles: [x], rules: [{ action: allow, tool: [] }] }]', 'is empty'],
    ['policies: [{ id: a, roles: [x], rules: [{ action: allow, conditions: [] }] }]', 'is empty'],
    ['policies: [{ id: a, roles: [x], rules: [{ action: allow, when: args.x = 1 }] }]', ''],
    [
      'policies: [{ id: a, roles: [x], rules: [{ id: r, action: allow }, { id: r, action: deny }] }]',
      'another one has the id "r"',
    ],
    ['policies: [{ id: a, roles: [x], rules: [] }, { id: a, roles: [x], rules: [] }]', 'another one has the id "a"'],
    [
      'policies: [{ id: a, roles: [x], rules: [{ action: allow, obligations: [{ limit: nope }] }] }]',
      'there is no limit',
    ],
    [
      'policies: [{ id: a, roles: [x], rules: [{ action: allow, obligations: [{ redact: nope }] }] }]',
      'there is no redaction',
    ],
    ['mode: dryrun', 'did you mean "dry-run"?'],
    ['mode: enforce\nmode: dry-run', 'the key "mode" is there twice'],
    ['a: [', ''],
    ['x: *nobody', ''],
    ['limits: [{ id: a }]', 'limits nothing'],
    ['limits: [{ id: a, rate: 10/fortnight }]', 'must be a rate like'],
    ['limits: [{ id: a, rate: unlimited, burst: 5 }]', 'has no burst'],
    ['limits: [{ id: a, tiers: { paid: unlimited } }]', 'needs "free"'],
    ['limits: [{ id: "a\\"b", rate: 1/s }]', 'letters, digits'],
    ['limits: [{ id: a, rate: 1/s, per: [user] }]', 'must be one of "caller"'],
    ['addresses: { allow: 10.0.0.0/8 }', 'must be a list'],
    ['addresses: { allow: [10.0.0] }', 'no address'],
    ['redaction: [{ id: a }]', 'redacts nothing'],
    ['redaction: [{ id: a, detectors: [mail] }]', 'did you mean "email"?'],
    ['redaction: [{ id: a, fields: ["a.**"] }]', 'must end with a name'],
    ['redaction: [{ id: a, patterns: [{ name: x, pattern: "a*" }] }]', 'matches where there is nothing'],
    ['redaction: [{ id: a, patterns: [{ name: x, pattern: "(a{1000}){1000}" }] }]', ''],
    ['toolGuard: { rules: { invisble: block } }', 'did you mean "invisible"?'],
  ])('%j is refused', (yaml, why) => {
    const found = told(yaml)
    expect(found.length).toBeGreaterThan(0)
    expect(found.join('\n')).toContain(why)
  })

  test.each([
    ['flow', '['.repeat(100_000)],
    ['block', '- '.repeat(100_000)],
    ['keys', '? '.repeat(50_000)],
    [
      'laughs',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
        .split('')
        .map((k, i) => `${k}: &${k} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
        .join('\n')}`,
    ],
    ['keys without end', Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`).join('\n')],
    ['closers', ']'.repeat(1_000_000)],
    ['anchors', '&a '.repeat(100_000)],
    ['escapes', `"${'\\x'.repeat(100_000)}"`],
    ['long', `a: ${'x'.repeat(1_000_001)}`],
    ['quotes', '"'.repeat(200_001)],
    ['tabs', '\t'.repeat(100_000)],
  ])('a file that is hostile by its %s is refused', (_, yaml) => expect(told(yaml).length).toBeGreaterThan(0))

  test('a null of YAML is an unfinished line, not a default', () => {
    expect(told('policies: [{ id: a, roles: ["*"], rules: [{ action: allow, conditions: ~ }] }]')).toEqual([
      '1:60 policies[0].rules[0].conditions has no value',
    ])
  })

  test('everything there is can be said', () => {
    const file = parsePolicyFile(`
mode: enforce
policies: [{ id: a, name: A, roles: [x], tenants: [t], mode: dry-run, rules: [{ id: r, server: [a, b], tool: c, action: deny, reason: because }] }]
limits:
  - { id: default, per: [caller], tiers: { free: 10/min, basic: { rate: 100/min, burst: 20 }, paid: unlimited } }
  - { id: slow, per: [tenant, server, tool, address], rate: 5/s, burst: 10, concurrent: 3, server: crm, tool: 'x_*', roles: [a], applies: named }
addresses: { allow: [10.0.0.0/8, '2001:db8::/32', 192.168.*.*], deny: [10.0.0.1] }
trustedProxies: [127.0.0.1]
redaction:
  - { id: pii, on: [results], server: crm, tool: '*', detectors: all, fields: ['**.password'], patterns: [{ name: staff, pattern: 'EMP-\\d{6}' }], applies: named }
toolGuard: { definitions: block, results: flag, rules: { invisible: block }, trusted: [internal-*] }
`)
    expect(file).toMatchObject({ mode: 'enforce', trustedProxies: ['127.0.0.1'], warnings: [] })
    expect(file.limits?.[0]?.rate).toEqual({
      free: { count: 10, windowMs: 60_000, burst: 10 },
      basic: { count: 100, windowMs: 60_000, burst: 20 },
      paid: 'unlimited',
    })
    expect(toPolicyFile({ mode: 'dry-run' }).mode).toBe('dry-run')
    expect(findings(() => toPolicyFile({ policies: [{ id: 'a' }] }))[0]).toMatchObject({ path: 'policies[0]' })
  })
})

test('a table names its mistakes by line as well', () => {
  const yaml = `callers: { alice: { roles: [a] } }
cases:
  - { caller: bob, call: a/b, expect: allow }
  - { caller: alice, call: ab, expect: maybe }
`
  expect(findings(() => parsePolicyTable(yaml)).map(({ line, message }) => `${line} ${message}`)).toEqual([
    '3 there is no caller "bob" in this table',
    '4 must be one of "allow", "deny", "unknown"',
  ])
})
