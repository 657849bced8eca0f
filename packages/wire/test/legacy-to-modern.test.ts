// A legacy client in front of a real modern child that asks with `input_required`.
import {
  baseEnvironment,
  createStdioUpstream,
  openConnection,
  openLegacyToModern,
  type Exchange,
  type JsonObject,
  type JsonRpcMessage,
  type JsonRpcRequest,
} from '@mcp-gateway/wire'
import { afterEach, describe, expect, it } from 'vitest'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const item of open.splice(0).toReversed()) await item[Symbol.asyncDispose]()
})

/** Tools: `ask` asks until it was answered, `always` never has enough, `seen` says what it was sent. */
const SERVER = `
const write = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
const info = { 'io.modelcontextprotocol/serverInfo': { name: 'new', version: '2' } }
const text = (value) => ({ resultType: 'complete', ttlMs: 5, cacheScope: 'public', content: [{ type: 'text', text: JSON.stringify(value) }], _meta: info })
const form = { method: 'elicitation/create', params: { mode: 'url', url: 'https://example.com', message: 'Open' } }
let listens = []
process.stdin.on('end', () => process.exit(0)).on('data', (chunk) => { for (const line of String(chunk).split('\\n')) if (line) {
  const { id, method, params } = JSON.parse(line)
  const done = (result) => write({ id, result })
  if (method === 'server/discover') done({ resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: { listChanged: true }, resources: { subscribe: true } }, instructions: 'hi', _meta: info })
  else if (method === 'subscriptions/listen') {
    const tag = { _meta: { 'io.modelcontextprotocol/subscriptionId': id } }
    listens.push(params.notifications)
    write({ method: 'notifications/subscriptions/acknowledged', params: { notifications: params.notifications, ...tag } })
    if (params.notifications.toolsListChanged) write({ method: 'notifications/tools/list_changed', params: tag })
    for (const uri of params.notifications.resourceSubscriptions ?? []) write({ method: 'notifications/resources/updated', params: { uri, ...tag } })
  }
  else if (method === 'tools/call' && params.name === 'seen') done(text({ ...params, listens }))
  else if (method === 'tools/call' && params.name === 'ask') {
    if (params.inputResponses) done(text({ answers: params.inputResponses, state: params.requestState }))
    else done({ resultType: 'input_required', inputRequests: { first: form, second: { method: 'roots/list' } }, requestState: 'opaque' })
  }
  else if (method === 'tools/call') done({ resultType: 'input_required', inputRequests: { again: { method: 'roots/list' } } })
  else if (id !== undefined) write({ id, error: { code: -32601, message: 'no ' + method } })
} })`

const CAPABILITIES = { roots: {}, elicitation: { url: {} } }

async function start() {
  const connection = await openConnection(
    (onMessage) =>
      createStdioUpstream({
        command: process.execPath,
        args: ['-e', SERVER],
        env: baseEnvironment(process.env),
        attribution: 'sole',
        onMessage,
        onDiagnostic: () => undefined,
        graceMs: 300,
      }),
    { clientInfo: { name: 't', version: '1' } },
  )
  open.push(connection.upstream)
  const sent: JsonRpcMessage[] = []
  const diagnostics: string[] = []
  const session = openLegacyToModern({
    connection: () => connection,
    peer: { send: (message) => void sent.push(message) },
    serverName: 's',
    onDiagnostic: (text) => void diagnostics.push(text),
  })
  open.push(session)
  const request = (method: string, params: JsonObject = {}, signal?: AbortSignal): Exchange =>
    session.request({ jsonrpc: '2.0', id: 'mine', method, params }, { signal })
  const initialized = async () => {
    const params = {
      protocolVersion: '2025-06-18',
      capabilities: CAPABILITIES,
      clientInfo: { name: 'c', version: '3' },
    }
    const result = await resultOf(request('initialize', params))
    await session.notify({ method: 'notifications/initialized' })
    return result
  }
  return { session, request, initialized, sent, diagnostics }
}

const resultOf = async (exchange: Exchange): Promise<JsonObject> => {
  for (;;) {
    const next = await exchange.next()
    if (next.done) return next.value.result as JsonObject
  }
}
const textOf = (result: JsonObject): JsonObject => JSON.parse((result['content'] as { text: string }[])[0]?.text ?? '')

