import {
  createPolicyEngine,
  formatExplanation,
  parsePolicyFile,
  refusal,
  type Decision,
  type RuleEngine,
  type Subject,
} from '@mcp-gateway/policy'
import { describe, expect, test } from 'vitest'

const engineOf = (yaml: string): RuleEngine => createPolicyEngine(parsePolicyFile(yaml))
const alice: Subject = { id: 'alice', roles: Object.freeze(['reader']), attributes: { customerId: 'c-1', limit: 5 } }

/** One rule for everybody about every tool, and one that allows the rest. */
function rule(text: string): RuleEngine {
  return engineOf(
    `policies: [{ id: p, roles: ['*'], rules: [{ id: r, ${text} }, { id: rest, tool: rest, action: allow }] }]`,
  )
}
const decide = (engine: RuleEngine, args?: unknown, subject = alice): Decision =>
  engine.decide(subject, { server: 's', tool: 't', args })

describe('rules', () => {
  test('what no rule allows is refused, and a file that says nothing allows nothing', () => {
    expect(decide(engineOf('mode: enforce'))).toEqual({
      allowed: false,
      rule: 'default-deny',
      reason: 'no rule allows this',
      obligations: [{ type: 'conceal' }],
    })
  })

  test('deny wins, wherever it stands', () => {
    for (const order of [
      ['allow', 'deny'],
      ['deny', 'allow'],
    ]) {
      const rules = order.map((action) => `{ id: ${action}, action: ${action} }`).join(', ')
      const engine = engineOf(`policies: [{ id: p, name: P, roles: [reader], rules: [${rules}] }]`)
      expect(decide(engine)).toMatchObject({ allowed: false, rule: 'p/deny' })
    }
  })

  test('the example of seed row 4.27 is read as it is written, and its last rule is pointed out', () => {
    const { policies, warnings } = parsePolicyFile(`
policies:
  - id: reader-policy
    name: "Read-only access"
    roles: [reader]
    rules:
      - { tool: "search_*", action: allow }
      - { tool: "query", action: allow, conditions: [{ param: customerId, operator: eq, value: c-1 }] }
      - { tool: "*", action: deny }
`)
    expect(warnings).toEqual([
      'policy "reader-policy": rule "3" denies every tool, and deny wins over allow; leave it out, what no rule allows is refused anyway',
    ])
    const engine = createPolicyEngine({ policies })
    expect(engine.decide(alice, { server: 's', tool: 'search_x' })).toMatchObject({
      allowed: false,
      rule: 'reader-policy/3',
    })
  })

  test('roles that can still change are read on every call', () => {
    const engine = engineOf('policies: [{ id: p, roles: [admin], rules: [{ action: allow }] }]')
    const roles = ['admin']
    expect(decide(engine, {}, { id: 'x', roles }).allowed).toBe(true)
    roles[0] = 'guest'
    expect(decide(engine, {}, { id: 'x', roles }).allowed).toBe(false)
  })

  test('no names of roles and tenants can be chosen so that they are taken for others', () => {
    const engine = engineOf('policies: [{ id: p, roles: [b], tenants: [a], rules: [{ action: allow }] }]')
    const ask = (tenantId: string | undefined, roles: string[]): boolean =>
      decide(engine, {}, { id: 'x', roles, tenantId }).allowed
    expect(ask('a', ['b'])).toBe(true)
    for (const [tenantId, roles] of [
      ['', ['a', 'b']],
      [undefined, ['a', 'b']],
      ['a","b', []],
      ['a\0b', []],
      ['null', ['b']],
      [undefined, ['b']],
    ] as const) {
      expect(ask(tenantId, [...roles])).toBe(false)
    }
  })

  test('a frozen list of roles that two tenants share is not one caller', () => {
    const engine = engineOf('policies: [{ id: p, roles: [b], tenants: [a], rules: [{ action: allow }] }]')
    const roles = Object.freeze(['b'])
    expect(decide(engine, {}, { id: 'x', roles, tenantId: 'a' }).allowed).toBe(true)
    expect(decide(engine, {}, { id: 'x', roles, tenantId: 'c' }).allowed).toBe(false)
    expect(decide(engine, {}, { id: 'x', roles, tenantId: 'a' }).allowed).toBe(true)
  })

  test('a name that is longer than any is refused, also to those who may do everything', () => {
    const engine = engineOf("policies: [{ id: p, roles: ['*'], rules: [{ action: allow }] }]")
    expect(engine.decide(alice, { server: 's', tool: 'x'.repeat(513) }).allowed).toBe(false)
    expect(engine.decide(alice, { server: 's', tool: 'x'.repeat(512) }).allowed).toBe(true)
  })

  test('remembers no more than it may: a flood of names changes no answer', () => {
    const engine = rule('tool: t, action: allow')
    for (let index = 0; index < 120_000; index++) {
      if (engine.decide(alice, { server: 's', tool: `flood-${index}` }).allowed) throw new Error('allowed')
    }
    for (let index = 0; index < 6000; index++) decide(engine, {}, { id: 'x', roles: [`role-${index}`] })
    expect(decide(engine).allowed).toBe(true)
  })
})

