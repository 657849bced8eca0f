// Modern clients in front of a real legacy child that asks its client in the middle of a call.
import {
  baseEnvironment,
  createModernToLegacy,
  createSharedSession,
  createStateSealer,
  createStdioUpstream,
  openConnection,
  type Exchange,
  type JsonObject,
  type JsonRpcMessage,
  type JsonRpcRequest,
  type JsonRpcResponse,
  type RequestState,
  type SharedSession,
} from '@mcp-gateway/wire'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const item of open.splice(0)) await item[Symbol.asyncDispose]()
})

/** Tools: `ask` asks one question and says what it was answered, `both` asks two at once, `log` logs, `fail` fails. */
const SERVER = `
const waiting = new Map(); let next = 1
const write = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
const ask = (method, params) => new Promise((resolve) => { const id = 'q' + next++; waiting.set(id, resolve); write({ id, method, params }) })
const form = { message: 'Name?', requestedSchema: { type: 'object', properties: {} } }
const text = (value) => ({ content: [{ type: 'text', text: JSON.stringify(value) }] })
const tools = {
  ask: async () => text(await ask('elicitation/create', { ...form, _meta: { progressToken: 9 } })),
  both: async () => text(await Promise.all([ask('elicitation/create', form), ask('sampling/createMessage', { messages: [], maxTokens: 1 })])),
  log: async () => { for (const level of ['debug', 'error']) write({ method: 'notifications/message', params: { level, data: level } }); return text('logged') },
  seen: async (params) => text(params),
}
let cancelled = []
process.stdin.on('end', () => process.exit(0)).on('data', async (chunk) => { for (const line of String(chunk).split('\\n')) if (line) {
  const { id, method, params, result, error } = JSON.parse(line)
  if (method === undefined) { waiting.get(id)?.(result ?? error); continue }
  if (method === 'notifications/cancelled') { cancelled.push(params.requestId); continue }
  if (id === undefined) continue
  const done = (result) => write({ id, result })
  if (method === 'initialize') done({ protocolVersion: params.protocolVersion, capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, tasks: {}, logging: {} }, serverInfo: { name: 'old', version: '1' }, instructions: 'hi' })
  else if (method === 'tools/list') done({ tools: [{ name: 'ask', inputSchema: {}, execution: { taskSupport: 'optional' } }] })
  else if (method === 'resources/read') write({ id, error: { code: -32002, message: 'Resource not found' } })
  else if (method === 'resources/subscribe') { done({}); write({ method: 'notifications/resources/updated', params: { uri: params.uri } }); write({ method: 'notifications/tools/list_changed' }) }
  else if (method === 'tools/call' && params.name === 'cancelled') done(text(cancelled))
  else if (method === 'tools/call') tools[params.name](params).then(done)
  else done({ method })
} })`

const VERSION = 'io.modelcontextprotocol/protocolVersion'
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities'
const FULL = { elicitation: { form: {} }, sampling: {} }

async function start(parkMs?: number) {
  const connection = await openConnection(
    (onMessage) =>
      createStdioUpstream({
        command: process.execPath,
        args: ['-e', SERVER],
        env: baseEnvironment(process.env),
        attribution: 'newest',
        onMessage,
        onDiagnostic: () => undefined,
        graceMs: 300,
      }),
    { clientInfo: { name: 't', version: '1' }, probe: false, initialize: { protocolVersion: '2025-11-25', capabilities: FULL, clientInfo: {} } }, // prettier-ignore
  )
  open.push(connection.upstream)
  const shared: SharedSession = createSharedSession(connection)
  const sealer = createStateSealer()
  const translator = createModernToLegacy({ serverId: 's', sealer, ...(parkMs !== undefined && { parkMs }) })
  type Who = { principal?: string; capabilities?: JsonObject; method?: string; signal?: AbortSignal }
  const call = (params: JsonObject, who: Who = {}): Exchange => {
    const { principal = 'me', capabilities = FULL, method = 'tools/call', signal } = who
    const meta = { [VERSION]: '2026-07-28', [CAPABILITIES]: capabilities, ...(params['_meta'] as object) }
    const message: JsonRpcRequest = { jsonrpc: '2.0', id: 'mine', method, params: { ...params, _meta: meta } }
    return translator.request(message, principal, () => shared, { signal })
  }
  return { call, translator, sealer }
}

