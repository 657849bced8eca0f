import { createPolicyEngine, toPolicyFile, type RuleEngine } from '@mcp-gateway/policy'
import fc from 'fast-check'
import { expect, test } from 'vitest'

const RUNS = Number(process.env['POLICY_PROPERTY_RUNS'] ?? 10_000)
/** Asked of each set of policies: making the policies takes longer than asking them. */
const CALLS = 5
const calls = { minLength: CALLS, maxLength: CALLS }

const roles = fc.subarray(['reader', 'writer', 'admin'])
const name = fc.constantFrom('crm', 'mail', 'get_a', 'get_b', 'set_a', 'x')
const glob = fc.constantFrom('*', 'get_*', '*_a', '{crm,mail}', 'get_[ab]', 'x', '?et_*', '*t_*')
const value = fc.constantFrom<unknown>('a', 'b', 1, 5, true, null, ['a'], { id: 'a' })
const args = fc.oneof(
  { weight: 8, arbitrary: fc.dictionary(fc.constantFrom('id', 'n', 'list'), value, { maxKeys: 3 }) },
  fc.constantFrom<unknown>(undefined, null, 'a', ['a']),
)
const comparison = fc.oneof(
  fc.record({
    param: fc.constantFrom('id', 'n'),
    operator: fc.constantFrom('eq', 'neq'),
    value: fc.constantFrom('a', 1, true),
  }),
  fc.record({
    param: fc.constantFrom('n', 'id'),
    operator: fc.constantFrom('lt', 'gte'),
    value: fc.constantFrom(1, 3),
  }),
  fc.record({
    param: fc.constantFrom('id', 'list.*'),
    operator: fc.constant('in'),
    value: fc.constantFrom(['a', 'b'], [1]),
  }),
  fc.record({
    param: fc.constantFrom('id', 'n'),
    operator: fc.constantFrom('eq', 'in'),
    caller: fc.constantFrom('attributes.id', 'attributes.ids'),
  }),
  fc.record({ param: fc.constantFrom('id', 'n'), operator: fc.constant('exists'), value: fc.boolean() }),
  fc.record({
    path: fc.constant('caller.attributes.id'),
    operator: fc.constantFrom('eq', 'neq'),
    value: fc.constantFrom('a', 'b'),
  }),
)
const { condition } = fc.letrec<{ condition: unknown }>((tie) => ({
  condition: fc.oneof(
    // Deeper than the engine allows (8) they would be refused.
    { depthSize: 'small', maxDepth: 6, withCrossShrink: true },
    comparison,
    fc.record({ not: tie('condition') }),
    fc.record({ all: fc.array(tie('condition'), { minLength: 1, maxLength: 2 }) }),
    fc.record({ any: fc.array(tie('condition'), { minLength: 1, maxLength: 2 }) }),
  ),
}))
const conditions = fc.array(condition, { minLength: 1, maxLength: 2 })
const ruleOf = (action: fc.Arbitrary<string>): fc.Arbitrary<object> =>
  fc.record({ server: glob, tool: glob, action, conditions }, { requiredKeys: ['action'] })
const policyOf = (rule: fc.Arbitrary<object>): fc.Arbitrary<object> =>
  fc.record(
    {
      roles: fc.constantFrom(['*'], ['reader'], ['writer', 'admin'], ['*er']),
      tenants: fc.constantFrom(['t1'], ['t1', 't2']),
      rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
    },
    { requiredKeys: ['roles', 'rules'] },
  )
const policies = fc.array(policyOf(ruleOf(fc.constantFrom('allow', 'allow', 'deny'))), { maxLength: 4 })
const subject = fc.record(
  {
    id: fc.constant('alice'),
    roles,
    tenantId: fc.constantFrom('t1', 't2'),
    attributes: fc.record({ id: value, ids: fc.constantFrom<unknown>(['a'], [1, 5], 'a') }, { requiredKeys: [] }),
  },
  { requiredKeys: ['id', 'roles'] },
)
const call = fc.record({ server: name, tool: name, args })

