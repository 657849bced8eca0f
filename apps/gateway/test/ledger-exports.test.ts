// The log on its way to other places while a gateway runs, is stopped and started again; and fields that age out.
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createCosigner, openLog, readMetaEntry } from '@mcp-gateway/audit-chain'
import { verifyWebhook } from '@mcp-gateway/audit-chain/sinks/webhook'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { parseNote, parsePolicy, verifyCheckpoint } from '@mcp-gateway/audit-chain/verify'
import type { RunningGateway } from '@mcp-gateway/gateway'
import { checkLedger, metaFileOf, openLedgerFile, readLedgerFile } from '@mcp-gateway/gateway/ledger'
import { entriesIn, folder, type Folder } from './ledger-support.ts'
import { echoServer, gatewayWith, KEY, KEYS, modern, send } from './support.ts'

const SECRET = 'whsec_0123456789abcdef'
const verifier = join(import.meta.dirname, '../../verifier/src/main.ts')
let place: Folder
beforeEach(() => void (place = folder()))
afterEach(() => place[Symbol.dispose]())

const gatewayFor = (audit: object) => gatewayWith({ auth: KEYS, servers: [echoServer('one')], audit }, place.database)
const call = (gateway: RunningGateway, args: object) => send(gateway, '/mcp/server/one', modern('tools/call', { name: 'echo', arguments: args })) // prettier-ignore

type State = { name: string; cursor: number; lag: number; lastError?: { message: string }; deadLetters: number }
async function statesOf(gateway: RunningGateway): Promise<State[]> {
  const { body } = await send(gateway, '/api/audit/stats', { method: 'GET', headers: { authorization: `Bearer ${KEY}` } }).then(({ json }) => ({ body: json() })) // prettier-ignore
  return body['exports'] as State[]
}
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await condition()); i += 1) {
    expect(i).toBeLessThan(400)
    await sleep(10)
  }
}

/** Keeps each body whose signature is good. */
async function receiver(bodies: string[], port = 0): Promise<Server> {
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const signature = String(request.headers['x-mcp-signature'])
      if (verifyWebhook({ secret: SECRET, body, signature, now: Date.now() })) bodies.push(body)
      response.end()
    })
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
const portOf = (server: Server): number => (server.address() as AddressInfo).port
const kill = (server: Server): void => {
  server.close()
  server.closeAllConnections()
}
const seqsIn = (bodies: readonly string[]): number[] =>
  bodies.flatMap((body) => body.trimEnd().split('\n').map((line) => (JSON.parse(line) as { entry: { seq: number } }).entry.seq)) // prettier-ignore

it('sends what each export may see, to its end also when the gateway stops, and goes on from there', async () => {
  const bodies: string[] = []
  const server = await receiver(bodies)
  const jsonl = join(place.path, 'out', 'audit.jsonl')
  const csv = join(place.path, 'audit.csv')
  const audit = {
    export: [
      // Slower than this test: what arrives comes from stopping.
      { name: 'file', type: 'jsonl', path: jsonl, fields: 'full', intervalMs: 3_600_000 },
      { name: 'sheet', type: 'csv', path: csv, intervalMs: 10 },
      { name: 'hook', type: 'webhook', url: `http://127.0.0.1:${portOf(server)}/`, secret: SECRET, fields: 'none', intervalMs: 10 }, // prettier-ignore
    ],
  }
  for (const round of [1, 2]) {
    const gateway = await gatewayFor(audit)
    await call(gateway, { note: `=canary-${round}` })
    await gateway.close()
  }
  kill(server)
  const entries = await entriesIn(place.audit)
  const all = entries.map(({ seq }) => seq)
  expect(seqsIn([readFileSync(jsonl, 'utf8')])).toEqual(all)
  expect(seqsIn(bodies).sort((a, b) => a - b)).toEqual(all)
  expect(readFileSync(jsonl, 'utf8')).toContain('=canary-2')
  expect(bodies.join('')).not.toMatch(/canary|tester/)
  const table = readFileSync(csv, 'utf8')
  expect(table.match(/tester/g)).toHaveLength(2)
  expect(table).not.toContain('canary')

  // What the file has, with its log's name before it and a checkpoint after it, is what the verifier reads.
  await using file = await openLedgerFile(place.audit)
  const signed = await file.keys.checkpoint()
  const bundle = join(place.path, 'bundle.jsonl')
  writeFileSync(bundle, `{"log":"${file.log.origin}","v":1}\n${readFileSync(jsonl, 'utf8')}${JSON.stringify({ checkpoint: signed?.note })}\n`) // prettier-ignore
  const { status } = spawnSync(process.execPath, ['--conditions=@mcp-gateway/source', verifier, '--key', signed?.verifierKey ?? '', '--no-state', bundle]) // prettier-ignore
  expect(status).toBe(0)
})