async function drain(exchange: Exchange): Promise<{ response: JsonRpcResponse; messages: JsonRpcMessage[] }> {
  const messages: JsonRpcMessage[] = []
  for (;;) {
    const next = await exchange.next()
    if (next.done) return { response: next.value, messages }
    messages.push(next.value)
  }
}
const resultOf = async (exchange: Exchange): Promise<JsonObject> =>
  (await drain(exchange)).response.result as JsonObject
const textOf = (result: JsonObject): unknown => JSON.parse((result['content'] as { text: string }[])[0]?.text ?? '')
const ACCEPT = { action: 'accept', content: { name: 'Ada' } }

describe('a call that asks its client', () => {
  it('ends with the question and goes on with the answer, under the id of the request that brings it', async () => {
    const { call, translator } = await start()
    const asked = await resultOf(call({ name: 'ask', arguments: { a: 1, b: 2 } }))
    expect(asked).toMatchObject({
      resultType: 'input_required',
      inputRequests: { r0: { method: 'elicitation/create', params: { message: 'Name?' } } },
    })
    expect(asked['inputRequests']).not.toHaveProperty(['r0', 'params', '_meta'])
    expect(translator.parked()).toBe(1)
    const { requestState } = asked
    // The same arguments in another order are the same call.
    const { response } = await drain(call({ arguments: { b: 2, a: 1 }, name: 'ask', inputResponses: { r0: ACCEPT }, requestState })) // prettier-ignore
    expect(response.id).toBe('mine')
    expect(response.result).toMatchObject({ resultType: 'complete' })
    expect(textOf(response.result as JsonObject)).toEqual(ACCEPT)
    expect(translator.parked()).toBe(0)
  })

  it('asks what was asked at once at once, and again what was left out', async () => {
    const { call } = await start()
    const asked = await resultOf(call({ name: 'both' }))
    expect(Object.keys(asked['inputRequests'] as object)).toEqual(['r0', 'r1'])
    const { requestState } = asked
    const again = await resultOf(call({ name: 'both', inputResponses: { r1: { role: 'assistant' } }, requestState }))
    expect(Object.keys(again['inputRequests'] as object)).toEqual(['r0'])
    const inputResponses = { r0: ACCEPT, r1: { role: 'assistant' }, extra: 1 }
    expect(textOf(await resultOf(call({ name: 'both', inputResponses, requestState: again['requestState'] })))).toEqual([ACCEPT, { role: 'assistant' }]) // prettier-ignore
  })

  it('is refused with -32021 when the client did not declare what the server asks for', async () => {
    const { call, translator } = await start()
    await expect(drain(call({ name: 'ask' }, { capabilities: { sampling: {} } }))).rejects.toMatchObject({
      code: 'WIRE_CAPABILITY_MISSING',
      data: { requiredCapabilities: { elicitation: {} } },
    })
    expect(translator.parked()).toBe(0)
  })

  it('is cancelled at the server when its client never comes back', async () => {
    const { call, translator } = await start(50)
    await resultOf(call({ name: 'ask' }))
    await expect.poll(translator.parked).toBe(0)
    await expect.poll(async () => textOf(await resultOf(call({ name: 'cancelled' })))).toHaveLength(1)
  })
})

