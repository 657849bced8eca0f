// Against a listener of our own, and against rsyslog where it is installed.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer as createTlsServer } from 'node:tls'
import { describe, expect, test } from 'vitest'
import type { SecurityEvent } from '@mcp-gateway/audit-chain'
import { createCefFormat } from '@mcp-gateway/audit-chain/formats/cef'
import { formatJsonl } from '@mcp-gateway/audit-chain/formats/jsonl'
import { createOcsfFormat } from '@mcp-gateway/audit-chain/formats/ocsf'
import { createSyslogSink, type SyslogSinkOptions } from '@mcp-gateway/audit-chain/sinks/syslog'
import { arrived, entriesOf, follow, followAndDie, logOf, never, ORIGIN, PRODUCT, upTo } from './support/exports.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { processAt } from './support/process.ts'
import { scratch } from './support/sqlite.ts'

const what = (): SecurityEvent => ({ operation: 'tools/call', outcome: 'success', severity: 'low' })

const optionsFor = (port: number): SyslogSinkOptions => ({
  host: '127.0.0.1',
  port,
  transport: { type: 'tcp' },
  record: createCefFormat({ product: PRODUCT, describe: what }),
  describe: what,
  hostname: 'gw-1',
  timeoutMs: 2000,
})

/** RFC 6587 §3.4.1, over all connections. Throws for what is no frame. */
function frames(bytes: Buffer): string[] {
  const messages: string[] = []
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at)
    const length = Number(bytes.toString('latin1', at, space))
    if (!Number.isInteger(length)) throw new Error(`no frame: ${bytes.toString('utf8', at, at + 40)}`)
    const message = bytes.subarray(space + 1, space + 1 + length)
    if (message.length < length) return messages
    messages.push(message.toString())
    at = space + 1 + length
  }
  return messages
}

