// `audit …` and `usage` on a log in PostgreSQL, while its gateway runs.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { PASSWORD, usePostgres } from '../../gateway/test/support/postgres.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { everything, folder, outputWith } from './cli.ts'

const KEY = 'gw_audit_0123456789abcdef0123456789abcdef'
const { server, isAbsent } = await usePostgres()

it.skipIf(isAbsent)(
  'reads, checks, proves and erases, and shows nobody the password',
  { timeout: 60_000 },
  async () => {
    using place = folder()
    const env = { AUDIT_DSN: await server.createDatabase('cli') }
    const port = await freePort()
    const keys = [{ id: 'k', key: KEY, name: 'k', consumerId: 'agent-1', roles: [] }]
    const servers = [{ id: 'everything', command: process.execPath, args: [everything, 'stdio'] }]
    place.write('gateway.yaml', { port, auth: { keys }, servers, audit: { storage: 'postgres', dsn: '${AUDIT_DSN}' } })
    let all = ''
    const run = async (...args: string[]) => {
      const result = await place.run(args, { env })
      all += result.stdout + result.stderr
      return result
    }
    expect((await run('audit', 'log')).stderr).toContain('AUDIT_NOT_FOUND')
    await outputWith(place.start(['serve'], { env }), 'listens on')
    const response = await fetch(`http://127.0.0.1:${port}/api/servers/everything/tools/echo`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ arguments: { message: 'said-in-confidence' } }),
    })
    expect(response.status).toBe(200)

    const log = await run('audit', 'log', '--tool', 'echo', '--bodies', '--json')
    expect(log.stdout).toContain('said-in-confidence')
    const { entries } = JSON.parse(log.stdout) as { entries: { id: string }[] }
    const id = String(entries[0]?.id)
    expect((await run('audit', 'stats')).stdout).toContain('served')
    expect((await run('usage')).stdout).toContain('agent-1')
    const checkpoint = await run('audit', 'checkpoint')
    expect(checkpoint.stdout).toMatch(/^mcp-gateway\/audit\/[0-9a-f]{32}\n/)
    writeFileSync(join(place.path, 'kept.txt'), checkpoint.stdout)
    expect((await run('audit', 'proof', id)).code).toBe(0)
    expect((await run('audit', 'export', '--output', 'log.jsonl', '--bodies')).code).toBe(0)
    expect(readFileSync(join(place.path, 'log.jsonl'), 'utf8')).toContain('said-in-confidence')
    expect((await run('audit', 'erase', '--consumer', 'agent-1', '--reason', 'a test')).code).toBe(0)
    expect((await run('audit', 'log', '--bodies', '--json')).stdout).not.toContain('said-in-confidence')
    expect(await run('audit', 'verify', '--checkpoint', 'kept.txt')).toMatchObject({ code: 0 })
    expect((await run('audit', 'log', '--tenant', 'nobody')).stderr).toContain('AUDIT_NOT_FOUND')
    expect((await run('audit', 'log', '--file', 'none.db')).stderr).toContain('none.db')

    // Somebody changes an entry as the owner: that is what `verify` is for.
    const owner = server.sql(env.AUDIT_DSN)
    await owner.unsafe(`alter table audit_entry disable trigger user;
    update audit_entry set leaf = replace(leaf, 'served', 'failed') where id = '${id}'`)
    expect(await run('audit', 'verify')).toMatchObject({ code: 1 })

    await server.stop()
    expect((await run('audit', 'verify')).code).toBe(2)
    expect((await run('audit', 'log')).stderr).toContain('GATEWAY_AUDIT_UNAVAILABLE')
    // The gateway that runs has the port, so this start is one that the database refuses first.
    const start = await run('serve', '--port', String(await freePort()))
    expect(start.code).not.toBe(0)
    expect(start.stderr).toContain('audit.dsn')
    expect(all).not.toContain(PASSWORD)
    await server.start()
  },
)