describe('a legacy session with a modern server', () => {
  it('initialize, ping and setLevel are answered here, and every request carries the session', async () => {
    const { request, initialized, session } = await start()
    expect(await initialized()).toEqual({
      protocolVersion: '2025-06-18',
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
      serverInfo: { name: 'new', version: '2' },
      instructions: 'hi',
    })
    expect(await resultOf(request('ping'))).toEqual({})
    await expect(request('logging/setLevel', { level: 'loud' }).next()).rejects.toMatchObject({ code: 'WIRE_INVALID_PARAMS' }) // prettier-ignore
    expect(await resultOf(request('logging/setLevel', { level: 'warning' }))).toEqual({})
    const result = await resultOf(request('tools/call', { name: 'seen', _meta: { traceparent: 't' } }))
    expect(Object.keys(result)).toEqual(['content'])
    expect(textOf(result)['_meta']).toEqual({
      traceparent: 't',
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'c', version: '3' },
      'io.modelcontextprotocol/clientCapabilities': CAPABILITIES,
      'io.modelcontextprotocol/logLevel': 'warning',
    })
    expect(session.meta()).toMatchObject({ 'io.modelcontextprotocol/logLevel': 'warning' })
  })

  it('asks on the stream of the call, and brings all answers back with the state', async () => {
    const { request, initialized, session } = await start()
    await initialized()
    const exchange = request('tools/call', { name: 'ask' })
    const questions = [(await exchange.next()).value, (await exchange.next()).value] as JsonRpcRequest[]
    expect(questions).toMatchObject([
      // 2025-11-25 wants an id for a page the user is sent to.
      { method: 'elicitation/create', params: { url: 'https://example.com', elicitationId: expect.any(String) } },
      { method: 'roots/list' },
    ])
    const ids = questions.map(({ id }) => id)
    await session.respond({ jsonrpc: '2.0', id: 'never asked', result: {} })
    await session.respond({ jsonrpc: '2.0', id: ids[1] as string, result: { roots: [] } })
    await session.respond({ jsonrpc: '2.0', id: ids[0] as string, result: { action: 'accept' } })
    expect(textOf(await resultOf(exchange))).toEqual({
      answers: { first: { action: 'accept' }, second: { roots: [] } },
      state: 'opaque',
    })
  })

  it('gives up on a server that never has enough, on a client that refuses, and when it is cancelled', async () => {
    const { request, initialized, session } = await start()
    await initialized()
    const rounds = request('tools/call', { name: 'always' })
    const answering = (async () => {
      for (;;) {
        const next = await rounds.next()
        if (next.done) return next.value
        await session.respond({ jsonrpc: '2.0', id: (next.value as JsonRpcRequest).id, result: { roots: [] } })
      }
    })()
    await expect(answering).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_PROTOCOL' })

    const refused = request('tools/call', { name: 'always' })
    const question = (await refused.next()).value as JsonRpcRequest
    await session.respond({ jsonrpc: '2.0', id: question.id, error: { code: -1, message: 'no' } })
    await expect(refused.next()).rejects.toMatchObject({ code: 'WIRE_CLIENT_REFUSED' })

    const abort = new AbortController()
    const cancelled = request('tools/call', { name: 'always' }, abort.signal)
    await cancelled.next()
    abort.abort()
    await expect(cancelled.next()).rejects.toMatchObject({ code: 'WIRE_CANCELLED' })
  })

  it('list changes and updates of subscribed resources come as legacy notifications', async () => {
    const { request, initialized, sent } = await start()
    await initialized()
    await expect.poll(() => sent).toEqual([{ jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: {} }])
    expect(await resultOf(request('resources/subscribe', { uri: 'file:///a' }))).toEqual({})
    await expect.poll(() => sent[1]).toEqual({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'file:///a' } }) // prettier-ignore
    expect(await resultOf(request('resources/unsubscribe', { uri: 'file:///a' }))).toEqual({})
    const { listens } = textOf(await resultOf(request('tools/call', { name: 'seen' })))
    expect(listens).toEqual([{ toolsListChanged: true }, { resourceSubscriptions: ['file:///a'] }])
  })
})
