// The control: every client against the reference servers themselves. What fails here is not the gateway's fault.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { freePort } from '../support/free-port.ts'
import { type Running, start } from '../support/processes.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { clients, type HttpEndpoint } from './clients.ts'
import { everythingMain, referenceServers } from './upstreams.ts'

const upstreams = referenceServers()
const home = scratchDirectory()
let everything: Running
let endpoint: HttpEndpoint

beforeAll(async () => {
  const port = await freePort()
  const args = [everythingMain, 'streamableHttp']
  everything = start({ command: process.execPath, args, env: { PORT: String(port) } })
  await everything.matches(/listening on port/, 15_000)
  endpoint = { kind: 'http', url: `http://127.0.0.1:${port}/mcp`, headers: { Authorization: 'Bearer ignored' } }
})

afterAll(async () => {
  await everything.stop()
  upstreams[Symbol.dispose]()
  home[Symbol.dispose]()
})

describe.each(clients.filter(({ kinds }) => kinds.includes('http')))('$name over HTTP', (client) => {
  test('lists and calls a tool of server-everything', async () => {
    await using connection = await client.connect({ endpoint, home: home.path })
    expect(await connection.listTools()).toContain('echo')
    expect(await connection.callTool('echo', { message: 'hello' })).toBe('Echo: hello')
  })
})

describe.each(clients.filter(({ kinds }) => kinds.includes('stdio')))('$name over stdio', (client) => {
  test.each(upstreams.cases)('lists and calls $tool of server-$server', async ({ server, tool, args, answer }) => {
    const child = upstreams.servers.find(({ id }) => id === server)
    if (child === undefined) throw new Error(`no server ${server}`)
    await using connection = await client.connect({ endpoint: { kind: 'stdio', ...child }, home: home.path })
    expect(await connection.listTools()).toContain(tool)
    expect(await connection.callTool(tool, args)).toContain(answer)
  })
})
