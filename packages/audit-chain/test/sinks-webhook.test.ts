import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createWebhookSink, signWebhook, verifyWebhook, type WebhookSinkOptions } from '@mcp-gateway/audit-chain/sinks/webhook' // prettier-ignore
import { arrived, entriesOf, follow, followAndDie, logOf, never, upTo } from './support/exports.ts'
import { scratch } from './support/sqlite.ts'

const SECRET = 'whsec_0123456789'

type Got = { readonly seqs: number[]; readonly headers: IncomingMessage['headers']; readonly body: string }
type Reply = { readonly status: number; readonly headers?: Record<string, string> } | 'hang up'

/** Keeps what it has answered with 200, as a receiver does. `kill` says nothing to anybody. */
function createReceiver(answer: (got: Got) => Reply = () => ({ status: 200 })) {
  const kept: { seq: number; id: string }[] = []
  const got: Got[] = []
  let server: Server | undefined
  let port = 0
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request)
    const entries = body.trimEnd().split('\n').map((line) => (JSON.parse(line) as { entry: { seq: number; id: string } }).entry) // prettier-ignore
    const one = { seqs: entries.map(({ seq }) => seq), headers: request.headers, body }
    got.push(one)
    const reply = answer(one)
    if (reply === 'hang up') return void request.socket.destroy()
    if (reply.status === 200) kept.push(...entries.map(({ seq, id }) => ({ seq, id })))
    response.writeHead(reply.status, reply.headers).end('thanks')
  }
  const kill = async (): Promise<void> => {
    if (server?.listening !== true) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  return {
    kept,
    got,
    port: () => port,
    kill,
    async start() {
      server = createServer((request, response) => {
        respond(request, response).catch(() => request.socket.destroy())
      }).listen(port, '127.0.0.1')
      await once(server, 'listening')
      port = (server.address() as AddressInfo).port
      return this
    },
    [Symbol.asyncDispose]: kill,
  }
}

type Receiver = ReturnType<typeof createReceiver>

const sinkFor = (receiver: Receiver, home: { directory: string }, options: Partial<WebhookSinkOptions> = {}) =>
  createWebhookSink({
    url: `http://127.0.0.1:${receiver.port()}/hook`,
    secret: SECRET,
    deadLetterFile: join(home.directory, 'dead.jsonl'),
    retryDelayMs: 2,
    ...options,
  })

test('a receiver that is killed and restarted, a follower that dies: nothing lost, repetitions are marked', async () => {
  using home = scratch()
  let requests = 0
  // Every seventh time it has kept what it got, and is gone before it can say so.
  await using receiver = await createReceiver(({ seqs }) => {
    requests += 1
    if (requests % 7 !== 0) return { status: 200 }
    receiver.kept.push(...seqs.map((seq) => ({ seq, id: ids[seq] ?? '' })))
    return 'hang up'
  }).start()
  const store = await logOf(300)
  const ids = (await entriesOf(store)).map(({ entry }) => entry.id)
  await using dying = sinkFor(receiver, home)
  await followAndDie(store, dying, 4)
  await using sink = sinkFor(receiver, home)
  const following = follow(store, sink)
  for (let round = 0; round < 3; round += 1) {
    await sleep(30)
    await receiver.kill()
    await sleep(60)
    await receiver.start()
  }
  expect((await following).length).toBeGreaterThan(0)
  const { repeated, ...found } = arrived(receiver.kept)
  expect(found).toEqual({ seqs: upTo(300), isMarked: true })
  expect(repeated).toBeGreaterThan(0)
  expect(existsSync(join(home.directory, 'dead.jsonl'))).toBe(false)
})

test('each request is signed with its time, and a repeated batch has the same idempotency key', async () => {
  using home = scratch()
  await using receiver = await createReceiver().start()
  const store = await logOf(5)
  const entries = await entriesOf(store)
  await using sink = sinkFor(receiver, home, { headers: { 'x-tenant': 'a' } })
  await sink.write(entries, never)
  await sink.write(entries, never)
  await sink.write(entries.slice(1), never)
  const [first, again, other] = receiver.got
  expect(first?.headers['idempotency-key']).toBe(again?.headers['idempotency-key'])
  expect(first?.headers['idempotency-key']).not.toBe(other?.headers['idempotency-key'])
  expect(first?.headers).toMatchObject({ 'content-type': 'application/x-ndjson', 'x-tenant': 'a' })
  const signature = String(first?.headers['x-mcp-signature'])
  const received = { secret: SECRET, body: first?.body ?? '', signature, now: Date.now() }
  expect(verifyWebhook(received)).toBe(true)
  expect(verifyWebhook({ ...received, body: `${received.body} ` })).toBe(false)
  expect(verifyWebhook({ ...received, secret: 'another' })).toBe(false)
  expect(verifyWebhook({ ...received, now: received.now + 301_000 })).toBe(false)
  expect(verifyWebhook({ ...received, signature: signature.replace(/t=\d+/, `t=${Math.floor(Date.now() / 1000) + 1}`) })).toBe(false) // prettier-ignore
  expect(verifyWebhook({ ...received, signature: 'v1=' })).toBe(false)
  // HMAC-SHA256 by openssl: printf '1700000000.body' | openssl dgst -sha256 -hmac secret
  expect(signWebhook('secret', 'body', 1_700_000_000_999)).toBe(
    't=1700000000,v1=42ac6f0448c1d9c3e1e82b9726248f58fef84afffcbad5188246e96070e0ea46',
  )
})

