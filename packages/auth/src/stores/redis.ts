/**
 * What was used once, for all replicas together, in one Redis (7, or Valkey). It has to keep what it was told:
 * `maxmemory-policy noeviction`, and `appendonly` where a restart must not bring nonces back to life.
 */
import type { ReplayStore } from '../replay-store.ts'

export type RedisReplayStoreOptions = {
  /**
   * Sends one command: `([name, ...args]) => redis.call(name, ...args)` with `ioredis`,
   * `(command) => client.sendCommand([...command])` with `redis`. Set a command timeout in the client, and no offline queue.
   */
  readonly send: (command: readonly [string, ...string[]]) => Promise<unknown>
  /** @default 'mcp-gateway:replay:' */
  readonly prefix?: string
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
}

export function createRedisReplayStore({
  send,
  prefix = 'mcp-gateway:replay:',
  clock = Date.now,
}: RedisReplayStoreOptions): ReplayStore {
  return {
    async consume(key, expiresAtMs) {
      // PX and not PXAT: a Redis whose clock is ahead of ours would forget the key while its request is still good.
      const ttlMs = Math.ceil(expiresAtMs - clock()) + 1
      if (!(ttlMs > 0)) return false
      const reply = await send(['SET', `${prefix}${key}`, '1', 'NX', 'PX', String(ttlMs)])
      if (reply === null) return false
      if (reply === 'OK') return true
      throw new TypeError(`Redis answered SET with something else than OK or nil (${typeof reply})`)
    },
  }
}
