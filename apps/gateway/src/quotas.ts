/** What each tenant may have at most. Nothing is limited that the configuration doesn't mention. */
import type { Config } from './config.ts'
import type { Problem } from './config-findings.ts'

/** A number holds; `unlimited` lifts, for one tenant, what is said for all. */
type Quota = number | 'unlimited'

export type TenantQuotas = {
  readonly maxCallsPerDay?: Quota | undefined
  readonly maxServers?: Quota | undefined
  readonly maxKeysPerConsumer?: Quota | undefined
  readonly maxStorageMb?: Quota | undefined
}

/** What is said for all tenants, and for some of them. */
export type QuotasConfig = TenantQuotas & { readonly tenants: Readonly<Record<string, TenantQuotas>> }

type QuotaName = keyof TenantQuotas

/** Undefined: as many as they like. A name that came with a token is looked up as a name, whatever it is. */
export function quotaOf(quotas: QuotasConfig | undefined, tenantId: string, name: QuotaName): number | undefined {
  if (quotas === undefined) return undefined
  const own = Object.hasOwn(quotas.tenants, tenantId) ? quotas.tenants[tenantId]?.[name] : undefined
  const quota = own ?? quotas[name]
  return quota === 'unlimited' ? undefined : quota
}

/** Whether any tenant has one. */
export function hasQuota(quotas: QuotasConfig | undefined, name: QuotaName): boolean {
  if (quotas === undefined) return false
  return [quotas, ...Object.values(quotas.tenants)].some((one) => typeof one[name] === 'number')
}

/** API keys of a consumer that are good: a key counts once, also while the secret before its rotation is good as well. */
export function goodKeys({ keys }: Config['auth'], tenantId: string, consumerId: string, now: number): number {
  return keys.filter((key) => isGood(key, now) && key.tenantId === tenantId && key.consumerId === consumerId).length
}

type Key = Config['auth']['keys'][number]

function isGood({ enabled, expiresAt = Infinity }: Key, now: number): boolean {
  return enabled && expiresAt > now
}

/** What the file itself has too much of, and quotas that could not be kept. */
export function checkQuotas({ quotas, servers, auth, audit }: Config, now: number): Problem[] {
  if (quotas === undefined) return []
  const owned = servers.flatMap(({ enabled, tenants }, index) =>
    enabled ? [...new Set(tenants)].map((tenantId) => ({ tenantId, index, owner: tenantId })) : [],
  )
  const held = auth.keys.flatMap((key, index) =>
    isGood(key, now) ? [{ tenantId: key.tenantId, index, owner: JSON.stringify([key.tenantId, key.consumerId]) }] : [],
  )
  const tooMany = (items: typeof owned, name: QuotaName, path: string[], what: string): Problem[] =>
    [...Map.groupBy(items, ({ owner }) => owner).values()].flatMap((own) => {
      const [{ tenantId } = { tenantId: '' }] = own
      const limit = quotaOf(quotas, tenantId, name)
      if (limit === undefined || own.length <= limit) return []
      const message = `${what} "${tenantId}" has ${own.length}, and quotas.${name} is ${limit}`
      return [{ path: [...path, own[limit]?.index ?? 0], message }]
    })
  return [
    ...tooMany(owned, 'maxServers', ['servers'], 'is one server too many: tenant'),
    ...tooMany(held, 'maxKeysPerConsumer', ['auth', 'keys'], 'is one key too many: its consumer in tenant'),
    ...(hasQuota(quotas, 'maxStorageMb') ? checkStorage(quotas, audit) : []),
  ]
}

function checkStorage(quotas: QuotasConfig, { enabled, storage }: Config['audit']): Problem[] {
  if (enabled && storage === 'sqlite') return []
  const why = enabled
    ? 'is measured in the files of `audit.storage: sqlite`, and this log is in PostgreSQL: use its own limits'
    : 'is of the audit log, and audit.enabled is false'
  const of = (one: TenantQuotas, path: string[]): Problem[] =>
    typeof one.maxStorageMb === 'number' ? [{ path: [...path, 'maxStorageMb'], message: why, at: 'key' }] : []
  const tenants = Object.entries(quotas.tenants)
  return [...of(quotas, ['quotas']), ...tenants.flatMap(([name, one]) => of(one, ['quotas', 'tenants', name]))]
}
