// What passes through the gateway, in both eras, on one server and on all of them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningGateway } from '@mcp-gateway/gateway'
import { echoServer, gatewayWith, KEY, KEYS, modern, openSession, send } from './support.ts'

let gateway: RunningGateway
beforeAll(async () => {
  process.env['GATEWAY_TEST_SECRET'] = 'must not leak'
  gateway = await gatewayWith({
    auth: KEYS,
    servers: [
      echoServer('one', { env: { NAMED: 'yes' }, timeout: 2000 }),
      echoServer('two'),
      { id: 'broken', command: process.execPath, args: ['-e', 'process.exit(3)'] },
    ],
  })
})
afterAll(() => gateway.close())

/** Reads a stream piece by piece: a client answers what it was asked, not what it expects to be asked. */
function readerOf({ body }: Response) {
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
  let seen = ''
  const more = async (): Promise<boolean> => {
    const { done = true, value = '' } = (await reader?.read()) ?? {}
    seen += value
    return !done
  }
  return {
    async until(text: string) {
      while (!seen.includes(text) && (await more()));
    },
    async rest() {
      while (await more());
      return seen
    },
  }
}

const events = (text: string) =>
  text.split('\n').flatMap((line) => (line.startsWith('data: {') ? [JSON.parse(line.slice(6))] : []))

describe('modern, one server', () => {
  it('passes params and results unchanged, unknown members, trace context and large numbers included', async () => {
    const params = { name: 'echo', arguments: { message: 'hi', deep: [[{}]] }, odd: null, _meta: { traceparent: '00-ab-cd-01', baggage: 'x=1' } } // prettier-ignore
    const { headers, body } = modern('tools/call', params, 'my-id')
    const exact = body.replace('"odd":null', '"odd":12345678901234567890.10')
    const answer = await send(gateway, '/mcp/server/one', { headers, body: exact })
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.json()).toMatchObject({ id: 'my-id', result: { unknown: { kept: [1, null] } } })
    // What the server read, and what came back of what it wrote.
    expect((answer.json()['result'] as { line: string }).line).toContain('"odd":12345678901234567890.10')
    expect(answer.text).toContain('"amount":12345678901234567890.10')
    expect(answer.json()['result']).toMatchObject({
      received: { _meta: { traceparent: '00-ab-cd-01', baggage: 'x=1' } },
    })
  })

  it('passes errors with their data, and the status that the revision wants', async () => {
    const answer = await send(gateway, '/mcp/server/one', modern('no/such'))
    expect(answer.status).toBe(404)
    expect(answer.json()).toMatchObject({ error: { code: -32601, data: { kept: 1 } } })
  })

  it('streams when something precedes the result', async () => {
    const request = modern('tools/call', { name: 'ask', _meta: { progressToken: 'mine' } })
    const controller = new AbortController()
    const response = await fetch(`${gateway.url}/mcp/server/one`, {
      method: 'POST',
      ...request,
      signal: controller.signal,
    })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(response.headers.get('x-accel-buffering')).toBe('no')
    const reader = response.body?.getReader()
    const first = new TextDecoder().decode((await reader?.read())?.value)
    expect(events(first)[0]).toMatchObject({ method: 'notifications/progress', params: { progressToken: 'mine' } })
    controller.abort()
  })

  it('tells the server when the client closes the connection', async () => {
    const controller = new AbortController()
    const slow = fetch(`${gateway.url}/mcp/server/one`, { method: 'POST', ...modern('tools/call', { name: 'slow' }), signal: controller.signal }) // prettier-ignore
    await send(gateway, '/mcp/server/one', modern('ping'))
    controller.abort()
    await expect(slow).rejects.toThrow()
    await expect
      .poll(async () => (await send(gateway, '/mcp/server/one', modern('test/seen'))).json()['result'])
      .toMatchObject({ seen: expect.arrayContaining(['notifications/cancelled']) })
  })

  it('gives up on a silent server after its timeout', async () => {
    const answer = await send(gateway, '/mcp/server/one', modern('tools/call', { name: 'slow' }))
    expect(answer.json()).toMatchObject({ error: { code: -32603, data: { code: 'WIRE_UPSTREAM_TIMEOUT' } } })
  })

  it('a child that dies fails its calls at once, and the next call has a new one', async () => {
    const from = Date.now()
    const answer = await send(gateway, '/mcp/server/two', modern('tools/call', { name: 'exit' }))
    expect(answer.json()).toMatchObject({
      error: { data: { code: 'WIRE_UPSTREAM_CLOSED' }, message: expect.stringContaining('7') },
    })
    expect(Date.now() - from).toBeLessThan(3000)
    const next = await send(
      gateway,
      '/mcp/server/two',
      modern('tools/call', { name: 'echo', arguments: { message: 'again' } }),
    )
    expect(next.json()).toMatchObject({ result: { content: [{ text: 'again' }] } })
  })

  it('gives a child what its configuration names, and nothing else of the environment', async () => {
    const answer = await send(gateway, '/api/servers/one/tools/env', { headers: { 'x-api-key': KEY, 'content-type': 'application/json' }, body: '{}' }) // prettier-ignore
    const [content] = answer.json()['content'] as { text: string }[]
    const env = JSON.parse(content?.text ?? '{}')
    expect(env.NAMED).toBe('yes')
    expect(env.PATH).toBeDefined()
    expect(env.GATEWAY_TEST_SECRET).toBeUndefined()
    expect(Object.keys(env).filter((name) => !/^(HOME|LOGNAME|PATH|SHELL|TERM|TMPDIR|USER|NAMED|__CF.*|PWD|SHLVL|_)$/.test(name))).toEqual([]) // prettier-ignore
  })
})