describe('conditions', () => {
  /** [condition, arguments, outcome]; `unknown` allows nothing and denies everything. */
  const cases: readonly (readonly [condition: string, args: unknown, outcome: boolean | 'unknown'])[] = [
    ['{ param: a, operator: eq, value: x }', { a: 'x' }, true],
    ['{ param: a, operator: eq, value: x }', { a: 'y' }, false],
    ['{ param: a, operator: eq, value: x }', { a: ['x'] }, 'unknown'],
    ['{ param: a, operator: eq, value: x }', {}, 'unknown'],
    ['{ param: a, operator: eq, value: x }', null, 'unknown'],
    ['{ param: a, operator: eq, value: x }', 'x', 'unknown'],
    ['{ param: a, operator: eq, value: x }', { a: undefined }, 'unknown'],
    ['{ param: a, operator: neq, value: x }', { a: 'y' }, true],
    ['{ param: a, operator: neq, value: x }', { a: 5 }, 'unknown'],
    ['{ param: a, operator: eq, value: true }', { a: true }, true],
    ['{ param: a, operator: eq, value: true }', { a: 'true' }, 'unknown'],
    ['{ param: a, operator: eq, value: 1 }', { a: 1 }, true],
    ['{ param: a, operator: eq, value: 1 }', { a: JSON.rawJSON('1.0') }, true],
    ['{ param: a, operator: eq, value: 1 }', { a: JSON.rawJSON('1.00000000000000000001') }, false],
    ['{ param: a, operator: gt, value: 1000 }', { a: JSON.rawJSON('1000.00000000000000000001') }, true],
    ['{ param: a, operator: gt, value: 1000 }', { a: JSON.rawJSON('1000.0') }, false],
    ['{ param: a, operator: gt, value: 1000 }', { a: JSON.rawJSON('1e400') }, true],
    ['{ param: a, operator: gt, value: 1000 }', { a: JSON.rawJSON('12345678901234567890') }, true],
    ['{ param: a, operator: lt, value: 0 }', { a: JSON.rawJSON('-1e-999999999') }, true],
    ['{ param: a, operator: gt, value: 0 }', { a: JSON.rawJSON('0e999999999') }, false],
    ['{ param: a, operator: lte, value: 1000 }', { a: JSON.rawJSON('"5"') }, 'unknown'],
    ['{ param: a, operator: gte, value: 3 }', { a: 10n }, true],
    ['{ param: a, operator: lt, value: 3 }', { a: Number.NaN }, 'unknown'],
    ['{ param: a, operator: in, value: [x, 1, null] }', { a: null }, true],
    ['{ param: a, operator: in, value: [x, 1] }', { a: 'y' }, false],
    ['{ param: a, operator: in, value: [x, 1] }', { a: true }, 'unknown'],
    ['{ param: a, operator: notIn, value: [x] }', { a: 'y' }, true],
    ['{ param: a, operator: notIn, value: [x] }', { a: ['x'] }, 'unknown'],
    ['{ param: a, operator: startsWith, value: /srv/ }', { a: '/srv/x' }, true],
    ['{ param: a, operator: endsWith, value: .txt }', { a: 'x.exe' }, false],
    ['{ param: a, operator: contains, value: bad }', { a: 'so bad' }, true],
    ['{ param: a, operator: contains, value: bad }', { a: ['good', 'bad'] }, true],
    ['{ param: a, operator: contains, value: bad }', { a: ['good'] }, false],
    ['{ param: a, operator: contains, value: bad }', { a: [['bad'], 'good'] }, 'unknown'],
    ['{ param: a, operator: maxLength, value: 3 }', { a: 'abcd' }, false],
    ['{ param: a, operator: minLength, value: 1 }', { a: [] }, false],
    ['{ param: a, operator: regex, value: "^[a-z]+$" }', { a: 'abc' }, true],
    ['{ param: a, operator: regex, value: "^(a+)+$" }', { a: `${'a'.repeat(5000)}!` }, false],
    ['{ param: a, operator: regex, value: a }', { a: 'a'.repeat(70_000) }, 'unknown'],
    ['{ param: a, operator: glob, value: "{x,y}*" }', { a: 'yes' }, true],
    ['{ param: a, operator: cidr, value: 10.0.0.0/8 }', { a: '10.1.1.1' }, true],
    ['{ param: a, operator: cidr, value: 10.0.0.0/8 }', { a: '10.1.1' }, 'unknown'],
    ['{ param: a, operator: exists }', {}, false],
    ['{ param: a, operator: exists }', { a: null }, true],
    ['{ param: a, operator: exists, value: false }', {}, true],
    ['{ param: a, operator: eq, caller: attributes.customerId }', { a: 'c-1' }, true],
    ['{ param: a, operator: eq, caller: attributes.customerId }', { a: 'c-2' }, false],
    ['{ param: a, operator: eq, caller: attributes.nothing }', {}, 'unknown'],
    ['{ param: a, operator: eq, caller: attributes.nothing }', { a: undefined }, 'unknown'],
    ['{ param: a, operator: lte, caller: attributes.limit }', { a: 5 }, true],
    ['{ path: args.a, operator: in, caller: roles }', { a: 'reader' }, true],
    ['{ path: caller.id, operator: eq, value: alice }', {}, true],
    ['{ path: tool, operator: eq, value: t }', {}, true],
    ['{ param: constructor, operator: exists }', {}, false],
    ['{ param: __proto__.x, operator: exists }', { a: 1 }, false],
    ['{ param: "a.b.0.c", operator: eq, value: 1 }', { a: { b: [{ c: 1 }] } }, true],
    ['{ param: \'["a.b"]\', operator: eq, value: 1 }', { 'a.b': 1 }, true],
    ['{ param: "a.*", operator: gt, value: 0 }', { a: [1, 2] }, true],
    ['{ param: "a.*", operator: gt, value: 0 }', { a: [1, -2] }, 'unknown'],
    ['{ param: "a.*", operator: gt, value: 0 }', { a: [-1, -2] }, false],
    ['{ param: "a.*", operator: gt, value: 0 }', { a: [] }, 'unknown'],
    ['{ param: "a.*.b", operator: gt, value: 0 }', { a: [{ b: 1 }, {}] }, 'unknown'],
    ['{ param: "a.*", operator: gt, value: 0 }', { a: Array.from({ length: 10_001 }, () => 1) }, 'unknown'],
    ['{ not: { param: a, operator: eq, value: x } }', { a: 'y' }, true],
    ['{ not: { param: a, operator: eq, value: x } }', {}, 'unknown'],
    ['{ any: [{ param: a, operator: eq, value: x }, { param: b, operator: eq, value: x }] }', { b: 'x' }, true],
    ['{ any: [{ param: a, operator: eq, value: x }, { param: b, operator: eq, value: x }] }', { b: 'y' }, 'unknown'],
    ['{ all: [{ param: a, operator: eq, value: x }, { param: b, operator: eq, value: x }] }', { b: 'y' }, false],
    ['{ all: [{ param: a, operator: eq, value: x }, { param: b, operator: eq, value: x }] }', { b: 'x' }, 'unknown'],
  ]
  test.each(cases)('%s with %o is %s', (condition, args, outcome) => {
    expect(decide(rule(`action: allow, conditions: [${condition}]`), args).allowed).toBe(outcome === true)
    const engine = engineOf(
      `policies: [{ id: p, roles: ['*'], rules: [{ id: r, action: deny, conditions: [${condition}] }, { id: rest, action: allow }] }]`,
    )
    expect(decide(engine, args).allowed).toBe(outcome === false)
  })
})

