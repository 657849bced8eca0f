// What a tenant may have at most: calls of a day, servers, keys of a consumer, and room in its log.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError, parseConfig, type RunningGateway } from '@mcp-gateway/gateway'
import { openLedgerFile } from '@mcp-gateway/gateway/ledger'
import { redisMissing, startRedis, type RedisServer } from '../../../packages/policy/test/support/redis.ts'
import { callsIn, entriesIn, folder } from './ledger-support.ts'
import { echoServer, gatewayWith, modern, send } from './support.ts'

const key = (who: string) => `gw_test_${who}_0123456789abcdef0123456789abcdef`
const keyOf = (id: string, tenantId: string, more: object = {}) => ({
  id,
  key: key(id),
  consumerId: id,
  tenantId,
  ...more,
})
const config = {
  auth: { keys: [keyOf('alice', 'acme'), keyOf('anton', 'acme'), keyOf('gina', 'globex')] },
  servers: [echoServer('one', { tenants: ['acme', 'globex'] })],
}
const parsed = (more: object) => parseConfig(JSON.stringify({ port: 0, log: { level: 'silent' }, ...config, ...more }), { env: {} }) // prettier-ignore
const as = (who: string, name: string, args: object = {}) => {
  const { headers, body } = modern('tools/call', { name, arguments: args })
  return { headers: { ...headers, authorization: `Bearer ${key(who)}` }, body }
}
const call = (to: RunningGateway, who: string, args: object = {}) => send(to, '/mcp/server/one', as(who, 'echo', args))
/** What refuses a call: undefined when it was served. Over MCP a refusal is a response like any other. */
const refusalOf = async (to: RunningGateway, who: string, args: object = {}) =>
  ((await call(to, who, args)).json() as { error?: { data: { code: string } } }).error?.data.code
/** How many of so many calls, made at once, were admitted. */
const admitted = async (to: RunningGateway, who: string, calls: number) =>
  (await Promise.all(Array.from({ length: calls }, () => refusalOf(to, who)))).filter((code) => code === undefined)
    .length

describe('calls of a day', () => {
  const quotas = { maxCallsPerDay: 5, tenants: { globex: { maxCallsPerDay: 2 } } }

  it('are the tenant’s, ten at once get what there is, and the refusal says until when', async () => {
    using place = folder()
    await using gateway = await gatewayWith({ ...config, quotas }, place.database)
    expect(await admitted(gateway, 'alice', 3)).toBe(3)
    expect(await admitted(gateway, 'anton', 10)).toBe(2)
    expect(await admitted(gateway, 'gina', 10)).toBe(2)
    const refused = await call(gateway, 'alice')
    const untilMidnight = 86_400_000 - (Date.now() % 86_400_000)
    const { error } = refused.json() as { error: { message: string; data: { code: string; retryAfterMs: number } } }
    expect(error.data.code).toBe('POLICY_QUOTA_REACHED')
    expect(error.message).toContain('its 5 calls of today (UTC)')
    expect(Math.abs(error.data.retryAfterMs - untilMidnight)).toBeLessThan(60_000)
    expect(refused.headers).toMatchObject({
      'retry-after': String(Math.ceil(error.data.retryAfterMs / 1000)),
      'ratelimit-remaining': '0',
    })
    // What is no call to a server costs nothing, and goes on.
    const { headers, body } = modern('tools/list')
    expect((await send(gateway, '/mcp', { headers: { ...headers, authorization: `Bearer ${key('alice')}` }, body })).status).toBe(200) // prettier-ignore
    const [first] = (await callsIn(`${place.path}/tenants/acme/audit.db`)).filter(({ facts }) => facts['status'] === 'refused') // prettier-ignore
    expect(first?.facts).toMatchObject({ code: 'POLICY_QUOTA_REACHED', rule: 'quotas/calls-per-day' })
  })

  it('count a call made by gateway__call once, and one that a rate refuses not at all', async () => {
    const limits = [{ id: 'slow', per: ['caller'], rate: '1/h', burst: 2 }]
    await using gateway = await gatewayWith({ ...config, quotas: { maxCallsPerDay: 3 }, rateLimit: { limits } })
    const relayed = await send(gateway, '/mcp/server/gateway', as('alice', 'call', { tool: 'one__echo', args: {} }))
    expect(relayed.text).not.toContain('POLICY_')
    expect(await admitted(gateway, 'alice', 5)).toBe(1)
    expect(await refusalOf(gateway, 'alice')).toBe('POLICY_RATE_LIMITED')
    expect(await admitted(gateway, 'anton', 1)).toBe(1)
    expect(await refusalOf(gateway, 'anton')).toBe('POLICY_QUOTA_REACHED')
  })

  it('are not given anew by a restart', async () => {
    using place = folder()
    for (const wanted of [3, 2, 0]) {
      await using gateway = await gatewayWith({ ...config, quotas }, place.database)
      expect(await admitted(gateway, 'alice', 3)).toBe(wanted)
    }
  })

  it('stay counted when a reload changes the quota', async () => {
    using place = folder()
    await using gateway = await gatewayWith(config, place.database)
    expect(await admitted(gateway, 'alice', 10)).toBe(10)
    const law: [object | undefined, number][] = [
      [{ maxCallsPerDay: 4 }, 4],
      [{ maxCallsPerDay: 6 }, 2],
      [{ maxCallsPerDay: 3 }, 0],
      [{ maxCallsPerDay: 3, tenants: { acme: { maxCallsPerDay: 'unlimited' } } }, 10],
      [undefined, 10],
      [{ maxCallsPerDay: 7 }, 1],
    ]
    for (const [next, wanted] of law) {
      await gateway.reload(parsed({ quotas: next }))
      expect(await admitted(gateway, 'alice', 10)).toBe(wanted)
    }
  })

  describe.skipIf(redisMissing !== undefined)(`in Redis ${redisMissing ?? ''}`, () => {
    let redis: RedisServer
    beforeAll(async () => {
      redis = await startRedis()
    })
    afterAll(() => redis?.[Symbol.asyncDispose]())

    it('are those of all replicas together, and nobody’s while it is away', async () => {
      const shared = { ...config, quotas, rateLimit: { enabled: false, redis: `redis://127.0.0.1:${redis.port}` } }
      await using first = await gatewayWith(shared)
      await using second = await gatewayWith(shared)
      // The first call of each is counted: a start waits until Redis is there.
      expect(await refusalOf(first, 'gina')).toBe(undefined)
      expect(await refusalOf(second, 'gina')).toBe(undefined)
      expect(await admitted(first, 'gina', 3)).toBe(0)
      const both = await Promise.all([admitted(first, 'alice', 5), admitted(second, 'alice', 5)])
      expect(both[0] + both[1]).toBe(5)
      await redis[Symbol.asyncDispose]()
      expect(await refusalOf(first, 'alice')).toBe('POLICY_LIMIT_STORE_UNAVAILABLE')
      await using without = await gatewayWith(shared)
      expect(await refusalOf(without, 'alice')).toBe('POLICY_LIMIT_STORE_UNAVAILABLE')
    })
  })
})

