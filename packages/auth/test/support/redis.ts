/** A redis-server of the test's own, on a free port, without persistence. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Redis } from 'ioredis'

const SERVER = process.env['REDIS_SERVER'] ?? 'redis-server'

/** Why tests with Redis are skipped, or nothing. CI says in CI_REQUIRE that it is there, and then its absence fails. */
export const redisMissing: string | undefined =
  spawnSync(SERVER, ['--version']).status === 0 || (process.env['CI_REQUIRE'] ?? '').split(/[\s,]+/).includes('redis')
    ? undefined
    : 'redis-server is not installed (apt-get install -y redis-server)'

export type RedisServer = AsyncDisposable & { readonly port: number; readonly process: ChildProcess }

export async function startRedis(port?: number): Promise<RedisServer> {
  const own = port ?? (await freePort())
  const args = [
    '--port',
    String(own),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--loglevel',
    'warning',
  ]
  const child = spawn(SERVER, args, { stdio: 'ignore', cwd: '/tmp' })
  const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error))
  await Promise.race([ready(own), failed])
  return {
    port: own,
    process: child,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** The settings that the README recommends: no waiting for a server that is not there. */
export function connect(port: number): Redis {
  const redis = new Redis({
    port,
    host: '127.0.0.1',
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 5000,
    lazyConnect: true,
    retryStrategy: () => 50,
  })
  // Every failure also rejects the command that it belongs to.
  redis.on('error', () => {})
  return redis
}

async function ready(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const redis = connect(port)
    try {
      await redis.connect()
      await redis.ping()
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 25))
    } finally {
      redis.disconnect()
    }
  }
  throw new Error(`redis-server did not answer on port ${port}`)
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  return address.port
}