describe('legacy, one server', () => {
  it('opens a session, passes a question to the client and its answer back, and ends', async () => {
    const { opened, headers, post } = await openSession(gateway, '/mcp/server/one', { sampling: {} })
    expect(opened.json()).toMatchObject({ id: 'init', result: { serverInfo: { name: 'echo-server' } } })
    const response = await fetch(`${gateway.url}/mcp/server/one`, {
      method: 'POST',
      headers,
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 5,
        method: 'tools/call',
        params: { name: 'ask', _meta: { progressToken: 9 } },
      }),
    })
    const stream = readerOf(response)
    await stream.until('sampling/createMessage')
    expect((await post({ id: 'question', result: { role: 'assistant' } })).status).toBe(202)
    const [progress, question, result] = events(await stream.rest())
    expect(progress).toMatchObject({ method: 'notifications/progress', params: { progressToken: 9 } })
    expect(question).toMatchObject({ id: 'question', params: { extra: 1 } })
    expect(result).toMatchObject({ id: 5, result: { answer: { role: 'assistant' } } })
    expect((await send(gateway, '/mcp/server/one', { method: 'DELETE', headers })).status).toBe(200)
    expect((await post({ id: 6, method: 'ping' })).status).toBe(404)
  })

  it('a disconnect does not cancel; the client resumes and gets the rest', async () => {
    const { headers, post } = await openSession(gateway, '/mcp/server/one', { sampling: {} })
    const controller = new AbortController()
    const response = await fetch(`${gateway.url}/mcp/server/one`, {
      method: 'POST',
      headers,
      signal: controller.signal,
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 5,
        method: 'tools/call',
        params: { name: 'ask', _meta: { progressToken: 9 } },
      }),
    })
    const reader = response.body?.getReader()
    let seen = ''
    while (!seen.includes('notifications/progress')) seen += new TextDecoder().decode((await reader?.read())?.value)
    const lastEventId = /id: (\S+)\nevent: message\ndata: [^\n]*progress/.exec(seen)?.[1] ?? ''
    controller.abort()
    const resumed = readerOf(
      await fetch(`${gateway.url}/mcp/server/one`, { headers: { ...headers, 'last-event-id': lastEventId } }),
    )
    await resumed.until('sampling/createMessage')
    await post({ id: 'question', result: { late: true } })
    expect(events(await resumed.rest())).toMatchObject([
      { id: 'question' },
      { id: 5, result: { answer: { late: true } } },
    ])
  })

  it('a cancellation reaches the server, and the request is not answered', async () => {
    const { headers, post } = await openSession(gateway, '/mcp/server/one')
    const slow = fetch(`${gateway.url}/mcp/server/one`, { method: 'POST', headers, body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}' }) // prettier-ignore
    await post({ id: 2, method: 'ping' })
    await post({ method: 'notifications/cancelled', params: { requestId: 1, reason: 'enough' } })
    expect(events(await (await slow).text())).toEqual([])
    const answer = await post({ id: 3, method: 'test/seen' })
    expect(answer.json()['result']).toMatchObject({ seen: expect.arrayContaining(['notifications/cancelled']) })
  })
})