describe('in the configuration', () => {
  const refusal = (more: object): string => {
    try {
      parsed(more)
      return ''
    } catch (error) {
      if (error instanceof ConfigError) return error.message.replace(/^configuration:\d+:\d+ /gm, '')
      throw error
    }
  }
  const servers = [1, 2, 3].map((n) => echoServer(`s${n}`, { tenants: ['acme', ...(n > 1 ? ['globex'] : [])] }))

  it('a server too many is named, and those that are disabled count for nobody', () => {
    const quotas = { maxServers: 2 }
    expect(refusal({ servers, quotas })).toBe(
      'servers[2]: is one server too many: tenant "acme" has 3, and quotas.maxServers is 2',
    )
    expect(refusal({ servers, quotas: { ...quotas, tenants: { acme: { maxServers: 3 } } } })).toBe('')
    expect(refusal({ servers: servers.with(0, { ...servers[0], enabled: false }), quotas })).toBe('')
  })

  it('keys count by consumer and tenant while they are good, and once while they are rotated', () => {
    const good = (id: string, more: object = {}) => keyOf(id, 'acme', { consumerId: 'bot', ...more })
    const previous = { key: key('before'), expiresAt: '2100-01-01' }
    const most = [
      good('a', { previous }),
      good('b', { expiresAt: '2100-01-01' }),
      good('c', { enabled: false }),
      good('d', { expiresAt: '2020-01-01' }),
      good('e', { tenantId: 'globex' }),
      good('f', { consumerId: 'other' }),
    ]
    const quotas = { maxKeysPerConsumer: 2 }
    expect(refusal({ auth: { keys: most }, quotas })).toBe('')
    expect(refusal({ auth: { keys: [...most, good('g')] }, quotas })).toBe(
      'auth.keys[6]: is one key too many: its consumer in tenant "acme" has 3, and quotas.maxKeysPerConsumer is 2',
    )
  })

  it('a key that has expired when the file is read counts no more', () => {
    const keys = [keyOf('a', 'acme'), keyOf('b', 'acme', { expiresAt: '2030-01-01' })].map((one) => ({ ...one, consumerId: 'bot' })) // prettier-ignore
    const text = JSON.stringify({ auth: { keys }, quotas: { maxKeysPerConsumer: 1 } })
    const at = (year: number) => parseConfig(text, { env: {}, now: Date.UTC(year, 0) })
    expect(() => at(2029)).toThrow('is one key too many')
    expect(at(2030).auth.keys).toHaveLength(2)
  })

  it.for([
    [{ maxCallPerDay: 1 }, {}, 'quotas.maxCallPerDay: unknown key; did you mean "maxCallsPerDay"?'],
    [{ tenants: { acme: { servers: 1 } } }, {}, 'quotas.tenants.acme.servers: unknown key'],
    [{ maxServers: 0 }, {}, 'quotas.maxServers: expected number to be >=1'],
    [{ maxCallsPerDay: 'none' }, {}, 'must be a whole number from 1 to 1000000000000, or "unlimited"'],
    [{ maxStorageMb: 5 }, { enabled: false }, 'quotas.maxStorageMb: is of the audit log, and audit.enabled is false'],
    [{ tenants: { acme: { maxStorageMb: 5 } } }, { storage: 'postgres', dsn: 'postgres://owner@db/audit' }, 'quotas.tenants.acme.maxStorageMb: is measured in the files'], // prettier-ignore
  ] as const)('%j with audit %j is refused', ([quotas, audit, message]) => {
    expect(refusal({ quotas, audit })).toContain(message)
  })

  it('a tenant whose name is that of something else has the quota of all', async () => {
    const keys = ['constructor', 'toString'].map((tenantId) => keyOf(tenantId, tenantId))
    const more = { auth: { keys }, servers: [echoServer('one', { tenants: ['constructor', 'toString'] })] }
    await using gateway = await gatewayWith({ ...more, quotas: { maxCallsPerDay: 1, tenants: { toString: { maxCallsPerDay: 2 } } } }) // prettier-ignore
    expect([await admitted(gateway, 'constructor', 3), await admitted(gateway, 'toString', 3)]).toEqual([1, 2])
  })

  it('a reload with too much is refused, and all goes on as it was', async () => {
    await using gateway = await gatewayWith({ ...config, quotas: { maxServers: 1 } })
    expect(() => parsed({ servers, quotas: { maxServers: 1 } })).toThrow('is one server too many')
    expect(await admitted(gateway, 'alice', 1)).toBe(1)
  })
})