it('shows which export is behind and why, and catches up when its receiver is back', async () => {
  const bodies: string[] = []
  const first = await receiver(bodies)
  const port = portOf(first)
  const url = `http://127.0.0.1:${port}/`
  await using gateway = await gatewayFor({
    export: [{ name: 'hook', type: 'webhook', url, secret: SECRET, intervalMs: 10 }],
  })
  await until(async () => (await statesOf(gateway))[0]?.lag === 0)
  kill(first)
  await call(gateway, { n: 1 })
  await until(async () => (await statesOf(gateway))[0]?.lastError !== undefined)
  const [behind] = await statesOf(gateway)
  expect(behind).toMatchObject({ name: 'hook', type: 'webhook', lag: 1, deadLetters: 0 })
  expect(behind?.lastError?.message).toContain('did not answer')
  const second = await receiver(bodies, port)
  await until(async () => (await statesOf(gateway))[0]?.lag === 0)
  expect((await statesOf(gateway))[0]?.lastError).toBeUndefined()
  expect([...new Set(seqsIn(bodies))].sort((a, b) => a - b)).toEqual(
    (await entriesIn(place.audit)).map(({ seq }) => seq),
  )
  kill(second)
})

it('a receiver that is away does not hold up calls, nor a stop', { timeout: 15_000 }, async () => {
  const gateway = await gatewayFor({ export: [{ name: 'hook', type: 'webhook', url: 'http://127.0.0.1:9/', secret: SECRET, intervalMs: 10 }] }) // prettier-ignore
  expect((await call(gateway, {})).status).toBe(200)
  const start = performance.now()
  await gateway.close()
  expect(performance.now() - start).toBeLessThan(4500)
})

it('a log of one region cannot be opened as that of another', async () => {
  await (await gatewayFor({ region: 'eu' })).close()
  await expect(gatewayFor({ region: 'us' })).rejects.toMatchObject({ code: 'GATEWAY_AUDIT_REGION' })
  await (await gatewayFor({ region: 'eu' })).close()
  await using reader = await readLedgerFile(place.audit)
  expect(reader.log.origin).toMatch(/^mcp-gateway\/audit\/eu\/[0-9a-f]{16}$/)
})

it('an export that names a file which is not there stops the start', async () => {
  const missing = { name: 's', type: 'syslog', host: '127.0.0.1', ca: join(place.path, 'no-such.pem') }
  await expect(gatewayFor({ export: [missing] })).rejects.toThrow('no-such.pem')
  // And leaves nothing open behind it.
  await (await gatewayFor({})).close()
})

it('retentionDays: what is older is gone from every file, and the log still verifies', async () => {
  const database = openSqlite(place.audit)
  {
    const store = createSqliteStore({ database })
    const clock = (): number => Date.now() - 3 * 86_400_000
    await using log = openLog({ store, origin: 'mcp-gateway/audit/0123456789abcdef', clock })
    for (let i = 0; i < 20; i += 1)
      await log.append({ type: 'tool.call', subject: `aged-person-${i}`, fields: { arguments: `aged-canary-${i}` } })
  }
  database.close()
  const bytes = (): string => readdirSync(place.path).filter((name) => name.startsWith('audit.db')).map((name) => readFileSync(join(place.path, name), 'latin1')).join('') // prettier-ignore
  expect(bytes()).toContain('aged-canary-7')
  await using gateway = await gatewayFor({ retentionDays: 2 })
  await call(gateway, { fresh: 'fresh-canary' })
  await until(() => !bytes().includes('aged-'))
  expect(bytes()).toContain('fresh-canary')
  const erasures = (await entriesIn(place.audit)).filter(({ type }) => type === 'erasure')
  expect(erasures).toMatchObject([
    { facts: { by: 'gateway', reason: 'retention: older than 2 days', entries: [[0, 20]] } },
  ])
  await using reader = await readLedgerFile(place.audit)
  expect((await checkLedger({ store: reader.store, origin: reader.log.origin, file: place.audit })).findings).toEqual(
    [],
  )
})

