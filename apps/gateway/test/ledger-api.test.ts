// Who may ask the audit log what, over HTTP and with the gateway's own tools, and what it answers: the same wherever it is.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningGateway } from '@mcp-gateway/gateway'
import { csvCell } from '@mcp-gateway/audit-chain/formats/csv'
import { openLedger, queryLedger, readLedger, type LedgerPlace } from '@mcp-gateway/gateway/ledger'
import { parseVerifierKey, trustLogs, verifyEntryProof } from '@mcp-gateway/audit-chain/verify'
import { folder, type Folder } from './ledger-support.ts'
import { usePostgres } from './support/postgres.ts'
import { echoServer, gatewayWith, modern, send } from './support.ts'

const { server, isAbsent } = await usePostgres()

/** Where a log is kept: what the configuration says of it, where the operator finds it, and all that is stored of its fields. */
type Kept = { readonly audit: object; readonly place: LedgerPlace; readonly stored: () => Promise<string> }
type Storage = { readonly name: string; readonly isAbsent: boolean; readonly keep: (at: Folder) => Promise<Kept> }
let databases = 0
const STORAGES: readonly Storage[] = [
  {
    name: 'sqlite',
    isAbsent: false,
    keep: async (at) => ({
      audit: {},
      place: { file: at.audit },
      stored: async () => {
        const files = readdirSync(at.path).filter((name) => name.startsWith('audit.db'))
        return files.map((name) => readFileSync(join(at.path, name)).toString('latin1')).join('')
      },
    }),
  },
  {
    name: 'postgres',
    isAbsent,
    keep: async (at) => {
      databases += 1
      const dsn = await server.createDatabase(`api_${databases}`)
      return {
        audit: { storage: 'postgres', dsn },
        place: { file: at.audit, postgres: { dsn, mainFile: at.audit, tenantId: 'default' } },
        stored: async () => {
          const rows = await server.sql(dsn).unsafe('select fields from audit_field')
          return rows.map((row) => Buffer.from(row['fields'] as Uint8Array).toString('latin1')).join('')
        },
      }
    },
  },
]

