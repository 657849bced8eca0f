// A legacy server that speaks up as soon as its session is open, before anybody has called anything.
import { afterEach, describe, expect, it } from 'vitest'
import type { RunningGateway } from '@mcp-gateway/gateway'
import { echoServer, gatewayWith, KEYS, modern, openSession, send } from './support.ts'

let gateway: RunningGateway
afterEach(() => gateway.close())

async function start(): Promise<void> {
  const server = echoServer('one') as { args: string[] }
  server.args.push('--legacy', '--asks-roots')
  gateway = await gatewayWith({ auth: KEYS, servers: [server] })
}

describe('a server that asks at once', () => {
  it.each(['/mcp/server/one', '/mcp'])('is answered by the client of the session, on %s', async (path) => {
    await start()
    const { headers, post } = await openSession(gateway, path, { roots: {} })
    // On /mcp a server's session is opened by the first request that needs it.
    const listed = await post({ id: 1, method: 'tools/list' })
    const stop = new AbortController()
    const stream = await fetch(`${gateway.url}${path}`, { headers, signal: stop.signal })
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader()
    // What a server says while a request runs comes with its answer, and otherwise on the session's own stream.
    let seen = listed.text
    while (!seen.includes('roots/list')) {
      const read = await reader?.read()
      if (read?.value === undefined) break
      seen += read.value
    }
    expect(seen).toContain('roots/list')
    expect(seen).toContain('"data":"started"')
    const id = /"id":"([^"]*roots|[^"]*-1)"/.exec(seen)?.[1]
    const roots = { roots: [{ uri: 'file:///home' }] }
    await post({ id, result: roots })
    stop.abort()
    const asked = async () =>
      (await send(gateway, '/mcp/server/one', { headers: await sameSession(), body: '{"jsonrpc":"2.0","id":9,"method":"test/roots"}' })).json() // prettier-ignore
    await expect.poll(asked).toMatchObject({ result: { roots } })
  })

  it('is told soon that there is nobody to ask when only stateless clients are there', async () => {
    await start()
    const capabilities = { 'io.modelcontextprotocol/clientCapabilities': { roots: {} } }
    const ask = () => send(gateway, '/mcp/server/one', modern('test/roots', { _meta: capabilities }))
    await expect
      .poll(async () => (await ask()).json(), { timeout: 5000 })
      .toMatchObject({ result: { roots: { code: -32601 } } })
  })
})

/** Another session that says the same of itself is in front of the same process, which says what it was told. */
async function sameSession(): Promise<Record<string, string>> {
  return (await openSession(gateway, '/mcp/server/one', { roots: {} })).headers
}
