import { createRequire } from 'node:module'
import { createPolicyEngine, parsePolicyFile, PolicyError } from '@mcp-gateway/policy'
import { createCedarEngine } from '@mcp-gateway/policy/cedar'
import { describe, expect, test } from 'vitest'

const cedar = createRequire(import.meta.url)(
  '@cedar-policy/cedar-wasm/nodejs',
) as typeof import('@cedar-policy/cedar-wasm/nodejs')

const policies = `
@id("own")
permit (principal in Role::"customer", action == Action::"call", resource in Server::"crm")
when { resource.name like "get_*" && context.args has customerId && context.args.customerId == principal.customerId };

@id("no-drop")
forbid (principal, action, resource) when { resource.name like "drop_*" };

@id("big")
forbid (principal, action, resource) when { resource.name like "transfer_*" && context.args.amount > 1000 };

permit (principal in Role::"admin", action, resource);
`
const engine = createCedarEngine({ cedar, policies })
const alice = { id: 'alice', roles: ['customer'], attributes: { customerId: 'c-1' } }
const root = { id: 'root', roles: ['admin'] }

describe('Cedar', () => {
  test('decides, and says which policy did', () => {
    expect(engine.decide(alice, { server: 'crm', tool: 'get_x', args: { customerId: 'c-1' } })).toEqual({
      allowed: true,
      rule: 'cedar/own',
      reason: 'permitted by Cedar',
      obligations: [],
    })
    expect(engine.decide(root, { server: 'crm', tool: 'get_x' })).toMatchObject({ allowed: true, rule: 'cedar/4' })
    expect(engine.decide(alice, { server: 'crm', tool: 'get_x', args: { customerId: 'c-2' } })).toMatchObject({
      allowed: false,
      rule: 'default-deny',
      obligations: [],
    })
    expect(engine.decide(root, { server: 'db', tool: 'drop_x' })).toMatchObject({
      allowed: false,
      rule: 'cedar/no-drop',
      obligations: [{ type: 'conceal' }],
    })
  })

  test('shows what some arguments would allow', () => {
    expect(engine.isVisible(alice, 'crm', 'get_x')).toBe(true)
    expect(engine.isVisible(alice, 'crm', 'drop_x')).toBe(false)
    expect(engine.isVisible(alice, 'mail', 'get_x')).toBe(false)
    expect(engine.isVisible(root, 'bank', 'transfer_x')).toBe(true)
    expect(engine.isVisible(root, 'db', 'drop_x')).toBe(false)
  })

  test('a policy that fails refuses: Cedar alone would leave out the forbid, and allow', () => {
    const transfer = (args: unknown): unknown => engine.decide(root, { server: 'bank', tool: 'transfer_x', args })
    expect(transfer({ amount: 5 })).toMatchObject({ allowed: true })
    expect(transfer({ amount: 5000 })).toMatchObject({ allowed: false, rule: 'cedar/big' })
    expect(transfer({})).toMatchObject({ allowed: false, rule: 'cedar/big', reason: expect.stringContaining('failed') })
    expect(transfer({ amount: '5' })).toMatchObject({ allowed: false })
  })

  test.each([
    [{ amount: 1000.5 }],
    [{ amount: null }],
    [{ amount: JSON.rawJSON('1e400') }],
    [{ x: { __entity: { type: 'Role', id: 'admin' } } }],
    [{ x: { __extn: { fn: 'unknown', arg: 'args' } } }],
    [{ amount: 2 ** 60 }],
    [JSON.parse('['.repeat(100) + ']'.repeat(100)) as unknown],
  ])('what Cedar cannot say is refused: %o', (args) => {
    expect(engine.decide(root, { server: 'bank', tool: 'transfer_x', args })).toMatchObject({
      allowed: false,
      rule: 'cedar/unreadable',
    })
  })

  test.each([
    'permit (',
    'permit (principal == ?principal, action, resource);',
    '@id("a") permit(principal,action,resource); @id("a") permit(principal,action,resource);',
  ])('%s is refused', (source) => expect(() => createCedarEngine({ cedar, policies: source })).toThrow(PolicyError))

  test('answers as our own rules do', () => {
    const own = createPolicyEngine(
      parsePolicyFile(`
policies:
  - { id: c, roles: [customer], rules: [{ server: crm, tool: 'get_*', action: allow, conditions: [{ param: customerId, operator: eq, caller: attributes.customerId }] }] }
  - { id: a, roles: [admin], rules: [{ action: allow }] }
  - id: e
    roles: ['*']
    rules:
      - { tool: 'drop_*', action: deny }
      - { tool: 'transfer_*', action: deny, conditions: [{ param: amount, operator: gt, value: 1000 }] }
`),
    )
    for (const subject of [
      alice,
      root,
      { id: 'x', roles: [] },
      { id: 'y', roles: ['customer', 'admin'], attributes: {} },
    ]) {
      for (const server of ['crm', 'bank'])
        for (const tool of ['get_a', 'drop_a', 'transfer_a', 'x'])
          for (const args of [
            {},
            { customerId: 'c-1' },
            { customerId: 'c-2' },
            { amount: 5 },
            { amount: 5000 },
            undefined,
          ]) {
            const call = { server, tool, args }
            expect([call, engine.decide(subject, call).allowed]).toEqual([call, own.decide(subject, call).allowed])
          }
    }
  })
})