describe('all servers', () => {
  it('lists what both eras offer under server__name; one broken server hides no other', async () => {
    const modernList = await send(gateway, '/mcp', modern('tools/list'))
    const { post } = await openSession(gateway, '/mcp')
    const legacyList = await post({ id: 1, method: 'tools/list' })
    for (const list of [modernList, legacyList]) {
      const { tools } = list.json()['result'] as { tools: { name: string }[] }
      expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['one__echo', 'two__echo']))
      expect(tools).toContainEqual(expect.objectContaining({ name: 'one__echo', 'x-unknown': { kept: true } }))
      expect(tools.every(({ name }) => name.length <= 64)).toBe(true)
    }
  })

  it('routes tools, shortened names, prompts, resources and completions', async () => {
    const { post } = await openSession(gateway, '/mcp')
    const { tools } = (await post({ id: 1, method: 'tools/list' })).json()['result'] as { tools: { name: string }[] }
    const shortened = tools.find(({ name }) => name.startsWith('two__a-tool'))?.name
    expect(shortened).toHaveLength(64)
    const long = await post({
      id: 2,
      method: 'tools/call',
      params: { name: shortened, arguments: { message: 'long' } },
    })
    expect(long.json()['result']).toMatchObject({ received: { name: 'a-tool-whose-name-is-so-long-that-it-does-not-fit-behind-a-prefix' } }) // prettier-ignore
    const link = await post({ id: 3, method: 'tools/call', params: { name: 'one__link' } })
    expect(link.json()['result']).toMatchObject({ content: [{ uri: 'one+test://one' }] })
    const read = await post({ id: 4, method: 'resources/read', params: { uri: 'one+test://one' } })
    expect(read.json()['result']).toEqual({ contents: [{ uri: 'one+test://one', text: 'content' }] })
    const templates = await post({ id: 5, method: 'resources/templates/list' })
    expect(templates.json()['result']).toMatchObject({ resourceTemplates: [{ uriTemplate: 'one+test://{id}' }, { uriTemplate: 'two+test://{id}' }] }) // prettier-ignore
    const prompt = await post({ id: 6, method: 'prompts/get', params: { name: 'two__hello' } })
    expect(prompt.json()['result']).toMatchObject({ messages: [{ content: { text: 'hello' } }] })
    const completion = await post({ id: 7, method: 'completion/complete', params: { ref: { type: 'ref/prompt', name: 'two__hello' }, argument: {} } }) // prettier-ignore
    expect(completion.json()['result']).toEqual({ completion: { values: ['{"type":"ref/prompt","name":"hello"}'] } })
  })

  it('gives questions of two servers ids of its own and brings the answers to the right one', async () => {
    const { headers, post } = await openSession(gateway, '/mcp', { sampling: {} })
    const ask = (id: number, name: string) =>
      fetch(`${gateway.url}/mcp`, { method: 'POST', headers, body: JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name } }) }) // prettier-ignore
    const [one, two] = await Promise.all([ask(1, 'one__ask'), ask(2, 'two__ask')])
    const read = async (response: Response) => {
      const reader = response.body?.getReader()
      let text = ''
      for (let id: string | undefined; ;) {
        const next = await reader?.read()
        if (next === undefined || next.done) return events(text)
        text += new TextDecoder().decode(next.value)
        const question = events(text).find((event) => event.method === 'sampling/createMessage')
        if (question !== undefined && id === undefined) {
          id = question.id as string
          await post({ id, result: { answered: id } })
        }
      }
    }
    const [first, second] = await Promise.all([read(one), read(two)])
    expect(first.at(-1)).toMatchObject({ id: 1, result: { answer: { answered: expect.stringMatching(/^one-/) } } })
    expect(second.at(-1)).toMatchObject({ id: 2, result: { answer: { answered: expect.stringMatching(/^two-/) } } })
  })
})

