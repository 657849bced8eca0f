// Secrets that callers and servers let slip, planted everywhere they can stand: none may end up where others read it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { folder } from './ledger-support.ts'
import { echoServer, KEY, KEYS, modern } from './support.ts'

// Made here, so that no scanner takes this file for a leak. Each has the form of a secret that is really given out.
const random = 'x7Kq2Vb9Lm4Np8Rt3Ws6Yz1Ad5Ce0FgHjUu'
const canaries = {
  arguments: `ghp_${random}a`,
  results: `sk-proj-${random}b${random}`,
  errors: `xoxb-123456789012-123456789012-${random.slice(0, 24)}`,
  stderr: `glpat-${random.slice(0, 20)}`,
  names: ['AKIA', 'IOSFODNN7EXAMPLZ'].join(''),
  person: 'jane.canary@example.com',
  ssn: '536-22-8726',
}

it('no log line, no audit body and no export has any of them', { timeout: 30_000 }, async () => {
  using place = folder()
  const server = echoServer('one', { env: { STDERR: canaries.stderr, TOKEN: `${random}-plain` } }) as { args: string[] }
  server.args.push('--says-on-stderr')
  const exports = ['jsonl', 'csv'].map((type) => ({ name: type, type, path: join(place.path, `out.${type}`), intervalMs: 20, fields: 'full' })) // prettier-ignore
  const config = { port: 0, auth: KEYS, servers: [server], log: { level: 'trace' }, audit: { export: exports } }
  const child = spawn(process.execPath, ['--conditions=@mcp-gateway/source', join(import.meta.dirname, 'fixtures', 'gateway-process.ts'), place.database, JSON.stringify(config)], { stdio: ['ignore', 'pipe', 'pipe'] }) // prettier-ignore
  let logs = ''
  child.stderr.on('data', (chunk) => (logs += String(chunk)))
  const [first] = (await once(child.stdout, 'data')) as [Buffer]
  const url = /http:\/\/[\d.:]+/.exec(String(first))?.[0] ?? ''
  const send = async (method: string, params: Record<string, unknown>, path = '/mcp/server/one') => {
    const { headers, body } = modern(method, params)
    return (await fetch(url + path, { method: 'POST', headers, body })).text()
  }
  const arguments_ = { note: canaries.arguments, message: canaries.results, mail: canaries.person, ssn: canaries.ssn }
  // Its own caller gets back what it sent: redaction of results is the operator's choice.
  expect(await send('tools/call', { name: 'echo', arguments: arguments_ })).toContain(canaries.results)
  await send('tools/call', { name: 'refuse', arguments: { text: canaries.errors } })
  await send('tools/call', { name: canaries.names, arguments: {} })
  await send('tools/call', { name: `one__${canaries.names}`, arguments: {} }, '/mcp')
  await send('resources/read', { uri: `test://x?token=${canaries.arguments}` })
  await fetch(`${url}/api/servers/one?key=${canaries.arguments}`, { headers: { authorization: `Bearer ${canaries.arguments}`, 'x-request-id': 'r' } }) // prettier-ignore
  await fetch(`${url}/mcp`, { method: 'POST', headers: { authorization: `Bearer ${KEY}`, 'x-other': canaries.arguments, 'content-type': 'application/json' }, body: `{${canaries.arguments}` }) // prettier-ignore
  await expect.poll(() => logs).toContain('server diagnostic')
  child.kill('SIGTERM')
  await once(child, 'exit')
  const files = readdirSync(place.path).filter((name) => /^(audit\.db|out\.)/.test(name))
  const kept = files.map((name) => readFileSync(join(place.path, name)).toString('latin1')).join('')
  expect(files.length).toBeGreaterThanOrEqual(3)
  expect(kept).toContain('[REDACTED')
  expect(logs).toContain('[REDACTED')
  for (const [where, canary] of [
    ...Object.entries(canaries),
    ['key', KEY],
    ['environment', `${random}-plain`],
  ] as const) {
    expect(logs.includes(canary), `${where} in the logs`).toBe(false)
    expect(kept.includes(canary), `${where} in the audit log or an export`).toBe(false)
  }
})