describe('requestState', () => {
  const state: RequestState = { id: 'i', principal: 'p', serverId: 's', digest: 'd', expiresAt: 1 }
  const invalid = { code: 'WIRE_REQUEST_STATE_INVALID' }

  it('open(seal(state)) ≡ state, and any one changed character ≡ refused', () => {
    const sealer = createStateSealer()
    fc.assert(
      fc.property(fc.nat(), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
        const text = sealer.seal(state)
        expect(sealer.open(text)).toEqual(state)
        const position = at % text.length
        const changed = text.slice(0, position) + character + text.slice(position + 1)
        if (changed !== text) expect(() => sealer.open(changed)).toThrow(expect.objectContaining(invalid))
      }),
      { numRuns: 10_000 },
    )
  })

  it.each<[string, unknown]>([
    ['no text', 7],
    ['empty', ''],
    ['too long', 'A'.repeat(5000)],
    ['another key’s', createStateSealer().seal(state)],
  ])('%s is refused', (_title, text) => {
    expect(() => createStateSealer().open(text)).toThrow(expect.objectContaining(invalid))
  })

  it.each<[string, JsonObject, { principal?: string; method?: string }]>([
    ['somebody else', {}, { principal: 'you' }],
    ['other arguments', { arguments: { to: 'mallory' } }, {}],
    ['another tool', { name: 'both' }, {}],
    ['another method', {}, { method: 'prompts/get' }],
  ])('is of no use for %s', async (_title, change, who) => {
    const { call, translator } = await start()
    const params = { name: 'ask', arguments: { to: 'ada' } }
    const { requestState } = await resultOf(call(params))
    const answer = { ...params, ...change, inputResponses: { r0: ACCEPT }, requestState }
    await expect(drain(call(answer, who))).rejects.toMatchObject(invalid)
    // The one it was made for still finds its call.
    expect(translator.parked()).toBe(1)
    expect(textOf(await resultOf(call({ ...params, inputResponses: { r0: ACCEPT }, requestState })))).toEqual(ACCEPT)
  })

  it('of ten that bring it at once one passes', async () => {
    const { call } = await start()
    const { requestState } = await resultOf(call({ name: 'ask' }))
    const attempts = Array.from({ length: 10 }, () => drain(call({ name: 'ask', inputResponses: { r0: ACCEPT }, requestState }))) // prettier-ignore
    const settled = await Promise.allSettled(attempts)
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const item of settled) if (item.status === 'rejected') expect(item.reason).toMatchObject(invalid)
  })

  it('of another server or past its time is refused', async () => {
    const { call, sealer } = await start()
    const { requestState } = await resultOf(call({ name: 'ask' }))
    const inside = sealer.open(requestState)
    for (const change of [{ serverId: 'other' }, { expiresAt: Date.now() - 1 }, { id: 'none' }, { digest: 'other' }]) {
      const forged = sealer.seal({ ...inside, ...change })
      await expect(drain(call({ name: 'ask', inputResponses: { r0: ACCEPT }, requestState: forged }))).rejects.toMatchObject(invalid) // prettier-ignore
    }
  })
})

describe('everything else', () => {
  it('is answered as a modern server would', async () => {
    const { call } = await start()
    expect(await resultOf(call({}, { method: 'server/discover' }))).toMatchObject({
      supportedVersions: ['2026-07-28'],
      capabilities: expect.not.objectContaining({ tasks: {} }),
      instructions: 'hi',
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'old' } },
    })
    const { tools } = await resultOf(call({}, { method: 'tools/list' }))
    expect(tools).toEqual([{ name: 'ask', inputSchema: {} }])
    expect((await drain(call({ uri: 'x' }, { method: 'resources/read' }))).response.error?.code).toBe(-32602)
    const seen = textOf(await resultOf(call({ name: 'seen', _meta: { traceparent: 't', [`${VERSION}x`]: 1 } })))
    expect(seen).toEqual({ name: 'seen', _meta: { traceparent: 't', [`${VERSION}x`]: 1 } })
    expect(await resultOf(call({ odd: 1 }, { method: 'vendor/method' }))).toMatchObject({ method: 'vendor/method' })
    for (const method of ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'tasks/list']) {
      await expect(drain(call({}, { method }))).rejects.toMatchObject({ code: 'WIRE_METHOD_NOT_FOUND' })
    }
  })

  it('log lines come to those who asked, from the level they asked for', async () => {
    const { call } = await start()
    const levelsOf = async (level?: string) => {
      const { messages } = await drain(call({ name: 'log', ...(level && { _meta: { 'io.modelcontextprotocol/logLevel': level } }) })) // prettier-ignore
      return messages.map((message) => (message['params'] as JsonObject)['level'])
    }
    expect(await levelsOf()).toEqual([])
    expect(await levelsOf('warning')).toEqual(['error'])
    expect(await levelsOf('debug')).toEqual(['debug', 'error'])
  })

  it('subscriptions/listen says what it will tell, tells it, and ends with its client', async () => {
    const { call } = await start()
    const abort = new AbortController()
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['file:///a'] }
    const exchange = call({ notifications }, { method: 'subscriptions/listen', signal: abort.signal })
    const subscriptionId = { _meta: { 'io.modelcontextprotocol/subscriptionId': 'mine' } }
    const next = async () => (await exchange.next()).value
    expect(await next()).toMatchObject({ method: 'notifications/subscriptions/acknowledged', params: { notifications, ...subscriptionId } }) // prettier-ignore
    expect(await next()).toMatchObject({ method: 'notifications/resources/updated', params: { uri: 'file:///a', ...subscriptionId } }) // prettier-ignore
    expect(await next()).toMatchObject({ method: 'notifications/tools/list_changed', params: subscriptionId })
    abort.abort()
    await expect(exchange.next()).rejects.toMatchObject({ code: 'WIRE_CANCELLED' })
  })
})
