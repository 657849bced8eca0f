/** A connection to Redis. It makes itself again whenever it is lost, and commands fail meanwhile instead of waiting. */
import type { Redis } from 'ioredis'

/** So long a start waits for it, or the first calls would be refused. A Redis that is away stops no start. */
const CONNECT_MS = 1000

export type RedisOptions = {
  readonly onError: (error: Error) => void
  /** @default as long as they take */
  readonly commandTimeoutMs?: number
}

export async function openRedis(url: string, { onError, commandTimeoutMs }: RedisOptions): Promise<Redis> {
  // Loaded by those who use it: the gateway starts sooner without.
  const { Redis: Client } = await import('ioredis')
  const redis = new Client(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    ...(commandTimeoutMs !== undefined && { commandTimeout: commandTimeoutMs }),
  })
  redis.on('error', onError)
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, CONNECT_MS)
    const settle = (): void => {
      clearTimeout(timer)
      resolve()
    }
    redis.once('ready', settle)
    redis.once('error', settle)
  })
  return redis
}
