// Nothing crosses tenants: two of them hammer the gateway with each other's ids for servers, sessions, cursors, request
// states, enablements and log entries, over every route there is.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningGateway } from '@mcp-gateway/gateway'
import { folder, type Folder } from './ledger-support.ts'
import { echoServer, gatewayWith, modern, send } from './support.ts'

const TENANTS = ['acme', 'globex'] as const
type Tenant = (typeof TENANTS)[number]
const key = (tenant: string, id: string) => `gw_test_${tenant}_${id}_0123456789abcdef0123456789`
/** The same consumer ids in both tenants: only the tenant tells them apart. */
const keys = TENANTS.flatMap((tenantId) =>
  [
    { id: 'agent', roles: ['user'] },
    { id: 'audie', roles: ['auditor'] },
  ].map(({ id, roles }) => ({ id: `${tenantId}-${id}`, key: key(tenantId, id), consumerId: id, roles, tenantId })),
)
const config = {
  auth: { type: 'api-key', keys },
  servers: [
    echoServer('shared', { tenants: ['acme', 'globex'] }),
    echoServer('acme-crm', { tenants: ['acme'], name: 'name-of-acme', description: 'canary-of-acme' }),
    echoServer('globex-crm', { tenants: ['globex'], name: 'name-of-globex', description: 'canary-of-globex' }),
  ],
}
const otherOf = (tenant: Tenant): Tenant => (tenant === 'acme' ? 'globex' : 'acme')
/** What only this tenant may ever see. Ids are no secrets here: the other tenant guesses them, and its own log says so. */
const secretsOf = (tenant: Tenant) => [`canary-of-${tenant}`, `name-of-${tenant}`, theirs(tenant).origin]

let place: Folder
let gateway: RunningGateway
type Known = { session: string; sharedPid: string; entry: string; cursor: string; origin: string }
const known: Partial<Record<Tenant, Known>> = {}

const bearer = (tenant: Tenant, id = 'agent') => ({ authorization: `Bearer ${key(tenant, id)}` })
const asTenant = (tenant: Tenant, method: string, params: Record<string, unknown> = {}, id?: string) => {
  const request = modern(method, params)
  return { ...request, headers: { ...request.headers, ...bearer(tenant, id) } }
}
const call = (tenant: Tenant, path: string, name: string, args: object = {}) =>
  send(gateway, path, asTenant(tenant, 'tools/call', { name, arguments: args }))
const get = (tenant: Tenant, path: string, id = 'audie') =>
  send(gateway, path, { method: 'GET', headers: bearer(tenant, id) })

beforeAll(async () => {
  place = folder()
  gateway = await gatewayWith(config, place.database)
  for (const tenant of TENANTS) {
    await call(tenant, `/mcp/server/${tenant}-crm`, 'echo', { note: `canary-of-${tenant}` })
    const pid = await call(tenant, '/mcp/server/shared', 'pid')
    const headers = {
      ...bearer(tenant),
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    }
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } }
    const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params })
    const opened = await send(gateway, '/mcp/server/shared', { headers, body })
    const entries = (await get(tenant, '/api/audit')).json()['entries'] as { id: string }[]
    // Signs the tenant's log and the meta-log over it, which both have something to tell from now on.
    const proof = await get(tenant, `/api/proofs/${entries[0]?.id ?? ''}`)
    const { leaf } = proof.json() as { leaf: string }
    const { result } = pid.json() as { result: { content: [{ text: string }] } }
    known[tenant] = {
      session: String(opened.headers['mcp-session-id']),
      sharedPid: result.content[0].text,
      entry: entries[0]?.id ?? '',
      origin: (JSON.parse(leaf) as { log: string }).log,
      cursor: Buffer.from(`${tenant}-crm__echo`).toString('base64url'),
    }
  }
})
afterAll(async () => {
  await gateway.close()
  place[Symbol.dispose]()
})

const theirs = (tenant: Tenant): Known => {
  const found = known[tenant]
  if (found === undefined) throw new Error('the tenant has not begun')
  return found
}

describe('what is shared in the configuration is not shared in fact', () => {
  it('each tenant has a process of its own, and a log in a folder of its own', () => {
    expect(theirs('acme').sharedPid).not.toBe(theirs('globex').sharedPid)
    expect(readdirSync(join(place.path, 'tenants')).sort()).toEqual(['acme', 'globex'])
  })

  it.for(TENANTS)('%s sees its own servers, log and usage', async (tenant) => {
    const text = async (path: string) => (await get(tenant, path)).text
    expect(JSON.parse(await text('/api/servers')).servers.map(({ id }: { id: string }) => id)).toEqual(['shared', `${tenant}-crm`]) // prettier-ignore
    expect(await text('/api/audit')).toContain(`canary-of-${tenant}`)
    expect(await text('/api/usage')).toContain(`${tenant}-crm`)
    expect(JSON.parse(await text('/api/audit/verify'))).toMatchObject({ intact: true })
    expect((await get(tenant, `/api/proofs/${theirs(tenant).entry}`)).status).toBe(200)
  })
})

/** Every place in a request where an id can stand. */
const idsOf = (tenant: Tenant): fc.Arbitrary<string> =>
  fc.constantFrom('shared', `${tenant}-crm`, 'gateway', theirs(tenant).entry, theirs(tenant).session, 'agent', 'echo', `${tenant}-crm__echo`) // prettier-ignore

