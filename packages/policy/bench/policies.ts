/** The same 50 policies three times: as rules, as CEL expressions, and in Cedar's language. */
import { toPolicyFile, type Policy } from '@mcp-gateway/policy'

type Effect = 'allow' | 'deny'
type Condition = { readonly rule: object; readonly cel: string; readonly cedar: string }
type Row = {
  readonly role: string
  readonly server: string
  readonly tool: string
  readonly action: Effect
  readonly condition?: Condition
}

const own: Condition = {
  rule: { param: 'customerId', operator: 'eq', caller: 'attributes.customerId' },
  cel: 'args.customerId == caller.attributes.customerId',
  cedar: 'context.args has customerId && context.args.customerId == principal.customerId',
}
const small: Condition = {
  rule: { param: 'limit', operator: 'lte', value: 10 },
  cel: 'args.limit <= 10',
  cedar: 'context.args has limit && context.args.limit <= 10',
}
const big: Condition = {
  rule: { param: 'amount', operator: 'gt', value: 1000 },
  cel: 'args.amount > 1000',
  cedar: 'context.args.amount > 1000',
}

const servers = ['crm', 'billing', 'github', 'jira', 'slack', 'db', 'files', 'mail', 'search', 'k8s']

const rows: readonly Row[] = [
  ...servers.flatMap((server): Row[] => [
    { role: 'viewer', server, tool: '{get,list,search,read}_*', action: 'allow' },
    { role: 'editor', server, tool: '{create,update}_*', action: 'allow' },
    { role: 'admin', server, tool: '*', action: 'allow' },
    { role: '*', server, tool: '{drop,purge,wipe}_*', action: 'deny' },
  ]),
  ...['crm', 'billing', 'mail', 'search', 'files'].map((server): Row => ({
    role: 'customer',
    server,
    tool: '*_customer*',
    action: 'allow',
    condition: own,
  })),
  ...['db', 'k8s', 'files'].map((server): Row => ({ role: 'viewer', server, tool: '*_admin_*', action: 'deny' })),
  { role: 'bot', server: '*', tool: 'search_*', action: 'allow', condition: small },
  { role: '*', server: '*', tool: 'transfer_*', action: 'deny', condition: big },
]

export const asRules: readonly Policy[] = toPolicyFile({
  policies: rows.map(({ role, server, tool, action, condition }, index) => ({
    id: `p${index}`,
    roles: [role],
    rules: [{ server, tool, action, ...(condition && { conditions: [condition.rule] }) }],
  })),
}).policies

/** Everything in the expression, as one would write it with CEL alone. */
export const asCel: readonly Policy[] = toPolicyFile({
  policies: rows.map(({ role, server, tool, action, condition }, index) => ({
    id: `p${index}`,
    roles: ['*'],
    rules: [
      {
        action,
        when: [
          role === '*' ? 'true' : `"${role}" in caller.roles`,
          server === '*' ? 'true' : `server == "${server}"`,
          `(${alternatives(tool).map(celTest).join(' || ')})`,
          condition?.cel ?? 'true',
        ].join(' && '),
      },
    ],
  })),
}).policies

export const asCedar: string = rows
  .map(({ role, server, tool, action, condition }, index) => {
    const who = role === '*' ? 'principal' : `principal in Role::"${role}"`
    const what = server === '*' ? 'resource' : `resource in Server::"${server}"`
    const names = alternatives(tool)
      .map((one) => `resource.name like "${one}"`)
      .join(' || ')
    const effect = action === 'allow' ? 'permit' : 'forbid'
    return `@id("p${index}") ${effect} (${who}, action == Action::"call", ${what}) when { (${names})${condition ? ` && ${condition.cedar}` : ''} };`
  })
  .join('\n')

/** Eight calls of different kinds, and what all three have to answer. */
export const calls: readonly (readonly [role: string, server: string, tool: string, args: object, allowed: boolean])[] =
  [
    ['viewer', 'crm', 'get_customer', { customerId: 'c1' }, true],
    ['customer', 'crm', 'get_customer_orders', { customerId: 'c1' }, true],
    ['customer', 'crm', 'get_customer_orders', { customerId: 'c2' }, false],
    ['admin', 'db', 'drop_table', {}, false],
    ['admin', 'k8s', 'scale_pod', {}, true],
    ['editor', 'jira', 'update_issue', {}, true],
    ['viewer', 'jira', 'update_issue', {}, false],
    ['bot', 'search', 'search_web', { limit: 5 }, true],
  ]

function alternatives(tool: string): string[] {
  const [, group, rest = ''] = /^\{([^}]*)\}(.*)$/.exec(tool) ?? []
  return group === undefined ? [tool] : group.split(',').map((one) => one + rest)
}

function celTest(glob: string): string {
  const [before = '', middle, after] = glob.split('*')
  if (middle === undefined) return `tool == "${before}"`
  if (after !== undefined) return `tool.contains("${middle}")`
  return before === '' && middle === '' ? 'true' : `tool.startsWith("${before}")`
}
