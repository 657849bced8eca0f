import { createCorrelator, WireError, type JsonRpcMessage, type JsonRpcRequest } from '@mcp-gateway/wire'
import { expect, it } from 'vitest'

function setUp(attribution: 'newest' | 'sole' = 'sole', idleTimeoutMs = 60_000) {
  const sent: JsonRpcMessage[] = []
  const unrelated: JsonRpcMessage[] = []
  const correlator = createCorrelator({
    send: (message) => sent.push(message),
    onUnrelated: (message) => unrelated.push(message),
    attribution,
    idleTimeoutMs,
    maxInFlight: 3,
  })
  return { sent, unrelated, correlator }
}

const ask = (id: string | number, meta?: object): JsonRpcRequest => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'x', ...(meta && { _meta: meta }) },
})

it('gives requests with the same id different ids on the wire and the callers their own back', async () => {
  const { sent, correlator } = setUp()
  const first = correlator.request(ask(7))
  const second = correlator.request(ask(7))
  expect(sent.map((message) => message['id'])).toEqual([1, 2])
  correlator.accept({ jsonrpc: '2.0', id: 2, result: { who: 'second' } }, 1)
  correlator.accept({ jsonrpc: '2.0', id: 1, result: { who: 'first' }, extra: 1 }, 1)
  expect(await first.next()).toEqual({
    done: true,
    value: { jsonrpc: '2.0', id: 7, result: { who: 'first' }, extra: 1 },
  })
  expect(await second.next()).toMatchObject({ value: { id: 7, result: { who: 'second' } } })
  expect(correlator.load().calls).toBe(0)
})

it('translates progress tokens and subscription ids both ways and keeps the rest of _meta', async () => {
  const { sent, correlator } = setUp()
  const exchange = correlator.request(ask('a', { progressToken: 'mine', traceparent: '00-ab' }))
  expect(sent[0]).toMatchObject({ params: { _meta: { progressToken: 1, traceparent: '00-ab' } } })
  correlator.accept({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: 5 } }, 1)
  const subscription = { 'io.modelcontextprotocol/subscriptionId': 1 }
  correlator.accept({ jsonrpc: '2.0', method: 'notifications/x', params: { _meta: subscription } }, 1)
  expect((await exchange.next()).value).toMatchObject({ params: { progressToken: 'mine', progress: 5 } })
  expect((await exchange.next()).value).toMatchObject({
    params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 'a' } },
  })
})

it('passes on what belongs to nobody: a second answer, an answer to nothing', async () => {
  const { unrelated, correlator } = setUp()
  const exchange = correlator.request(ask(1))
  correlator.accept({ jsonrpc: '2.0', id: 1, result: 1 }, 1)
  correlator.accept({ jsonrpc: '2.0', id: 1, result: 2 }, 1)
  correlator.accept({ jsonrpc: '2.0', id: 99, result: 3 }, 1)
  expect((await exchange.next()).value).toMatchObject({ result: 1 })
  expect(unrelated).toHaveLength(2)
})

it('gives an error with id null to the only request in flight, and to none of two', async () => {
  const { unrelated, correlator } = setUp()
  const only = correlator.request(ask('x'))
  correlator.accept({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'bad' } }, 1)
  expect((await only.next()).value).toMatchObject({ id: 'x', error: { code: -32700 } })
  void correlator.request(ask(1))
  void correlator.request(ask(2))
  correlator.accept({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'bad' } }, 1)
  expect(unrelated).toHaveLength(1)
})

it('tells the server of an abort with the id that the server knows, and the params of the client', async () => {
  const { sent, correlator } = setUp()
  const abort = new AbortController()
  const exchange = correlator.request(ask('c'), { signal: abort.signal })
  abort.abort({ requestId: 'c', reason: 'no longer needed', extra: true })
  await expect(exchange.next()).rejects.toMatchObject({ code: 'WIRE_CANCELLED' })
  expect(sent[1]).toEqual({
    jsonrpc: '2.0',
    method: 'notifications/cancelled',
    params: { requestId: 1, reason: 'no longer needed', extra: true },
  })
})

it('cancels when the reader leaves', async () => {
  const { sent, correlator } = setUp()
  const exchange = correlator.request(ask(1, { progressToken: 1 }))
  correlator.accept({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1 } }, 1)
  await exchange.next()
  await exchange.return(undefined as never)
  expect(sent.at(-1)).toMatchObject({ method: 'notifications/cancelled', params: { requestId: 1 } })
  expect(correlator.load().calls).toBe(0)
})

it('ends a silent request, but not one that waits for its client', async () => {
  const { sent, correlator } = setUp('newest', 200)
  const waiting = correlator.request(ask('waits'))
  correlator.accept({ jsonrpc: '2.0', id: 'q', method: 'elicitation/create', params: {} }, 1)
  expect((await waiting.next()).value).toMatchObject({ id: 'q' })
  const silent = correlator.request(ask('silent'))
  await expect(silent.next()).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_TIMEOUT' })
  expect(sent.at(-1)).toMatchObject({ method: 'notifications/cancelled' })
  correlator.respond({ jsonrpc: '2.0', id: 'q', result: {} })
  await expect(waiting.next()).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_TIMEOUT' })
})

it('gives a question to the newest request of a session, and to nobody on a shared connection with two', async () => {
  const owned = setUp('newest')
  void owned.correlator.request(ask(1))
  const newest = owned.correlator.request(ask(2))
  owned.correlator.accept({ jsonrpc: '2.0', id: 5, method: 'sampling/createMessage' }, 1)
  expect((await newest.next()).value).toMatchObject({ id: 5 })
  const shared = setUp('sole')
  void shared.correlator.request(ask(1))
  void shared.correlator.request(ask(2))
  shared.correlator.accept({ jsonrpc: '2.0', method: 'notifications/message', params: {} }, 1)
  expect(shared.unrelated).toHaveLength(1)
})

it('refuses more than its limit and fails everything when the connection ends', async () => {
  const { correlator } = setUp()
  const exchanges = [1, 2, 3].map((id) => correlator.request(ask(id)))
  expect(() => correlator.request(ask(4))).toThrow(expect.objectContaining({ code: 'WIRE_CALL_LIMIT' }))
  correlator.close(new WireError('WIRE_UPSTREAM_CLOSED', 'gone'))
  for (const exchange of exchanges)
    await expect(exchange.next()).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_CLOSED' })
  expect(() => correlator.request(ask(5))).toThrow(expect.objectContaining({ code: 'WIRE_NOT_SENT' }))
})
