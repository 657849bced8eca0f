// Secrets that callers and servers let slip, planted everywhere they can stand: none may end up where others read it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { startIssuer } from '../../../packages/auth/test/support/issuer.ts'
import { freePort } from '../../../test/support/free-port.ts'
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
  const { child, url, logs } = await spawnGateway(place.database, config)
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
  await expect.poll(logs).toContain('server diagnostic')
  child.kill('SIGTERM')
  await once(child, 'exit')
  const { files, kept } = keptIn(place.path)
  expect(files.length).toBeGreaterThanOrEqual(3)
  expect(kept).toContain('[REDACTED')
  expect(logs()).toContain('[REDACTED')
  for (const [where, canary] of [
    ...Object.entries(canaries),
    ['key', KEY],
    ['environment', `${random}-plain`],
  ] as const) {
    expect(logs().includes(canary), `${where} in the logs`).toBe(false)
    expect(kept.includes(canary), `${where} in the audit log or an export`).toBe(false)
  }
})

it(
  'nor the secrets and tokens of the gateway’s own, and of its callers, at servers behind OAuth',
  { timeout: 30_000 },
  async () => {
    using place = folder()
    await using idp = await startIssuer()
    const port = await freePort()
    const publicUrl = `http://127.0.0.1:${port}`
    const subject = await idp.token(`${publicUrl}/mcp`)
    const secrets = { client: `client-${random}`, token: `up-${random}`, subject }
    await using careless = await startCareless(secrets)
    const { origin } = careless
    const servers = ['token', 'refuses'].flatMap((path) =>
      ['client-credentials', 'token-exchange'].map((type) => ({
        id: `${path}-${type}`,
        url: `${origin}/mcp`,
        auth: { type, tokenEndpoint: `${origin}/${path}`, clientId: 'gw', clientSecret: secrets.client },
      })),
    )
    const auth = { ...KEYS, oidc: [{ issuer: idp.issuer, allowLoopback: true }] }
    const exports = [{ name: 'csv', type: 'csv', path: join(place.path, 'out.csv'), intervalMs: 20, fields: 'full' }]
    const config = { port, publicUrl, auth, servers, log: { level: 'trace' }, audit: { arguments: 'full', responses: 'full', export: exports } } // prettier-ignore
    const { child, logs } = await spawnGateway(place.database, config)
    const answers: string[] = []
    for (const { id } of servers) {
      const { headers, body } = modern('tools/call', { name: `${id}__x`, arguments: {} })
      for (const credential of [subject, KEY]) {
        const options = { method: 'POST', headers: { ...headers, authorization: `Bearer ${credential}` }, body }
        const answer = await (await fetch(`${publicUrl}/mcp`, options)).text()
        expect(answer).toMatch(/WIRE_UPSTREAM|AUTH_UPSTREAM/)
        answers.push(answer)
      }
      const shown = await fetch(`${publicUrl}/api/servers/${id}`, { headers: { authorization: `Bearer ${subject}` } })
      answers.push(await shown.text())
    }
    child.kill('SIGTERM')
    await once(child, 'exit')
    const { kept } = keptIn(place.path)
    expect([kept.includes('AUTH_UPSTREAM_REFUSED'), logs().includes('invalid_grant')]).toEqual([true, true])
    for (const [whose, secret] of Object.entries(secrets)) {
      expect(logs().includes(secret), `${whose} in the logs`).toBe(false)
      expect(kept.includes(secret), `${whose} in the audit log or an export`).toBe(false)
      expect(answers.join('').includes(secret), `${whose} in an answer`).toBe(false)
    }
  },
)

/** A server and its token endpoints: who is told a secret repeats it, wherever there is a place for words. */
async function startCareless(secrets: { readonly client: string; readonly token: string }) {
  const answer = (url: string | undefined, authorization: string, body: string): [status: number, body: string] => {
    // A server is told its token; an endpoint the client's secret and the caller's token, too.
    if (url === '/mcp') return [authorization.includes(secrets.token) ? 500 : 401, `no ${authorization}`]
    const said = `${authorization} ${secrets.client} ${body}`
    return url === '/refuses'
      ? [400, JSON.stringify({ error: 'invalid_grant', error_description: said })]
      : [200, JSON.stringify({ access_token: secrets.token, token_type: 'Bearer', expires_in: 300, scope: said })]
  }
  const server = createServer((req, res) => {
    void text(req).then((body) => {
      const [status, said] = answer(req.url, String(req.headers.authorization), body)
      res.writeHead(status).end(said)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** What it says on stderr is collected; resolves when it listens. */
async function spawnGateway(database: string, config: object) {
  const child = spawn(process.execPath, ['--conditions=@mcp-gateway/source', join(import.meta.dirname, 'fixtures', 'gateway-process.ts'), database, JSON.stringify(config)], { stdio: ['ignore', 'pipe', 'pipe'] }) // prettier-ignore
  let logs = ''
  child.stderr.on('data', (chunk) => (logs += String(chunk)))
  const [first] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, url: /http:\/\/[\d.:]+/.exec(String(first))?.[0] ?? '', logs: () => logs }
}

function keptIn(path: string) {
  const files = readdirSync(path).filter((name) => /^(audit\.db|out\.)/.test(name))
  return { files, kept: files.map((name) => readFileSync(join(path, name)).toString('latin1')).join('') }
}