it('checkpointIntervalMs: signs while the log grows, and not when it does not', async () => {
  const gateway = await gatewayFor({ checkpointIntervalMs: 30 })
  await call(gateway, {})
  await until(() => existsSync(join(place.path, 'checkpoints')))
  await sleep(150)
  await using reader = await readLedgerFile(place.audit)
  const before = await reader.store.checkpoints(reader.log.origin, 0)
  expect(before.at(-1)?.size).toBe((await reader.log.head()).size)
  await sleep(150)
  expect(await reader.store.checkpoints(reader.log.origin, 0)).toEqual(before)
  await call(gateway, {})
  await until(async () => (await reader.store.checkpoints(reader.log.origin, 0)).length > before.length)
  await gateway.close()
})

it('tells a SIEM over syslog who did what how, in CEF and in OCSF', async () => {
  const received: Record<string, string> = {}
  const listen = async (name: string): Promise<{ port: number; close: () => void }> => {
    const collector = createTcpServer((socket) => {
      socket
        .on('error', () => undefined)
        .on('data', (chunk) => (received[name] = `${received[name] ?? ''}${String(chunk)}`))
    }).listen(0, '127.0.0.1')
    await once(collector, 'listening')
    return { port: (collector.address() as AddressInfo).port, close: () => collector.close() }
  }
  const [cef, ocsf] = [await listen('cef'), await listen('ocsf')]
  const common = { type: 'syslog', host: '127.0.0.1', transport: 'tcp', intervalMs: 10 }
  const gateway = await gatewayFor({
    export: [
      { ...common, name: 'cef', port: cef.port, fields: 'full' },
      { ...common, name: 'ocsf', port: ocsf.port, format: 'ocsf', fields: 'none' },
    ],
  })
  await call(gateway, { q: 'a=b|c' })
  await send(gateway, '/mcp/server/one', modern('tools/call', { name: 'fail', arguments: {} }))
  await send(gateway, '/mcp/server/one', { ...modern('tools/list'), headers: { 'content-type': 'application/json' } })
  await gateway.close()
  cef.close()
  ocsf.close()
  // 110: log audit, informational. 109: notice. 108: warning.
  expect(received['cef']).toMatch(/<110>1 \S+ \S+ mcp-gateway - tool\.call \[audit@32473 log="mcp-gateway\/audit\/[0-9a-f]+" seq="1" id="[^"]+"\] CEF:0\|MCP Gateway\|mcp-gateway\|0\.0\.0\|tool\.call\|tools\/call echo\|1\|/) // prettier-ignore
  expect(received['cef']).toMatch(/act=tools\/call echo outcome=success suser=tester destinationServiceName=one /)
  expect(received['cef']).toContain(String.raw`{"q":"a\=b|c"}`)
  expect(received['cef']).toMatch(/<109>1 .*tools\/call fail\|3\|.* outcome=failure /)
  expect(received['cef']).toMatch(/<108>1 .*login\.refused\|login\.refused\|6\|.* outcome=failure reason=AUTH_/)
  const events = [...(received['ocsf'] ?? '').matchAll(/\] (\{.*?\})(?=\d+ <|$)/g)].map(([, json = '']) => JSON.parse(json) as Record<string, unknown>) // prettier-ignore
  expect(events).toHaveLength(5)
  expect(events[1]).toMatchObject({ class_uid: 6003, activity_name: 'tools/call echo', status_id: 1, api: { service: { name: 'one' } } }) // prettier-ignore
  expect(received['ocsf']).not.toMatch(/tester|"fields"/)
})