test('one entry that the receiver refuses is put aside, and the others arrive', async () => {
  using home = scratch()
  await using receiver = await createReceiver(({ seqs }) => ({ status: seqs.includes(37) ? 422 : 200 })).start()
  const store = await logOf(64)
  await using sink = sinkFor(receiver, home)
  expect(await follow(store, sink, { maxBatch: 64 })).toEqual([])
  expect(arrived(receiver.kept)).toMatchObject({ seqs: upTo(64).filter((seq) => seq !== 37), repeated: 0 })
  expect(await sink.deadLetters?.()).toBe(1)
  const [line = ''] = readFileSync(join(home.directory, 'dead.jsonl'), 'utf8').trimEnd().split('\n')
  const letter = JSON.parse(line) as { status: number; record: string }
  expect(letter.status).toBe(422)
  expect(JSON.parse(letter.record)).toMatchObject({ entry: { seq: 37 } })
  // 1 + the halves down to one, and then it was tried three times.
  expect(receiver.got.filter(({ seqs }) => seqs.length === 1 && seqs[0] === 37)).toHaveLength(3)
  await using reopened = sinkFor(receiver, home)
  expect(await reopened.deadLetters?.()).toBe(1)
})

test('a wrong secret, a wrong address, a redirect or a failure puts nothing aside: it waits', async () => {
  using home = scratch()
  const entries = await entriesOf(await logOf(2))
  for (const status of [301, 401, 403, 404, 408, 410, 425, 429, 500, 503]) {
    await using receiver = await createReceiver(() => ({ status, headers: { location: '/elsewhere' } })).start()
    await using sink = sinkFor(receiver, home)
    await expect(sink.write(entries, never)).rejects.toMatchObject({ code: 'AUDIT_SINK_FAILED', message: expect.stringContaining(String(status)) }) // prettier-ignore
    expect(receiver.got).toHaveLength(1)
    expect(await sink.deadLetters?.()).toBe(0)
  }
})

test('Retry-After is obeyed, up to a limit; a receiver that is silent is given up', async () => {
  using home = scratch()
  const entries = await entriesOf(await logOf(2))
  let times: number[] = []
  await using receiver = await createReceiver(() => {
    times.push(Date.now())
    return times.length === 1 ? { status: 429, headers: { 'retry-after': '3600' } } : { status: 200 }
  }).start()
  await using sink = sinkFor(receiver, home, { maxRetryAfterMs: 300 })
  await expect(sink.write(entries, never)).rejects.toThrow('429')
  await sink.write(entries, never)
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(295)

  times = []
  const silent = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`
  await using waiting = sinkFor(receiver, home, { url, timeoutMs: 50 })
  await expect(waiting.write(entries, never)).rejects.toThrow('did not answer')
  silent.closeAllConnections()
  silent.close()
})

test('what is too long for one request is several', async () => {
  using home = scratch()
  await using receiver = await createReceiver().start()
  await using sink = sinkFor(receiver, home, { maxBodyBytes: 3000 })
  await follow(await logOf(20), sink, { maxBatch: 20 })
  expect(receiver.got.length).toBeGreaterThan(3)
  expect(Math.max(...receiver.got.map(({ body }) => body.length))).toBeLessThanOrEqual(3000)
  expect(arrived(receiver.kept)).toMatchObject({ seqs: upTo(20), repeated: 0 })
})

test('nothing is sent in the clear but to this machine', () => {
  const options = { secret: SECRET, deadLetterFile: 'dead.jsonl' }
  for (const url of ['http://example.com', 'http://127.0.0.1.example.com', 'ftp://localhost', 'http://localhost.', 'x'])
    expect(() => createWebhookSink({ ...options, url })).toThrow('https')
  for (const url of ['https://example.com/x', 'http://localhost:1', 'http://127.8.9.1', 'http://[::1]:9/'])
    expect(() => createWebhookSink({ ...options, url })).not.toThrow()
  expect(() => createWebhookSink({ ...options, url: 'https://example.com', secret: '' })).toThrow('secret')
})
