// Acceptance: every client that can start a command lists and calls the same tools through the gateway's stdio bridge.
import { afterAll, describe, expect, test } from 'vitest'

import { cliCommand, cliSource, scratchDirectory, writeConfig } from '../support/gateway.ts'
import { processesWith } from '../support/processes.ts'
import { clients, type StdioEndpoint } from './clients.ts'
import { referenceServers } from './upstreams.ts'

const upstreams = referenceServers()
const home = scratchDirectory()
const config = writeConfig(home.path, { auth: { type: 'none' }, servers: upstreams.servers })
const endpoint: StdioEndpoint = { kind: 'stdio', ...cliCommand(cliSource, 'stdio', '--config', config) }

afterAll(() => {
  upstreams[Symbol.dispose]()
  home[Symbol.dispose]()
})

const overStdio = clients.filter(({ kinds }) => kinds.includes('stdio'))

describe.each(overStdio)('$name through the stdio bridge', (client) => {
  test('lists and calls the tools of all three servers', async () => {
    await using connection = await client.connect({ endpoint, home: home.path })
    const names = await connection.listTools()
    expect(names).toEqual(expect.arrayContaining(upstreams.cases.map(({ server, tool }) => `${server}__${tool}`)))
    for (const { server, tool, args, answer } of upstreams.cases) {
      expect(await connection.callTool(`${server}__${tool}`, args)).toContain(answer)
    }
  })
})

test('leaves no server process behind', async () => {
  await expect.poll(() => processesWith(upstreams.marker), { timeout: 5_000 }).toEqual([])
})
