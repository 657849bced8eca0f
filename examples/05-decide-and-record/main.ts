// @mcp-gateway/policy and @mcp-gateway/audit-chain around tools of your own: who may is decided, what happened is recorded,
// and when an administrator changes the record, it is found.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createPublisher, createSigner, examineLog, openLog } from '@mcp-gateway/audit-chain'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { createLimiter, createPolicyEngine, createRedactor, parsePolicyFile, refusal } from '@mcp-gateway/policy'
import type { Subject } from '@mcp-gateway/policy'

const rules = parsePolicyFile(`
policies:
  - id: support
    roles: [support]
    rules:
      - { server: shop, tool: refund, action: allow, conditions: [{ param: amount, operator: lte, value: 100 }] }
limits:
  - { id: refunds, per: [caller], tool: refund, rate: 2/min }
redaction:
  - { id: people, on: [logs], detectors: all }
`)
const engine = createPolicyEngine(rules)
const limiter = createLimiter({ limits: rules.limits ?? [] })
const redactor = createRedactor(rules.redaction).forCall('shop', 'refund').logs

type Refund = { readonly amount: number; readonly note: string }
const refund = ({ amount }: Refund): string => `${amount} EUR are on their way`

await using resources = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'decide-and-record-'))
resources.defer(() => rm(folder, { recursive: true }))
const path = join(folder, 'audit.db')
const origin = 'shop.example/refunds'
const database = openSqlite(path)
const store = createSqliteStore({ database })
const log = openLog({ store, origin })

const support: Subject = { id: 'sam', roles: ['support'] }
const said = [
  await call(support, { amount: 40, note: 'jane.doe@example.com was charged twice' }),
  await call(support, { amount: 4000, note: 'a friend of mine' }),
  await call({ id: 'ivan', roles: ['intern'] }, { amount: 1, note: '' }),
  await call(support, { amount: 60, note: 'late' }),
  await call(support, { amount: 10, note: 'once more' }),
]
console.log(said.join('\n'))
assert.deepEqual(said, [
  '40 EUR are on their way',
  'POLICY_DENIED',
  // No rule is about interns, so they are told what is said of any name that leads nowhere.
  'POLICY_UNKNOWN_TOOL',
  '60 EUR are on their way',
  'POLICY_RATE_LIMITED',
])

// A signed checkpoint, kept where the administrator of the database does not reach.
const signer = createSigner({ name: origin, privateKey: generateKeyPairSync('ed25519').privateKey })
const published = await createPublisher({ store, signer }).publish()
const remembered = [published?.note ?? '']
assert.deepEqual((await examineLog({ store, origin, remembered })).findings, [])
await log[Symbol.asyncDispose]()
database.close()
assert.ok(!(await readFile(path)).includes('jane.doe@example.com'), 'no address is in the record')

// One refund is made to have been refused, by somebody who may do anything to the file.
using changed = new DatabaseSync(path)
changed.exec('drop trigger audit_entry_no_update')
changed.exec(
  `update audit_entry set leaf = cast(replace(cast(leaf as text), '"served"', '"failed"') as blob) where seq = 0`,
)
const { findings } = await examineLog({ store: createSqliteStore({ database: openSqlite(path) }), origin, remembered })
console.log(findings.map(({ code, message }) => `${code}: ${message}`).join('\n'))
assert.ok(findings.some(({ seq }) => seq === 0))

async function call(caller: Subject, args: Refund): Promise<string> {
  const target = { server: 'shop', tool: 'refund', args }
  const end = async (status: string, answer: string, rule: string): Promise<string> => {
    const fields = { arguments: JSON.stringify(redactor.value(args).value), answer }
    // The answer leaves when the entry is on the disk.
    await log.append({ type: 'tool.call', subject: caller.id, facts: { rule, status, tool: 'refund' }, fields })
    return answer
  }
  const decision = engine.decide(caller, target)
  if (!decision.allowed) return end('refused', refusal(decision, 'refund').code, decision.rule)
  using admission = await limiter.admit(caller, target)
  if (admission.error !== undefined) return await end('refused', admission.error.code, admission.rule)
  return await end('served', refund(args), decision.rule)
}