const SYSLOG = /^<(\d+)>1 (\S+) (\S+) (\S+) - (\S+) \[audit@32473 log="([^"]*)" seq="(\d+)" id="([^"]*)"\] (.*)$/s

function recordOf(message: string): { seq: number; id: string } {
  const [, , , , , , , seq, id = ''] = SYSLOG.exec(message) ?? []
  return { seq: Number(seq), id }
}

/** Reads to the end of each connection and keeps it, unless `onConnection` does otherwise. */
async function listener(port: number, kept: Buffer[], onConnection?: (socket: Socket) => boolean): Promise<Server> {
  const server = createServer((socket) => {
    const chunks: Buffer[] = []
    socket.on('error', () => undefined)
    if (onConnection?.(socket) === true) return
    socket.on('data', (chunk) => chunks.push(chunk)).on('end', () => kept.push(Buffer.concat(chunks)))
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function certify(file: (name: string) => string): void {
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file('key'), '-out', file('cert'), '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']) // prettier-ignore
  expect(made.status).toBe(0)
}

test('an RFC 5424 message, octet-counted: priority, names, log, seq and id, and the message', async () => {
  const kept: Buffer[] = []
  const server = await listener(0, kept)
  const entries = await entriesOf(await logOf(2))
  const { port } = server.address() as AddressInfo
  for (const record of [
    createCefFormat({ product: PRODUCT, describe: what }),
    createOcsfFormat({ product: PRODUCT, describe: what }),
    formatJsonl,
  ]) {
    // prettier-ignore
    await using sink = createSyslogSink({ ...optionsFor(port), record })
    await sink.write(entries, never)
    const [message = ''] = frames(kept.pop() ?? Buffer.alloc(0))
    const [, priority, ts, host, app, id, log, seq, entryId, text] = SYSLOG.exec(message) ?? []
    expect([priority, ts, host, app, id]).toEqual(['109', entries[0]?.entry.ts, 'gw-1', 'mcp-gateway', 'tool.call'])
    expect([log, seq, entryId]).toEqual([ORIGIN, '0', entries[0]?.entry.id])
    expect(text).toBe(entries[0] && record(entries[0]))
  }
  server.close()
})

test('what is too long goes without its fields, then without its text, and never without its place', async () => {
  const kept: Buffer[] = []
  const server = await listener(0, kept)
  const { port } = server.address() as AddressInfo
  const [entry] = await entriesOf(await logOf(1))
  const long = entry && {
    ...entry,
    fields: [{ name: 'arguments', value: Buffer.alloc(9000, 'x'), key: Buffer.alloc(32) }],
  }
  await using sink = createSyslogSink(optionsFor(port))
  await using small = createSyslogSink({ ...optionsFor(port), maxMessageBytes: 200 })
  await sink.write(long ? [long] : [], never)
  await small.write(long ? [long] : [], never)
  const [first = '', second = ''] = kept.flatMap(frames)
  expect(first).toContain('CEF:0')
  expect(first).not.toContain('xxx')
  expect(second).toMatch(/too long: see the log$/)
  expect([first, second].map((message) => recordOf(message).seq)).toEqual([0, 0])
  server.close()
})

test('a listener that goes away with what it has not read, a follower that dies: nothing lost', async () => {
  const kept: Buffer[] = []
  const port = await freePort()
  const store = await logOf(300)
  let connections = 0
  // Every third connection is reset before it was read, every fifth is ended early without a word.
  const rude = (socket: Socket): boolean => {
    connections += 1
    if (connections % 3 === 0) socket.resetAndDestroy()
    else if (connections % 5 === 0) socket.end()
    return connections % 3 === 0 || connections % 5 === 0
  }
  let server = await listener(port, kept, rude)
  await using dying = createSyslogSink(optionsFor(port))
  await followAndDie(store, dying, 1)
  await using sink = createSyslogSink(optionsFor(port))
  const following = follow(store, sink)
  await sleep(30)
  server.close()
  await sleep(60)
  server = await listener(port, kept, rude)
  expect((await following).length).toBeGreaterThan(0)
  server.close()
  const { repeated, ...found } = arrived(kept.flatMap(frames).map(recordOf))
  expect(found).toEqual({ seqs: upTo(300), isMarked: true })
  expect(repeated).toBeGreaterThan(0)
})

test('after a failure the batches delivered last are sent again, as far as the limit goes', async () => {
  const kept: Buffer[] = []
  const port = await freePort()
  const entries = await entriesOf(await logOf(40))
  await using sink = createSyslogSink({ ...optionsFor(port), maxResendBytes: 8000 })
  const first = await listener(port, kept)
  await sink.write(entries.slice(0, 30), never)
  // It had read them and is gone before it stored them: nobody could know.
  kept.length = 0
  first.close()
  await expect(sink.write(entries.slice(30), never)).rejects.toMatchObject({ code: 'AUDIT_SINK_FAILED' })
  const second = await listener(port, kept)
  await sink.write(entries.slice(30), never)
  const seqs = kept.flatMap(frames).map((message) => recordOf(message).seq)
  expect(seqs.slice(-10)).toEqual(upTo(40).slice(30))
  expect(seqs.length).toBeGreaterThan(12)
  expect(seqs).toEqual(upTo(40).slice(40 - seqs.length))
  expect(kept.flatMap(frames).slice(0, -10).join('').length).toBeLessThanOrEqual(8000)
  second.close()
})

test('over TLS, to whom the authority vouches for and to nobody else', async () => {
  using home = scratch()
  const file = (name: string): string => join(home.directory, name)
  certify(file)
  const kept: Buffer[] = []
  const ca = readFileSync(file('cert'), 'utf8')
  const server = createTlsServer({ key: readFileSync(file('key')), cert: ca }, (socket) => {
    const chunks: Buffer[] = []
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => kept.push(Buffer.concat(chunks)))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const store = await logOf(30)
  await using sink = createSyslogSink({ ...optionsFor(port), transport: { type: 'tls', ca } })
  expect(await follow(store, sink)).toEqual([])
  expect(arrived(kept.flatMap(frames).map(recordOf))).toEqual({ seqs: upTo(30), repeated: 0, isMarked: true })
  await using distrustful = createSyslogSink({ ...optionsFor(port), transport: { type: 'tls' } })
  await expect(distrustful.write(await entriesOf(store), never)).rejects.toMatchObject({ code: 'AUDIT_SINK_FAILED' })
  server.close()
})

test('a collector that reads and never ends is given up, and a signal ends the wait', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.resume().on('error', () => undefined))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const entries = await entriesOf(await logOf(1))
  await using sink = createSyslogSink({ ...optionsFor(port), timeoutMs: 60 })
  await expect(sink.write(entries, never)).rejects.toMatchObject({ code: 'AUDIT_SINK_FAILED' })
  await using waiting = createSyslogSink(optionsFor(port))
  await expect(waiting.write(entries, AbortSignal.timeout(30))).rejects.toMatchObject({ name: 'TimeoutError' })
  server.close()
})

const rsyslogd = ['/usr/sbin/rsyslogd', '/sbin/rsyslogd'].find((path) => existsSync(path))
const isRequired = process.env['CI_REQUIRE']?.split(' ').includes('rsyslog') === true

describe.skipIf(rsyslogd === undefined && !isRequired)('rsyslog', () => {
  test('is killed with -9 and started again mid-stream: nothing lost', { timeout: 40_000 }, async () => {
    using home = scratch()
    const port = await freePort()
    const out = join(home.directory, 'out.log')
    writeFileSync(
      join(home.directory, 'rsyslog.conf'),
      `global(workDirectory="${home.directory}" maxMessageSize="64k")
main_queue(queue.type="Direct")
module(load="imtcp")
input(type="imtcp" port="${port}" address="127.0.0.1")
template(name="whole" type="string" string="%protocol-version% %structured-data% %syslogseverity% %msg%\\n")
action(type="omfile" file="${out}" template="whole" sync="on" flushOnTXEnd="on")
`,
    )
    await using server = processAt(port, rsyslogd ?? '', ['-n', '-f', join(home.directory, 'rsyslog.conf'), '-i', join(home.directory, 'pid')]) // prettier-ignore
    await server.start()
    const store = await logOf(600)
    await using dying = createSyslogSink(optionsFor(port))
    await followAndDie(store, dying, 2)
    await using sink = createSyslogSink(optionsFor(port))
    const following = follow(store, sink, { maxBatch: 3 })
    for (let round = 0; round < 2; round += 1) {
      await sleep(60)
      await server.kill()
      await sleep(100)
      await server.start()
    }
    expect((await following).length).toBeGreaterThan(0)
    await sleep(300)
    const lines = readFileSync(out, 'utf8').trimEnd().split('\n')
    const records = lines.flatMap((line) => {
      const [, seq, id = ''] = /\[audit@32473 log="[^"]*" seq="(\d+)" id="([^"]*)"\] 5 .*CEF:0\|/.exec(line) ?? []
      return seq === undefined ? [] : [{ seq: Number(seq), id }]
    })
    expect(arrived(records)).toMatchObject({ seqs: upTo(600), isMarked: true })
  })

  const hasTls = ['/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so', '/usr/lib/aarch64-linux-gnu/rsyslog/lmnsd_gtls.so'].some((path) => existsSync(path)) // prettier-ignore
  test.skipIf(!hasTls && !isRequired)('gets it over TLS', { timeout: 20_000 }, async () => {
    using home = scratch()
    const port = await freePort()
    const file = (name: string): string => join(home.directory, name)
    certify(file)
    writeFileSync(
      file('rsyslog.conf'),
      `global(workDirectory="${home.directory}" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="${file('cert')}" defaultNetstreamDriverCertFile="${file('cert')}" defaultNetstreamDriverKeyFile="${file('key')}")
main_queue(queue.type="Direct")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" port="${port}" address="127.0.0.1")
template(name="whole" type="string" string="%structured-data%\n")
action(type="omfile" file="${file('out.log')}" template="whole" flushOnTXEnd="on")
`,
    )
    await using server = processAt(port, rsyslogd ?? '', ['-n', '-f', file('rsyslog.conf'), '-i', file('pid')])
    await server.start()
    const transport = { type: 'tls', ca: readFileSync(file('cert'), 'utf8') } as const
    await using sink = createSyslogSink({ ...optionsFor(port), transport })
    expect(await follow(await logOf(50), sink)).toEqual([])
    await expect.poll(() => readFileSync(file('out.log'), 'utf8').match(/seq="/g)?.length).toBe(50)
  })
})