it('stops without waiting for open streams, and lets running calls end', async () => {
  const own = await gatewayWith({ auth: KEYS, servers: [echoServer('one')] })
  const { headers, post } = await openSession(own, '/mcp/server/one', { sampling: {} })
  const stream = await fetch(`${own.url}/mcp/server/one`, { headers })
  const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask"}}'
  // Its headers come with the question.
  const answer = await fetch(`${own.url}/mcp/server/one`, { method: 'POST', headers, body: call })
  const running = answer.text()
  const from = Date.now()
  const closed = own.close()
  const refused = await send(own, '/mcp/server/one', modern('ping'))
  expect(refused.json()).toMatchObject({ error: { data: { code: 'GATEWAY_STOPPING' } } })
  await post({ id: 'question', result: { still: 'heard' } })
  await closed
  expect(Date.now() - from).toBeLessThan(4000)
  expect(await stream.text()).toContain('id: 0_0')
  expect(await running).toContain('"still":"heard"')
})

describe('REST', () => {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
  it('calls a tool; what the tool reports as an error is a result', async () => {
    const body = JSON.stringify({ arguments: { message: 'hello' } })
    const answer = await send(gateway, '/api/servers/one/tools/echo', { headers, body })
    expect(answer.json()).toMatchObject({ content: [{ type: 'text', text: 'hello' }] })
    const failed = await send(gateway, '/api/servers/one/tools/fail', { headers, body })
    expect(failed).toMatchObject({ status: 200 })
    expect(failed.json()).toMatchObject({ isError: true })
  })
  it('cancels at the server when its client leaves', async () => {
    const controller = new AbortController()
    const url = `${gateway.url}/api/servers/two/tools/slow`
    const call = fetch(url, { method: 'POST', headers, body: '{}', signal: controller.signal })
    await send(gateway, '/mcp/server/two', modern('ping'))
    setTimeout(() => controller.abort(), 100)
    await expect(call).rejects.toThrow()
    await expect
      .poll(async () => (await send(gateway, '/mcp/server/two', modern('test/seen'))).json()['result'])
      .toMatchObject({ seen: expect.arrayContaining(['notifications/cancelled']) })
  })
  it('shows the servers, one server and its tools', async () => {
    const list = await send(gateway, '/api/servers', { method: 'GET', headers })
    expect(list.json()['servers']).toMatchObject([{ id: 'one', transport: 'stdio', status: 'ready', era: 'modern' }, { id: 'two' }, { id: 'broken' }]) // prettier-ignore
    expect((await send(gateway, '/api/servers/one', { method: 'GET', headers })).json()).toMatchObject({
      protocolVersion: '2026-07-28',
    })
    const { tools } = (await send(gateway, '/api/servers/one/tools', { method: 'GET', headers })).json() as { tools: object[] } // prettier-ignore
    expect(tools).toHaveLength(14)
  })
  it('describes itself in OpenAPI 3.1, MCP paths included', async () => {
    const document = (await send(gateway, '/openapi.json', { method: 'GET' })).json()
    expect(document['openapi']).toBe('3.1.0')
    expect(Object.keys(document['paths'] as object)).toEqual(
      expect.arrayContaining(['/health', '/live', '/ready', '/mcp', '/mcp/server/{id}', '/api/servers', '/api/servers/{id}', '/api/servers/{id}/tools', '/api/servers/{id}/tools/{name}']), // prettier-ignore
    )
  })
  it('answers the probes without credentials', async () => {
    for (const path of ['/health', '/live', '/ready']) {
      expect(await send(gateway, path, { method: 'GET' })).toMatchObject({ status: 200 })
    }
  })
})
