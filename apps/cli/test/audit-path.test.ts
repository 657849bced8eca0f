// `audit.path`: the log in a place of its own, found there by the commands, with all that belongs to it beside it.
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { freePort } from '../../../test/support/free-port.ts'
import { everything, folder, outputWith } from './cli.ts'

it('is where the log is, and where the commands look for it', { timeout: 60_000 }, async () => {
  using home = folder()
  const port = await freePort()
  const key = (tenant: string): string => `gw_${tenant}_0123456789abcdef0123456789abcdef`
  const keys = ['default', 'blue'].map((tenantId) => ({ id: tenantId, key: key(tenantId), consumerId: tenantId, tenantId })) // prettier-ignore
  const server = { id: 'everything', command: process.execPath, args: [everything, 'stdio'], tenants: ['default', 'blue'] } // prettier-ignore
  home.write('gateway.yaml', { port, auth: { keys }, servers: [server], audit: { path: 'log/calls.sqlite' } })
  const child = home.start(['serve'])
  await outputWith(child, 'listens on')
  for (const { key: secret } of keys) {
    const response = await fetch(`http://127.0.0.1:${port}/api/servers/everything/tools/echo`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ arguments: { message: 'hello' } }),
    })
    expect(response.status).toBe(200)
  }
  child.kill('SIGTERM')
  await once(child, 'exit')

  expect((await home.run(['audit', 'checkpoint'])).code).toBe(0)
  expect(existsSync(join(home.path, '.mcp-gateway', 'audit.db'))).toBe(false)
  expect(readdirSync(join(home.path, 'log'))).toEqual(expect.arrayContaining(['audit-meta.db', 'audit.key', 'calls.sqlite', 'tenants'])) // prettier-ignore
  expect(readdirSync(join(home.path, 'log', 'tenants', 'blue'))).toContain('calls.sqlite')
  expect((await home.run(['audit', 'checkpoint', '--tenant', 'blue'])).code).toBe(0)
  const all = await home.run(['audit', 'verify', '--json'])
  expect([all.code, JSON.parse(all.stdout)]).toMatchObject([0, { meta: { logs: 2 } }])
  for (const tenant of ['default', 'blue']) {
    const { stdout } = await home.run(['audit', 'log', '--tool', 'echo', '--tenant', tenant, '--json'])
    expect((JSON.parse(stdout) as { entries: unknown[] }).entries).toMatchObject([{ consumer: tenant }])
    expect((await home.run(['audit', 'verify', '--tenant', tenant])).code).toBe(0)
  }
})

it('is read only where it is: a log in its usual place needs no variables of the configuration', async () => {
  using home = folder()
  const hook = { name: 'hook', type: 'webhook', url: 'https://siem.example.com', secret: '${NOT_SET}' }
  const audit = { export: [hook, { name: 'file', type: 'jsonl', path: 'out.jsonl' }] }
  home.write('gateway.yaml', { audit })
  expect((await home.run(['audit', 'log'])).stderr).toContain(join('.mcp-gateway', 'audit.db'))
  home.write('gateway.yaml', { audit: { ...audit, path: 'calls.db' } })
  expect((await home.run(['audit', 'log'])).stderr).toContain('NOT_SET')
})
