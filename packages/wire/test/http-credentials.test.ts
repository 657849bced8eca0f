// An `authorization` that changes while the connection lives, at a server that says which it takes.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createHttpUpstream, handshake, outcome, type Credentials } from '@mcp-gateway/wire'
import { afterEach, describe, expect, it } from 'vitest'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function serve(answer: (authorization: string | undefined, res: ServerResponse) => void) {
  const seen: (string | undefined)[] = []
  const server = createServer((req, res) => {
    req.resume().on('end', () => {
      seen.push(req.headers.authorization)
      answer(req.headers.authorization, res)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  )
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp` }
}

/** `Bearer t1`, and after a refusal the next. */
function counting() {
  let current = 1
  const credentials: Credentials = {
    get: async () => `Bearer t${current}`,
    refused: (value) => void (value === `Bearer t${current}` && (current += 1)),
  }
  return credentials
}

function connect(url: string, credentials: Credentials) {
  const upstream = createHttpUpstream({ url, credentials, onMessage: () => undefined, onDiagnostic: () => undefined })
  closers.push(() => upstream[Symbol.asyncDispose]())
  return upstream
}

const call = { jsonrpc: '2.0', id: 'a', method: 'tools/call', params: { name: 'x' } } as const
const done = (res: ServerResponse) => res.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{"done":true}}') // prettier-ignore

describe('credentials of an HTTP upstream', () => {
  it('are asked for at each request, and once more after a 401', async () => {
    const { seen, url } = await serve((given, res) =>
      given === 'Bearer t2' ? done(res) : res.writeHead(401).end('no'),
    )
    const upstream = connect(url, counting())
    expect(await outcome(upstream, call)).toMatchObject({ result: { done: true } })
    await outcome(upstream, call)
    expect(seen).toEqual(['Bearer t1', 'Bearer t2', 'Bearer t2'])
  })

  it('a second 401 is the end, whatever its body says', async () => {
    const { seen, url } = await serve((_, res) => {
      const challenge = { 'content-type': 'application/json', 'www-authenticate': 'Bearer error="invalid_token"' }
      res.writeHead(401, challenge).end('{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"t2"}}')
    })
    const upstream = connect(url, counting())
    await expect(outcome(upstream, call)).rejects.toMatchObject({
      code: 'WIRE_UPSTREAM_UNAUTHORIZED',
      message: expect.not.stringContaining('t2'),
    })
    expect(seen).toEqual(['Bearer t1', 'Bearer t2'])
    expect(upstream.load().calls).toBe(0)
  })

  it('without any, a server that refuses the probe so is asked for its era the other way', async () => {
    const result = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'x', version: '1' } }
    const server = createServer((req, res) => {
      void text(req).then((body) => {
        const knows = body.includes('"initialize"')
        res.writeHead(knows ? 200 : body.includes('"id"') ? 401 : 202, { 'content-type': 'application/json' })
        res.end(knows ? JSON.stringify({ jsonrpc: '2.0', id: 2, result }) : '')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closers.push(
      () => server.close(),
      () => server.closeAllConnections(),
    )
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
    const upstream = createHttpUpstream({ url, onMessage: () => undefined, onDiagnostic: () => undefined })
    closers.push(() => upstream[Symbol.asyncDispose]())
    expect(await handshake(upstream, { clientInfo: { name: 'test', version: '1' } })).toMatchObject({ era: 'legacy' })
    await expect(outcome(upstream, call)).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_REFUSED' })
  })

  it('a handshake ends with the refusal, and asks for nothing else', async () => {
    const { seen, url } = await serve((_, res) => res.writeHead(401).end())
    const shaken = handshake(connect(url, counting()), { clientInfo: { name: 'test', version: '1' } })
    await expect(shaken).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_UNAUTHORIZED' })
    expect(seen).toHaveLength(2)
  })

  it('when there are none nothing is sent, and the connection goes on', async () => {
    const { seen, url } = await serve((_, res) => done(res))
    const none = new Error('the token endpoint is down')
    let isDown = true
    const upstream = connect(url, {
      get: () => (isDown ? Promise.reject(none) : Promise.resolve('Bearer t')),
      refused: () => undefined,
    })
    await expect(outcome(upstream, call)).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_CREDENTIALS', cause: none })
    expect(seen).toEqual([])
    isDown = false
    expect(await outcome(upstream, call)).toMatchObject({ result: { done: true } })
  })

  it.each([301, 302, 307, 308])('do not follow a %d to another origin', async (status) => {
    const elsewhere = await serve((_, res) => done(res))
    const { seen, url } = await serve((_, res) => res.writeHead(status, { location: elsewhere.url }).end())
    await expect(outcome(connect(url, counting()), call)).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_REFUSED' })
    expect([seen, elsewhere.seen]).toEqual([['Bearer t1'], []])
  })

  it('are not in an error of a server that repeats them', async () => {
    const { url } = await serve((given, res) => res.writeHead(500).end(`bad: ${given}`))
    const message = 'the server answered HTTP 500: bad: Bearer [REDACTED]'
    await expect(outcome(connect(url, counting()), call)).rejects.toMatchObject({ message })
  })
})