describe('CEL', () => {
  test.each([
    ['args.a == caller.attributes.customerId', { a: 'c-1' }, true],
    ['args.a == caller.attributes.customerId', {}, 'unknown'],
    ['args.amount <= 10 && args.items.all(i, i.price < 5)', { amount: 1, items: [{ price: 1 }] }, true],
    ['args.amount <= 10 && args.items.all(i, i.price < 5)', { amount: 1, items: [{ price: 9 }] }, false],
    ['args.amount > 10', { amount: JSON.rawJSON('1e400') }, 'unknown'],
    ['"reader" in caller.roles', undefined, true],
    ['args.a.re2("^(a+)+$")', { a: `${'a'.repeat(10_000)}!` }, false],
    ['has(args.constructor)', {}, false],
    ['args.x', { x: 5 }, 'unknown'],
    ['args.x', { x: true }, true],
  ] as const)('%s with %o is %s', (when, args, outcome) => {
    const text = JSON.stringify(when)
    expect(decide(rule(`action: allow, when: ${text}`), args).allowed).toBe(outcome === true)
    const engine = engineOf(
      `policies: [{ id: p, roles: ['*'], rules: [{ id: r, action: deny, when: ${text} }, { id: rest, action: allow }] }]`,
    )
    expect(decide(engine, args).allowed).toBe(outcome === false)
  })

  test.each([
    ['args.a.matches("x")', 're2'],
    ['args.a.re2(args.pattern)', 'constant'],
    ['args.a.re2("(")', 'RE2'],
    ['args.a.all(x, args.b.all(y, x == y))', 'inside another macro'],
    ['args.a +', 'Unexpected'],
    ['nobody.x == 1', 'Unknown variable'],
    ['1 + 1', 'not a bool'],
    [`args.a == 1${' || args.a == 1'.repeat(300)}`, 'characters'],
  ])('%s is refused when the document is read', (when, why) => {
    expect(() => rule(`action: allow, when: ${JSON.stringify(when)}`)).toThrow(why)
  })
})

