import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { folder } from './cli.ts'

const TABLES = join(import.meta.dirname, '..', '..', '..', 'packages', 'policy', 'test', 'tables')

const config = `
auth:
  keys:
    - { id: k1, key: sha256:${'0'.repeat(64)}, consumerId: alice, roles: [customer], attributes: { customerId: c-1 } }
policies:
  - id: customers
    roles: [customer]
    rules:
      - { server: crm, tool: 'get_*', action: allow, conditions: [{ param: customerId, operator: eq, caller: attributes.customerId }] }
`
const cases = (expect: string) => `
callers: { alice: { roles: [customer], attributes: { customerId: c-1 } } }
cases:
  - { caller: alice, call: crm/get_orders, args: { customerId: c-1 }, expect: ${expect} }
  - { caller: alice, call: crm/drop_all, expect: unknown }
`

describe('policy test', () => {
  test('runs the company’s table of more than 200 cases', async () => {
    using dir = folder()
    const table = join(TABLES, 'company.cases.yaml')
    const { code, stdout } = await dir.run(['policy', 'test', table, '--policies', join(TABLES, 'company.policy.yaml')])
    expect(code).toBe(0)
    expect(Number(/^(\d+) passed, 0 failed$/m.exec(stdout)?.[1])).toBeGreaterThanOrEqual(200)
  })

  test('tests the policies of the configuration, and fails with the case that fails', async () => {
    using dir = folder()
    dir.write('gateway.yaml', config)
    dir.write('good.yaml', cases('allow'))
    dir.write('bad.yaml', cases('deny'))
    expect(await dir.run(['policy', 'test', 'good.yaml'])).toMatchObject({ code: 0, stdout: expect.stringContaining('2 passed, 0 failed') }) // prettier-ignore
    const bad = await dir.run(['policy', 'test', 'bad.yaml'])
    expect(bad.code).toBe(1)
    expect(bad.stdout).toContain(
      'FAILED alice calls crm/get_orders {"customerId":"c-1"}: expected deny, got allow by customers/1',
    )
    const json = JSON.parse((await dir.run(['policy', 'test', 'good.yaml', '--json'])).stdout) as object
    expect(json).toMatchObject({ passed: 2, failed: 0, cases: [{ decidedBy: 'customers/1' }, { got: 'unknown' }] })
  })

  test('says where a table is wrong', async () => {
    using dir = folder()
    dir.write('gateway.yaml', config)
    dir.write('odd.yaml', 'callers: {}\ncases:\n  - { caller: bob, call: x, expect: maybe }\n')
    const { code, stderr } = await dir.run(['policy', 'test', 'odd.yaml'])
    expect(code).toBe(3)
    expect(stderr).toMatch(/odd\.yaml:3:/)
    expect((await dir.run(['policy', 'test', 'missing.yaml'])).code).toBe(1)
  })

  test('a configuration without policies is said to have none', async () => {
    using dir = folder()
    dir.write('gateway.yaml', 'servers: []\n')
    dir.write('good.yaml', cases('allow'))
    expect((await dir.run(['policy', 'test', 'good.yaml'])).stderr).toContain('every caller may call every tool')
  })
})

describe('policy explain', () => {
  test('knows callers by their key, their consumer, or their roles', async () => {
    using dir = folder()
    dir.write('gateway.yaml', config)
    const explain = async (...args: string[]) => (await dir.run(['policy', 'explain', ...args])).stdout
    expect(await explain('alice', 'crm__get_orders', '--args', '{"customerId":"c-1"}')).toContain(
      'ALLOWED by customers/1',
    )
    expect(await explain('k1', 'crm/get_orders', '--args', '{"customerId":"c-2"}')).toContain('REFUSED by default-deny')
    expect(await explain('anybody', 'crm__get_orders', '--roles', 'guest')).toContain('does not show this tool')
    const { code, stderr } = await dir.run(['policy', 'explain', 'bob', 'crm__get_orders'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('no consumer "bob"')])
    expect((await dir.run(['policy', 'explain', 'alice', 'crm'])).code).toBe(2)
    expect((await dir.run(['policy', 'explain', 'alice', 'crm__x', '--args', '{'])).code).toBe(2)
  })
})

test('doctor and serve report what is wrong in policies with line and place', async () => {
  using dir = folder()
  dir.write(
    'gateway.yaml',
    `${config}      - { server: crm, tool: 'x', action: alow }\nrateLimit: { limits: [{ id: a }] }\n`,
  )
  const { code, stderr } = await dir.run(['serve'])
  expect(code).toBe(3)
  expect(stderr).toMatch(/gateway\.yaml:10:\d+ policies\[0\]\.rules\[1\]\.action/)
  expect(stderr).toMatch(/rateLimit\.limits\[0\]/)
})