describe('with the other tenant’s ids', () => {
  it('no route of /openapi.json tells anything of the other tenant', { timeout: 60_000 }, async () => {
    const { paths } = (await get('acme', '/openapi.json')).json() as { paths: Record<string, Record<string, unknown>> }
    const routes = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ path, method }))) // prettier-ignore
    expect(routes.length).toBeGreaterThanOrEqual(12)
    let answered = 0
    const law = fc.asyncProperty(
      fc.constantFrom(...routes),
      fc.constantFrom(...TENANTS),
      fc.constantFrom('agent', 'audie'),
      fc.gen(),
      async ({ path, method }, tenant, caller, gen) => {
        const other = otherOf(tenant)
        const pick = (): string => gen(() => idsOf(other))
        const url = path.replaceAll(/\{\w+\}/g, () => encodeURIComponent(pick()))
        // Each tile there is, too.
        const tile = gen(() =>
          fc.constantFrom('tile/0/000.p/1', 'tile/0/000.p/2', 'tile/entries/000.p/1', 'checkpoint'),
        )
        const query = method === 'get' ? `?server=${pick()}&consumer=${pick()}` : ''
        const name = pick()
        const rpc = asTenant(
          tenant,
          'tools/call',
          { name, arguments: { server: pick(), tool: pick(), args: {} } },
          caller,
        )
        const rest = { headers: { ...bearer(tenant, caller), 'content-type': 'application/json' }, body: JSON.stringify({ arguments: { note: 1 } }) } // prettier-ignore
        const options = path.startsWith('/mcp') ? rpc : method === 'get' ? { headers: bearer(tenant, caller) } : rest
        const answer = await send(gateway, url + query, { ...options, method: method.toUpperCase() })
        if (answer.status < 300) answered += 1
        const tree = await get(tenant, `/api/audit/${gen(() => fc.constantFrom('log', 'meta'))}/${tile}`, caller)
        for (const secret of secretsOf(other)) expect(answer.text + tree.text).not.toContain(secret)
      },
    )
    await fc.assert(law, { numRuns: Number(process.env['TENANT_RUNS'] ?? 600), endOnFailure: true })
    // The law would hold for a gateway that refuses everything, too.
    expect(answered).toBeGreaterThan(50)
  })

  it.for(TENANTS)('%s cannot reach servers, sessions, proofs or cursors of the other', async (tenant) => {
    const other = otherOf(tenant)
    expect((await call(tenant, `/mcp/server/${other}-crm`, 'echo')).status).toBe(404)
    expect((await call(tenant, '/mcp', `${other}-crm__echo`)).json()).toMatchObject({ error: { data: { code: 'WIRE_UNKNOWN_NAME' } } }) // prettier-ignore
    expect((await get(tenant, `/api/servers/${other}-crm`)).status).toBe(404)
    expect((await get(tenant, `/api/proofs/${theirs(other).entry}`)).status).toBe(404)
    const headers = { ...bearer(tenant), 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-session-id': theirs(other).session } // prettier-ignore
    const ping = { headers, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }) }
    expect((await send(gateway, '/mcp/server/shared', ping)).status).toBe(404)
    const page = await send(gateway, '/mcp', asTenant(tenant, 'tools/list', { cursor: theirs(other).cursor }))
    expect(page.text).not.toContain(`${other}-crm`)
  })

  it('a request state of the other tenant’s caller of the same name is refused', async () => {
    const capabilities = { 'io.modelcontextprotocol/clientCapabilities': { sampling: {} } }
    const servers = [echoServer('asks', { tenants: ['acme', 'globex'], args: [...(echoServer('x') as { args: string[] }).args, '--legacy'] })] // prettier-ignore
    await using own = await gatewayWith({ ...config, servers })
    const ask = (tenant: Tenant, more: object = {}) =>
      send(
        own,
        '/mcp/server/asks',
        asTenant(tenant, 'tools/call', { name: 'ask', arguments: {}, _meta: capabilities, ...more }),
      )
    const { result } = (await ask('acme')).json() as { result: { requestState: string; inputRequests: object } }
    const [question = ''] = Object.keys(result.inputRequests)
    const more = { requestState: result.requestState, inputResponses: { [question]: { role: 'assistant', content: { type: 'text', text: 'x' }, model: 'm' } } } // prettier-ignore
    expect((await ask('globex', more)).json()).toMatchObject({
      error: { data: { code: 'WIRE_REQUEST_STATE_INVALID' } },
    })
    expect((await ask('acme', more)).json()).toHaveProperty('result.answer')
  })

  it('enabling a server is nothing to the other tenant’s caller of the same name', async () => {
    await using own = await gatewayWith({ ...config, discovery: 'opt-in' })
    const enable = asTenant('acme', 'tools/call', { name: 'gateway__enable_server', arguments: { server: 'shared' } })
    expect((await send(own, '/mcp', enable)).json()).not.toHaveProperty('result.isError')
    const shows = async (tenant: Tenant) => (await send(own, '/mcp', asTenant(tenant, 'tools/list'))).text.includes('shared__echo') // prettier-ignore
    expect([await shows('acme'), await shows('globex')]).toEqual([true, false])
  })
})