describe('what a caller sees', () => {
  const engine = engineOf(`
policies:
  - id: p
    roles: [reader]
    rules:
      - { id: own, server: s, tool: own, action: allow, conditions: [{ param: id, operator: eq, caller: attributes.customerId }] }
      - { id: never, server: s, tool: never, action: allow }
      - { id: never-deny, server: s, tool: never, action: deny }
      - { id: some, server: s, tool: some, action: allow }
      - { id: some-deny, server: s, tool: some, action: deny, conditions: [{ param: x, operator: exists }] }
      - { id: net, server: s, tool: net, action: allow, conditions: [{ path: address, operator: cidr, value: 10.0.0.0/8 }] }
      - { id: vip, server: s, tool: vip, action: allow, when: caller.attributes.limit > 9 }
`)

  test('is exactly what some arguments would allow', () => {
    const sees = (tool: string, subject = alice, address?: string): boolean =>
      engine.isVisible(subject, 's', tool, address)
    expect(['own', 'never', 'some', 'net', 'vip', 'other'].filter((tool) => sees(tool))).toEqual(['own', 'some'])
    expect(sees('net', alice, '10.0.0.1')).toBe(true)
    expect(sees('vip', { ...alice, attributes: { limit: 10 } })).toBe(true)
    expect(sees('own', { id: 'x', roles: ['reader'] })).toBe(false)
    expect(sees('own', { id: 'x', roles: [] })).toBe(false)
  })

  test('a refusal of a tool they see says why, of another one that there is no such tool', () => {
    const own = engine.decide(alice, { server: 's', tool: 'own', args: { id: 'c-2' } })
    expect(refusal(own, 'own')).toMatchObject({
      code: 'POLICY_DENIED',
      message: 'no rule allows this with these arguments',
    })
    const never = engine.decide(alice, { server: 's', tool: 'never' })
    expect(refusal(never, 'never')).toMatchObject({
      code: 'POLICY_UNKNOWN_TOOL',
      message: 'unknown tool: never',
      rule: 'p/never-deny',
    })
  })
})