function compile(list: readonly object[]): RuleEngine {
  return createPolicyEngine(toPolicyFile({ policies: list.map((policy, index) => ({ id: `p${index}`, ...policy })) }))
}

test('allowed(rules + deny) ⇒ allowed(rules): adding a deny rule never allows more, and never shows more', () => {
  const denial = policyOf(ruleOf(fc.constant('deny')))
  let cases = 0
  fc.assert(
    fc.property(policies, denial, fc.nat(4), fc.array(fc.tuple(subject, call), calls), (list, added, at, asked) => {
      const stricter = compile(list.toSpliced(Math.min(at, list.length), 0, added))
      const base = compile(list)
      for (const [who, what] of asked) {
        cases++
        const seen = stricter.isVisible(who, what.server, what.tool)
        if (stricter.decide(who, what).allowed && !base.decide(who, what).allowed) return false
        if (seen && !base.isVisible(who, what.server, what.tool)) return false
      }
      return true
    }),
    { numRuns: RUNS / CALLS },
  )
  expect(cases).toBeGreaterThanOrEqual(RUNS)
})

test('allowed(call) ⇒ visible(tool): what tools/list hides cannot be called with any arguments', () => {
  fc.assert(
    fc.property(policies, subject, call, (list, who, what) => {
      const engine = compile(list)
      const decision = engine.decide(who, what)
      const isVisible = engine.isVisible(who, what.server, what.tool)
      const isConcealed = decision.obligations.some(({ type }) => type === 'conceal')
      return decision.allowed ? isVisible : isConcealed !== isVisible
    }),
    { numRuns: RUNS / 5 },
  )
})

test('without conditions: visible(tool) ≡ allowed(call)', () => {
  const plain = policyOf(
    fc.record({ server: glob, tool: glob, action: fc.constantFrom('allow', 'deny') }, { requiredKeys: ['action'] }),
  )
  fc.assert(
    fc.property(fc.array(plain, { maxLength: 5 }), subject, call, (list, who, what) => {
      const engine = compile(list)
      return engine.decide(who, what).allowed === engine.isVisible(who, what.server, what.tool)
    }),
    { numRuns: RUNS / 5 },
  )
})

test('decide(policies) ≡ decide(reversed policies): order decides nothing', () => {
  fc.assert(
    fc.property(policies, subject, call, (list, who, what) => {
      const reversed = list
        .map((policy) => ({ ...policy, rules: (policy as { rules: object[] }).rules.toReversed() }))
        .toReversed()
      return compile(list).decide(who, what).allowed === compile(reversed).decide(who, what).allowed
    }),
    { numRuns: RUNS / 5 },
  )
})

test('decide ∘ remember ≡ decide: what was asked before changes no answer', () => {
  fc.assert(
    fc.property(policies, fc.array(fc.tuple(subject, call), { minLength: 2, maxLength: 6 }), (list, asked) => {
      const engine = compile(list)
      for (const [who, what] of asked) {
        const frozen = { ...who, roles: Object.freeze([...who.roles]) }
        const first = engine.decide(frozen, what)
        expect(engine.decide(frozen, what)).toEqual(first)
        expect(compile(list).decide(who, what)).toEqual(first)
      }
    }),
    { numRuns: RUNS / 20 },
  )
})

test('a caller without a role, an attribute or a tenant is allowed nothing that a policy for all does not allow', () => {
  const narrow = fc.record({
    roles: fc.constantFrom(['reader'], ['*er']),
    rules: fc.array(ruleOf(fc.constant('allow')), { minLength: 1, maxLength: 4 }),
  })
  fc.assert(
    fc.property(
      fc.array(narrow, { maxLength: 4 }),
      call,
      (list, what) => !compile(list).decide({ id: 'x', roles: [] }, what).allowed,
    ),
    { numRuns: RUNS / 5 },
  )
})