const key = (who: string) => `gw_test_${who}_0123456789abcdef0123456789abcdef`
const consumers = { audie: ['auditor'], ada: ['admin'], both: ['admin', 'auditor'], nobody: [], agent: ['user'] }
for (const storage of STORAGES) {
  describe.skipIf(storage.isAbsent)(`in ${storage.name}`, () => {
    let place: Folder
    let gateway: RunningGateway
    let config: Readonly<Record<string, unknown>>
    const keys = Object.entries(consumers).map(([id, roles]) => ({ id, key: key(id), name: id, consumerId: id, roles }))

    const get = (path: string, who: string) =>
      send(gateway, path, { method: 'GET', headers: { authorization: `Bearer ${key(who)}` } })
    const as = (who: string, request: ReturnType<typeof modern>) => ({
      ...request,
      headers: { ...request.headers, authorization: `Bearer ${key(who)}` },
    })
    const call = (who: string, name: string, args: object, path = '/mcp/server/one') =>
      send(gateway, path, as(who, modern('tools/call', { name, arguments: args })))

    type Entry = Readonly<Record<string, unknown>> & { id: string; facts: Readonly<Record<string, unknown>> }
    const entriesOf = async (path: string, who: string) => (await get(path, who)).json()['entries'] as Entry[]

    beforeAll(async () => {
      place = folder()
      const { audit } = await storage.keep(place)
      config = { auth: { type: 'api-key', keys }, servers: [echoServer('one')], audit }
      gateway = await gatewayWith(config, place.database)
      await call('agent', 'echo', { secret: 'hunter2' })
      await call('agent', 'fail', {})
      await call('nobody', 'echo', { n: 1 })
    })
    afterAll(async () => {
      await gateway.close()
      place[Symbol.dispose]()
    })

    const PATHS = [
      '/api/audit',
      '/api/audit/verify',
      '/api/audit/stats',
      '/api/usage',
      '/api/usage/agent',
      '/api/proofs/x',
    ]
    const ROLES: [who: string, allowed: boolean, bodies: boolean][] = [
      ['audie', true, true],
      ['ada', true, false],
      ['both', true, true],
      ['agent', false, false],
      ['nobody', false, false],
    ]

    describe('roles', () => {
      it.for(ROLES)('%s', async ([who, allowed, bodies]) => {
        for (const path of PATHS) {
          const answer = await get(path, who)
          if (!allowed)
            expect([answer.status, answer.json()['error']]).toEqual([403, expect.objectContaining({ code: 'GATEWAY_ROLE_REQUIRED' })]) // prettier-ignore
          else if (path === '/api/proofs/x')
            expect([answer.status, answer.json()['error']]).toEqual([404, expect.objectContaining({ code: 'GATEWAY_UNKNOWN_ENTRY' })]) // prettier-ignore
          else expect(answer.status).toBe(200)
        }
        for (const name of ['audit_log', 'audit_verify', 'audit_stats', 'usage']) {
          const { result } = (await call(who, name, {}, '/mcp/server/gateway')).json() as {
            result: { isError?: boolean }
          }
          expect(result.isError ?? false).toBe(!allowed)
        }
        if (!allowed) return
        const [oldest] = (await entriesOf('/api/audit?consumer=agent&status=served', who)).slice(-1)
        expect(oldest).toMatchObject({ consumer: 'agent', facts: { name: 'echo' } })
        expect('arguments' in (oldest ?? {})).toBe(bodies)
        expect('response' in (oldest ?? {})).toBe(bodies)
      })

      it('without a key nothing', async () => {
        for (const path of PATHS) expect((await send(gateway, path, { method: 'GET' })).status).toBe(401)
      })
    })

    it('finds entries by consumer, server, tool, status and time, and page by page', async () => {
      expect(await entriesOf('/api/audit?tool=fail&status=tool_error&server=one', 'ada')).toHaveLength(1)
      expect(await entriesOf(`/api/audit?to=2020-01-01T00:00:00Z`, 'ada')).toHaveLength(0)
      const first = (await get('/api/audit?type=tool.call&server=one&limit=2', 'ada')).json()
      expect(first['entries']).toHaveLength(2)
      const rest = await entriesOf(`/api/audit?type=tool.call&server=one&cursor=${String(first['nextCursor'])}`, 'ada')
      expect(rest).toHaveLength(1)
      expect((await get('/api/audit?limit=0', 'ada')).status).toBe(400)
      expect((await get('/api/audit?from=yesterday', 'ada')).status).toBe(400)
    })

    it('counts usage by consumer, server and tool, the same over any way of counting', async () => {
      const usageAt = async (path: string) =>
        ((await get(path, 'ada')).json()['usage'] as { server: string }[]).filter(({ server }) => server === 'one')
      const usage = await usageAt('/api/usage/agent')
      expect(usage).toEqual([
        expect.objectContaining({ server: 'one', tool: 'echo', calls: 1, errors: 0 }),
        expect.objectContaining({ server: 'one', tool: 'fail', calls: 1, errors: 1 }),
      ])
      expect(await usageAt('/api/usage/agent?from=2020-01-01')).toEqual(usage)
      const stats = (await get('/api/audit/stats', 'ada')).json()
      expect(stats).toMatchObject({ byStatus: { served: expect.any(Number), tool_error: expect.any(Number) } })
    })

    it('proves an entry to somebody who has only the verifier key', async () => {
      const [entry] = await entriesOf('/api/audit?consumer=agent&tool=echo', 'ada')
      const { leaf, proof, verifierKey } = (await get(`/api/proofs/${entry?.id}`, 'ada')).json() as Record<
        string,
        string
      >
      expect(parseVerifierKey(verifierKey ?? '').role).toBe('log')
      const reading = verifyEntryProof(proof ?? '', Buffer.from(leaf ?? ''), trustLogs(verifierKey ?? ''))
      expect(reading.findings).toEqual([])
      expect(reading.entry?.id).toBe(entry?.id)
      const forged = verifyEntryProof(proof ?? '', Buffer.from((leaf ?? '').replace('echo', 'evil')), trustLogs(verifierKey ?? '')) // prettier-ignore
      expect(forged.findings).not.toEqual([])
    })

    it('verifies, and is in the OpenAPI document', async () => {
      const verified = (await get('/api/audit/verify', 'ada')).json()
      expect(verified).toMatchObject({ intact: true, findings: [], meta: { logs: 1, behind: [] } })
      expect(verified).not.toHaveProperty('meta.problem')
      const { paths } = (await get('/openapi.json', 'ada')).json() as { paths: object }
      const documented = ['/api/audit', '/api/audit/verify', '/api/audit/stats', '/api/usage', '/api/usage/{consumer}', '/api/proofs/{id}'] // prettier-ignore
      expect(Object.keys(paths)).toEqual(expect.arrayContaining(documented))
    })

    it('answers 404 with a code when the log is off', async () => {
      await using off = await gatewayWith({ ...config, audit: { enabled: false } })
      const answer = await send(off, '/api/audit', {
        method: 'GET',
        headers: { authorization: `Bearer ${key('ada')}` },
      })
      expect([answer.status, answer.json()['error']]).toEqual([
        404,
        expect.objectContaining({ code: 'GATEWAY_AUDIT_OFF' }),
      ])
    })

    it('erases what a caller said and who it was from every file, and still verifies', async () => {
      using other = folder()
      const { audit, place: its, stored } = await storage.keep(other)
      const short = await gatewayWith({ ...config, audit }, other.database)
      await send(short, '/mcp/server/one', as('agent', modern('tools/call', { name: 'echo', arguments: { note: 'canary-4711' } }))) // prettier-ignore
      const usage = { method: 'GET', headers: { authorization: `Bearer ${key('ada')}` } }
      expect((await send(short, '/api/usage', usage)).text).toContain('agent')
      expect(await stored()).toContain('canary-4711')
      {
        await using file = await openLedger(its)
        await file.log.erase({ what: { subject: 'agent' }, reason: 'GDPR Art. 17', by: 'test' })
      }
      expect(await stored()).not.toContain('canary-4711')
      expect((await send(short, '/api/usage', usage)).json()['usage']).toMatchObject([
        { consumer: '(erased)', calls: 1 },
      ])
      expect((await send(short, '/api/audit/verify', usage)).json()).toMatchObject({ intact: true })
      await short.close()
      await using reader = await readLedger(its)
      const { entries } = await queryLedger(reader, { limit: 1000, withBodies: true })
      const call = entries.find(({ type }) => type === 'tool.call')
      expect(call).not.toHaveProperty('consumer')
      expect(call).not.toHaveProperty('arguments')
    })
  })
}

it.for([
  ['plain', 'plain'],
  ['a,b', '"a,b"'],
  ['say "no"', '"say ""no"""'],
  ['two\nlines', '"two\nlines"'],
  ['=HYPERLINK("http://x")', '"\'=HYPERLINK(""http://x"")"'],
  ['+1', "'+1"],
  ['-32601', "'-32601"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\t=1', "'\t=1"],
  [12, '12'],
  [undefined, ''],
] as const)('CSV: %j is written %j', ([value, written]) => {
  expect(csvCell(value)).toBe(written)
})