describe('obligations', () => {
  test('are those of every rule that allows, not only of the first', () => {
    const engine = engineOf(`
limits: [{ id: dear, rate: 1/min, applies: named }]
redaction: [{ id: pii, detectors: all, applies: named }]
policies:
  - id: p
    roles: ['*']
    rules:
      - { id: a, action: allow }
      - { id: b, action: allow, obligations: [{ redact: pii }] }
      - { id: c, action: allow, obligations: [{ redact: pii }, { limit: dear }], conditions: [{ param: x, operator: exists }] }
`)
    expect(decide(engine, {})).toMatchObject({ rule: 'p/a', obligations: [{ type: 'redact', profile: 'pii' }] })
    expect(decide(engine, { x: 1 })).toMatchObject({
      rule: 'p/a',
      obligations: [
        { type: 'redact', profile: 'pii' },
        { type: 'limit', limit: 'dear' },
      ],
    })
  })
})

describe('dry run', () => {
  const policies = (mode: string): string => `
policies:
  - { id: now, roles: ['*'], rules: [{ id: all, action: allow, tool: t }] }
  - { id: soon, roles: ['*'], mode: ${mode}, rules: [{ id: no, action: deny, conditions: [{ param: x, operator: exists }] }, { id: more, tool: u, action: allow }] }
`
  test('of a policy: nothing changes, and the decision says what would', () => {
    const engine = engineOf(policies('dry-run'))
    expect(decide(engine, {})).not.toHaveProperty('dryRun')
    expect(decide(engine, { x: 1 })).toMatchObject({
      allowed: true,
      rule: 'now/all',
      dryRun: { allowed: false, rule: 'soon/no' },
    })
    expect(engine.decide(alice, { server: 's', tool: 'u', args: {} })).toMatchObject({
      allowed: false,
      dryRun: { allowed: true, rule: 'soon/more' },
    })
    expect(engine.isVisible(alice, 's', 'u')).toBe(false)
    expect(decide(engineOf(policies('enforce')), { x: 1 }).allowed).toBe(false)
  })

  test('of everything: everything is allowed and seen, and the decision says what would be refused', () => {
    const engine = createPolicyEngine({ ...parsePolicyFile(policies('enforce')), mode: 'dry-run' })
    expect(decide(engine, { x: 1 })).toMatchObject({
      allowed: true,
      rule: 'dry-run',
      dryRun: { allowed: false, rule: 'soon/no' },
    })
    expect(decide(engine, {})).toMatchObject({ allowed: true, rule: 'now/all' })
    expect(decide(engine, {})).not.toHaveProperty('dryRun')
    expect(engine.isVisible(alice, 's', 'anything')).toBe(true)
  })
})

test('explain says which rule decided, what every other rule about the call said, and no argument', () => {
  const engine = engineOf(`
policies:
  - id: p
    roles: [reader]
    rules:
      - { id: own, server: crm, tool: 'get_*', action: allow, conditions: [{ param: id, operator: eq, caller: attributes.customerId }] }
      - { id: big, tool: '*', action: deny, when: args.limit > 10 }
      - { id: other, server: x, action: allow }
`)
  const explanation = engine.explain(alice, { server: 'crm', tool: 'get_x', args: { id: 'secret', limit: 5 } })
  expect(explanation.rules.map(({ rule, matches }) => [rule, matches])).toEqual([
    ['p/own', false],
    ['p/big', false],
    ['p/other', false],
  ])
  expect(formatExplanation(explanation)).toBe(`REFUSED by default-deny: no rule allows this with these arguments
tools/list shows this tool to this caller
2 of 3 rules are about this caller, server and tool:
    allow p/own (condition is false)
            args.id eq caller.attributes.customerId: false
    deny  p/big (condition is false)
            args.limit > 10: false`)
  expect(JSON.stringify(explanation)).not.toContain('secret')
})
