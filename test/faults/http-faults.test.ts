// Servers behind HTTP that misbehave, one row each, in front of the real gateway and with a healthy server beside them.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { freePort } from '../support/free-port.ts'
import { type FaultHttpServer, startFaultHttpServer, startPrivateServer } from './fault-http-server.ts'
import { type Fault, runFault, startFaultBench } from './fault-table.ts'
import type { GatewayProcess } from './gateway-process.ts'
import { closeConnections, modernRequest, openSession, replyOf } from './mcp-client.ts'

const BODY_LIMIT = 64 * 1024 * 1024
/** A burst is the work of a few windows; the neighbour's usual p99 is that of many. */
const BURST_MS = 3000
/** For the server that stays silent: with the default of a minute, its test would take one. */
const TIMEOUT_MS = 1500
/** What the gateway sends to these servers and to nobody else. */
const SECRET = 'Bearer upstream-secret-0123456789'

const CLOSED = { codes: ['WIRE_UPSTREAM_CLOSED'] }
const REFUSED = { codes: ['WIRE_UPSTREAM_REFUSED'] }
const TOO_MUCH = { codes: ['WIRE_UPSTREAM_PROTOCOL'] }
const TIMED_OUT = { codes: ['WIRE_UPSTREAM_TIMEOUT'] }

const faults: readonly Fault[] = [
  { title: 'drops the stream in the middle of a call', server: 'drops', tool: 'drop-stream', gives: CLOSED, says: /terminated|aborted|other side closed|ended the stream|ECONNRESET/ },
  { title: 'ends the stream without an answer', server: 'ends', tool: 'end-stream', gives: CLOSED, says: /ended the stream/ },
  { title: 'answers 404', server: 'lost', tool: 'status-404', gives: REFUSED, says: /HTTP 404/ },
  { title: 'answers 500', server: 'broken', tool: 'status-500', gives: REFUSED, says: /HTTP 500/ },
  { title: 'answers something else than JSON', server: 'html', tool: 'not-json', gives: REFUSED, says: /HTTP 200|not JSON/ },
  { title: 'sends a body without end', server: 'endless', tool: 'endless-body', gives: TOO_MUCH, says: /exceeds/, watchMs: BURST_MS, maxPeakBytes: 4 * BODY_LIMIT },
  { title: 'sends an event without end', server: 'stream', tool: 'endless-event', gives: TOO_MUCH, says: /exceeds/, watchMs: BURST_MS, maxPeakBytes: 4 * BODY_LIMIT },
  { title: 'sends its body a byte at a time', server: 'slow', tool: 'slow-body', gives: TIMED_OUT, says: /TIMEOUT|no answer/ },
  { title: 'redirects elsewhere with 302', server: 'moved', tool: 'redirect-302', gives: REFUSED, says: /HTTP 302/ },
  { title: 'redirects elsewhere with 307', server: 'away', tool: 'redirect-307', gives: REFUSED, says: /HTTP 307/ },
] // prettier-ignore

let elsewhere: Awaited<ReturnType<typeof startPrivateServer>>
let modern: FaultHttpServer
let legacy: FaultHttpServer
let bench: Awaited<ReturnType<typeof startFaultBench>>
let gateway: GatewayProcess

beforeAll(async () => {
  elsewhere = await startPrivateServer()
  modern = await startFaultHttpServer({ era: 'modern', redirectTo: elsewhere.url })
  legacy = await startFaultHttpServer({ era: 'legacy', redirectTo: elsewhere.url })
  const remote = (id: string, url: string): object => ({
    id,
    url,
    timeout: id === 'slow' ? TIMEOUT_MS : 30_000,
    headers: { authorization: SECRET },
  })
  bench = await startFaultBench([
    ...faults.map(({ server }) => remote(server, modern.url)),
    remote('session', legacy.url),
    remote('gone', `http://127.0.0.1:${await freePort()}/mcp`),
  ])
  gateway = bench.gateway
})

afterAll(async () => {
  await bench[Symbol.asyncDispose]()
  closeConnections()
  await Promise.all([modern, legacy, elsewhere].map((server) => server[Symbol.asyncDispose]()))
})

beforeEach(() => {
  elsewhere.seen.length = 0
})

describe('a server behind HTTP that', () => {
  it.each(faults)('$title harms nobody else', async (fault) => {
    await runFault(fault, bench)
    // The adversary sends our credentials into the private network, or has us read from it.
    expect(elsewhere.seen).toEqual([])
  })

  it('is given its own credentials and none of the caller’s', () => {
    expect(modern.seen.length).toBeGreaterThan(faults.length)
    expect(new Set(modern.seen.map(({ headers }) => headers.authorization))).toEqual(new Set([SECRET]))
  })

  it('is not there fails each call with a reason', async () => {
    const { reply } = await modernRequest(gateway.port, '/mcp/server/gone', 'tools/call', { name: 'echo' })
    expect(reply.error?.data?.code).toMatch(/^WIRE_UPSTREAM_(START_FAILED|CLOSED)$/)
    expect(reply.error?.message).toMatch(/ECONNREFUSED/)
  })
})

describe('a legacy server behind HTTP that forgot its sessions', () => {
  const path = '/mcp/server/session'

  it('is given a new session, and the client goes on with its own', async () => {
    const session = await openSession(gateway.port, path)
    expect(replyOf(session.opened).result).toHaveProperty('protocolVersion')
    expect((await session.call('echo', { text: 'before' })).reply.result).toMatchObject({
      content: [{ text: 'before' }],
    })
    legacy.forgetSessions()
    // A tools/call is not repeated on its own account: this one may fail.
    await session.call('echo', { text: 'lost' })
    const next = await session.call('echo', { text: 'after' })
    expect(next).toMatchObject({ status: 200, reply: { result: { content: [{ text: 'after' }] } } })
    await session.end()
  })

  it('is given a new session for a modern client, which knows of none', async () => {
    const call = (text: string) =>
      modernRequest(gateway.port, path, 'tools/call', { name: 'echo', arguments: { text } })
    expect((await call('before')).reply).toMatchObject({ result: { content: [{ text: 'before' }] } })
    legacy.forgetSessions()
    await call('lost')
    expect((await call('after')).reply).toMatchObject({ result: { content: [{ text: 'after' }] } })
  })

  it('keeps none when every client has left', async () => {
    const session = await openSession(gateway.port, path)
    expect(legacy.sessions()).toBeGreaterThan(0)
    await session.end()
    await gateway.close()
    expect(legacy.sessions()).toBe(0)
  })
})