describe('room in the log', () => {
  const audit = { arguments: 'full', responses: 'hash', maxBodyBytes: 200_000 }
  const big = { note: 'x'.repeat(150_000) }
  const acme = (place: { path: string }) => `${place.path}/tenants/acme/audit.db`

  it('when there is none, calls of this tenant are refused and leave two entries, until there is some', async () => {
    using place = folder()
    const limited = { quotas: { tenants: { acme: { maxStorageMb: 1 } } } }
    {
      await using gateway = await gatewayWith({ ...config, audit }, place.database)
      for (let n = 0; n < 8; n += 1) expect(await refusalOf(gateway, 'alice', big)).toBe(undefined)
      await gateway.reload(parsed({ audit, ...limited }))
      for (let n = 0; n < 20; n += 1)
        expect(await refusalOf(gateway, 'alice', big)).toBe('GATEWAY_STORAGE_QUOTA_REACHED')
      const rest = { 'x-api-key': key('alice'), 'content-type': 'application/json' }
      expect((await send(gateway, '/api/servers/one/tools/echo', { headers: rest, body: '{}' })).status).toBe(507)
      expect(await refusalOf(gateway, 'gina')).toBe(undefined)
      await gateway.reload(parsed({ audit, quotas: { maxStorageMb: 2 } }))
      expect(await refusalOf(gateway, 'alice')).toBe(undefined)
      await gateway.reload(parsed({ audit, ...limited }))
      expect(await refusalOf(gateway, 'alice')).toBe('GATEWAY_STORAGE_QUOTA_REACHED')
    }
    const entries = await entriesIn(acme(place))
    const told = entries.filter(({ type }) => type.startsWith('storage.'))
    expect(told.map(({ type, facts }) => [type, facts['count']])).toEqual([
      ['storage.refused', undefined],
      ['storage.refused.more', 21],
    ])
    expect(entries.filter(({ type }) => type === 'tool.call')).toHaveLength(9)
    {
      await using file = await openLedgerFile(acme(place))
      await file.log.erase({ what: { subject: 'alice' }, reason: 'room', by: 'test' })
    }
    await using gateway = await gatewayWith({ ...config, audit, ...limited }, place.database)
    expect(await refusalOf(gateway, 'alice')).toBe(undefined)
  })
})
