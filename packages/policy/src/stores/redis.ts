/**
 * Limits of all replicas together, in one Redis (7, or Valkey) by scripts that run there: read, decide and write are one
 * step, and the time is Redis's own, so that no replica's clock matters.
 */
import { hash } from 'node:crypto'
import { COUNTED } from '../limits/day.ts'
import type { LimitStore, RateAnswer } from '../store.ts'

export type RedisLimitStoreOptions = {
  /**
   * Sends one command: `([name, ...args]) => redis.call(name, ...args)` with `ioredis`,
   * `(command) => client.sendCommand([...command])` with `redis`. Set a command timeout in the client, and no offline queue.
   */
  readonly send: (command: readonly [string, ...string[]]) => Promise<unknown>
  /** In braces, because all keys of a call must be on one node of a cluster. @default '{mcp-gateway:limits}' */
  readonly prefix?: string
}

/** KEYS: buckets. ARGV: intervalUs and burst of each. Four numbers for each: allowed, remaining, retryAfterUs, resetUs. */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local starts, answers, allowed = {}, {}, true
for i, key in ipairs(KEYS) do
  local interval, capacity = tonumber(ARGV[2 * i - 1]), ARGV[2 * i - 1] * ARGV[2 * i]
  local start = tonumber(redis.call('GET', key) or now) or now
  start = math.min(math.max(start, now), now + capacity)
  starts[i] = start
  if start + interval - capacity > now then allowed = false end
end
for i, key in ipairs(KEYS) do
  local interval, capacity = tonumber(ARGV[2 * i - 1]), ARGV[2 * i - 1] * ARGV[2 * i]
  local start, wait = starts[i], starts[i] + interval - capacity - now
  if allowed then
    start = start + interval
    redis.call('SET', key, string.format('%.0f', start), 'PX', math.ceil((start - now) / 1000) + 1)
  end
  local left = math.max(math.floor((capacity - (start - now)) / interval), 0)
  for _, number in ipairs({ wait > 0 and 0 or 1, left, math.max(wait, 0), start - now }) do
    answers[#answers + 1] = string.format('%.0f', number)
  end
end
return answers`

/** KEYS: sorted sets of holders by the end of their lease. ARGV: holder, leaseMs, the limit of each. */
const ACQUIRE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
  if redis.call('ZCARD', key) >= tonumber(ARGV[2 + i]) then return i - 1 end
end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, string.format('%.0f', now + ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2] + 1000)
end
return -1`

const RELEASE = `for _, key in ipairs(KEYS) do redis.call('ZREM', key, ARGV[1]) end return 0`

/** KEYS: a hash of calls by day. ARGV: the limit. Allowed, and the milliseconds of this day that are left. */
const COUNT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local day = math.floor(now / 86400000)
local field = string.format('%.0f', day)
local left = string.format('%.0f', (day + 1) * 86400000 - now)
if tonumber(redis.call('HGET', KEYS[1], field) or 0) >= tonumber(ARGV[1]) then return { '0', left } end
if redis.call('HINCRBY', KEYS[1], field, 1) == 1 then
  redis.call('HDEL', KEYS[1], string.format('%.0f', day - 2))
  redis.call('PEXPIRE', KEYS[1], 172800000)
end
return { '1', left }`

export function createRedisLimitStore({ send, prefix = '{mcp-gateway:limits}' }: RedisLimitStoreOptions): LimitStore {
  const take = createScript(send, TAKE)
  const acquire = createScript(send, ACQUIRE)
  const release = createScript(send, RELEASE)
  const count = createScript(send, COUNT)
  return {
    async take(requests) {
      const args = requests.flatMap(({ intervalUs, burst }) => [String(intervalUs), String(burst)])
      const reply = await take(
        requests.map(({ key }) => `${prefix}:r:${key}`),
        args,
      )
      if (!Array.isArray(reply) || reply.length !== requests.length * 4) throw unexpected(reply)
      const numbers = reply.map(toInteger)
      return requests.map((_, index): RateAnswer => {
        const [allowed = 0, remaining = 0, retryAfterUs = 0, resetUs = 0] = numbers.slice(index * 4, index * 4 + 4)
        return { allowed: allowed === 1, remaining, retryAfterUs, resetUs }
      })
    },
    async acquire(requests, holder, leaseMs) {
      const limits = requests.map(({ limit }) => String(limit))
      return toInteger(
        await acquire(
          requests.map(({ key }) => `${prefix}:c:${key}`),
          [holder, String(leaseMs), ...limits],
        ),
      )
    },
    async release(keys, holder) {
      await release(
        keys.map((key) => `${prefix}:c:${key}`),
        [holder],
      )
    },
    async count({ key, limit }) {
      const reply = await count([`${prefix}:d:${key}`], [String(limit)])
      if (!Array.isArray(reply) || reply.length !== 2) throw unexpected(reply)
      const [allowed, leftMs = 0] = reply.map(toInteger)
      return allowed === 1 ? COUNTED : { allowed: false, retryAfterMs: leftMs }
    },
  }
}

type Script = (keys: readonly string[], args: readonly string[]) => Promise<unknown>

/** By digest; Redis forgets scripts when it restarts, and then takes the whole text once more. */
function createScript(send: RedisLimitStoreOptions['send'], text: string): Script {
  const digest = hash('sha1', text)
  return async (keys, args) => {
    const rest = [String(keys.length), ...keys, ...args]
    try {
      return await send(['EVALSHA', digest, ...rest])
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return send(['EVAL', text, ...rest])
      throw error
    }
  }
}

function toInteger(value: unknown): number {
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN
  if (!Number.isSafeInteger(number)) throw unexpected(value)
  return number
}

function unexpected(value: unknown): TypeError {
  return new TypeError(`Redis answered something else than the script returns (${typeof value})`)
}
