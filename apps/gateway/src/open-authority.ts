/** From the configuration to who may do what. What is counted stays counted when the configuration is replaced. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Caller } from '@mcp-gateway/auth'
import { createLimiter, type Limiter, type LimitStore, type PolicyFile, type ToolCall } from '@mcp-gateway/policy'
import { createMemoryLimitStore } from '@mcp-gateway/policy/stores/memory'
import { createSqliteLimitStore } from '@mcp-gateway/policy/stores/sqlite'
import type { JsonObject } from '@mcp-gateway/wire'
import { createAuthority, type Authority } from './authority.ts'
import type { Config } from './config.ts'
import { createDefinitionGuard } from './definition-guard.ts'
import type { Logger } from './log.ts'
import { hasOwnRates, readPolicySections } from './policy-config.ts'
import { openRedis } from './open-redis.ts'
import { hasQuota, quotaOf } from './quotas.ts'

export type AuthorityOpener = Disposable & {
  open(config: Config): Promise<Authority>
}

export type AuthorityOpenerOptions = {
  /** SQLite file of the gateway, where the calls of a day are counted, or `:memory:`. */
  readonly database: string
  readonly toolsOf: (caller: Caller, server: string) => Promise<readonly JsonObject[]>
  readonly logger: Logger
}

type OpenStore = { readonly store: LimitStore; close(): void }

/** Longer than a call to Redis takes, shorter than anybody waits for one. */
const REDIS_TIMEOUT_MS = 200
/** Until another process that writes to the file lets go of it. Nobody else is served meanwhile. */
const BUSY_TIMEOUT_MS = 200

export function createAuthorityOpener({ database, toolsOf, logger }: AuthorityOpenerOptions): AuthorityOpener {
  let counted: (OpenStore & { readonly url: string | undefined }) | undefined

  const storeOf = async (url: string | undefined): Promise<LimitStore> => {
    if (counted !== undefined && counted.url === url) return counted.store
    const next = url === undefined ? openLocal(database, logger) : await openShared(url, logger)
    // Calls are counted in the one before until there is another.
    counted?.close()
    counted = { url, ...next }
    return next.store
  }
  const limiterOf = async ({ rateLimit, auth, quotas }: Config, file: PolicyFile): Promise<Limiter | undefined> => {
    const limits = (rateLimit?.enabled ?? hasOwnRates(auth)) ? (file.limits ?? []) : []
    const hasDays = hasQuota(quotas, 'maxCallsPerDay')
    if (limits.length === 0 && !hasDays) return undefined
    const { onFailure = 'closed', redis } = rateLimit ?? {}
    return createLimiter({
      limits,
      quota: hasDays ? ({ tenantId = '' }) => quotaOf(quotas, tenantId, 'maxCallsPerDay') : undefined,
      store: await storeOf(redis),
      onFailure,
      onEvent(event) {
        if (event.type === 'store-recovered') logger.info('limits are checked again')
        else logger.error({ onFailure: event.onFailure, error: event.error.message }, 'limits cannot be checked')
      },
    })
  }
  return {
    async open(config) {
      const file = readPolicySections(config)
      for (const warning of file.warnings) logger.warn({ warning }, 'policy')
      const rules = file.toolGuard ?? { definitions: 'flag', results: 'allow' }
      const guard = createDefinitionGuard({ rules, toolsOf, logger })
      const hasPolicies = config.policies !== undefined
      return createAuthority({ file, hasPolicies, limiter: await limiterOf(config, file), guard, scopesOf: scopesOf(config) }) // prettier-ignore
    },
    [Symbol.dispose]() {
      counted?.close()
    },
  }
}

async function openShared(url: string, logger: Logger): Promise<OpenStore> {
  const { createRedisLimitStore } = await import('@mcp-gateway/policy/stores/redis')
  // The limiter tells of each call that could not be counted.
  const onError = (error: Error): void => logger.debug({ error: error.message }, 'redis')
  const redis = await openRedis(url, { onError, commandTimeoutMs: REDIS_TIMEOUT_MS })
  const store = createRedisLimitStore({ send: ([name, ...args]) => redis.call(name, ...args) })
  return { store, close: () => redis.disconnect() }
}

/** The file is opened by the first call that a quota counts. */
function openLocal(file: string, logger: Logger): OpenStore {
  if (file === ':memory:') return { store: createMemoryLimitStore(), close: () => undefined }
  let database: DatabaseSync | undefined
  const open = (): DatabaseSync => {
    mkdirSync(dirname(file), { recursive: true })
    database ??= new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS })
    // What was counted is so after a power cut, too: blocks are claimed so seldom that nobody waits for the disk.
    database.exec('pragma journal_mode=wal; pragma synchronous=full')
    return database
  }
  const store = createSqliteLimitStore({ open })
  return {
    store,
    close() {
      try {
        store[Symbol.dispose]()
      } catch (error) {
        logger.warn({ error: String(error) }, 'calls that were set aside for today are lost to it')
      }
      database?.close()
    },
  }
}

/** Those of every request and of the tool, together: a client that steps up asks once. */
function scopesOf({ auth, servers }: Config): ((target: ToolCall) => readonly string[]) | undefined {
  const needed = new Map<string, readonly string[]>()
  for (const { id, tools } of servers) {
    for (const [name, { scopes = [] }] of Object.entries(tools)) {
      if (scopes.length > 0) needed.set(JSON.stringify([id, name]), [...new Set([...auth.scopes, ...scopes])])
    }
  }
  if (needed.size === 0) return undefined
  return ({ server, tool }) => needed.get(JSON.stringify([server, tool])) ?? []
}