it('puts objects into a bucket, compressed and locked', async () => {
  const puts: { path: string; lock: unknown; lines: number }[] = []
  const bucket = createServer((request, response) => {
    void buffer(request).then((body) => {
      const path = (request.url ?? '').split('?')[0] ?? ''
      puts.push({ path, lock: request.headers['x-amz-object-lock-mode'], lines: gunzipSync(body).toString().trimEnd().split('\n').length }) // prettier-ignore
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(bucket, 'listening')
  const out = { name: 's3', type: 's3', bucket: 'audit', prefix: 'gw/', awsRegion: 'eu-central-1', compression: 'gzip', endpoint: `http://127.0.0.1:${portOf(bucket)}`, accessKeyId: 'id', secretAccessKey: 'key', objectLock: { mode: 'GOVERNANCE', retainDays: 7 } } // prettier-ignore
  const gateway = await gatewayFor({ export: [out] })
  await call(gateway, {})
  await gateway.close()
  kill(bucket)
  expect(puts.reduce((sum, { lines }) => sum + lines, 0)).toBe(3)
  for (const { path, lock } of puts) {
    expect(path).toMatch(/^\/audit\/gw\/[0-9a-f]{32}\/\d{16}-\d{16}\.jsonl\.gz$/)
    expect(lock).toBe('GOVERNANCE')
  }
})

it('witnesses cosign the meta-log alone; one that is away, or signs something else, stops nothing', async () => {
  const cosigners = ['good.example', 'away.example', 'liar.example'].map((name) => createCosigner({ name, privateKey: generateKeyPairSync('ed25519').privateKey })) // prettier-ignore
  const [good, away, liar] = cosigners
  const requests: string[] = []
  const witness = createServer((request, response) => {
    void text(request).then(async (body) => {
      requests.push(body)
      const note = body.slice(body.indexOf('\n\n') + 2)
      const signed =
        request.url?.startsWith('/good') === true ? good?.sign(parseNote(note).text) : liar?.sign('x\n1\nx\n')
      response.end(await signed)
    })
  }).listen(0, '127.0.0.1')
  await once(witness, 'listening')
  const at = `http://127.0.0.1:${portOf(witness)}`
  const witnesses = [
    { url: `${at}/good`, key: good?.verifierKey.text },
    { url: 'http://127.0.0.1:9', key: away?.verifierKey.text },
    { url: `${at}/liar`, key: liar?.verifierKey.text },
  ]
  const gateway = await gatewayFor({ checkpointIntervalMs: 30, witnesses })
  await call(gateway, {})
  await using reader = await readLedgerFile(place.audit)
  await until(async () => (await reader.store.lastCheckpoint(reader.log.origin))?.size === 2)
  const metaFile = metaFileOf(place.database)
  await until(() =>
    readLedgerFile(metaFile).then(
      (found) => found[Symbol.asyncDispose]().then(() => true),
      () => false,
    ),
  )
  await using meta = await readLedgerFile(metaFile)
  const last = () => meta.store.lastCheckpoint(meta.log.origin)
  // The sizes that the log had when it was signed: the last one is all of it.
  await until(async () => {
    const { size = 0 } = (await last()) ?? {}
    return size > 0 && readMetaEntry((await meta.log.entry(size - 1)).leaf).size === 2
  })
  const { note = '' } = (await last()) ?? {}
  await gateway.close()
  kill(witness)
  expect(note.match(/^— (\S+) /gm)?.map((line) => line.slice(2, -1))).toEqual([meta.log.origin, 'good.example'])
  expect((await reader.store.lastCheckpoint(reader.log.origin))?.note).not.toContain('good.example')
  expect(requests.every((body) => body.includes(meta.log.origin))).toBe(true)
  expect(requests.length).toBeGreaterThanOrEqual(2)
  await using file = await openLedgerFile(place.audit)
  const logKey = (await file.meta.prove(file.log.origin, 2)).verifierKey
  const policy = (name: string, key = '') => parsePolicy(`log ${logKey}\nwitness ${name} ${key}\nquorum ${name}`)
  expect(verifyCheckpoint(note, policy('good', good?.verifierKey.text), meta.log.origin).findings).toEqual([])
  expect(verifyCheckpoint(note, policy('liar', liar?.verifierKey.text), meta.log.origin).findings).toHaveLength(1)
})
