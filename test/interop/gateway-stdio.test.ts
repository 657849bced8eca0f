// Acceptance: every client that can start a command lists and calls the same tools through the gateway's stdio bridge.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { cliCommand, cliSource, type Gateway, startGateway, writeConfig } from '../support/gateway.ts'
import { processesWith } from '../support/processes.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { clients, type StdioEndpoint } from './clients.ts'
import { referenceServers } from './upstreams.ts'

const key = 'gw_test_0123456789abcdef0123456789abcdef'
const upstreams = referenceServers()
const home = scratchDirectory()
const overStdio = clients.filter(({ kinds }) => kinds.includes('stdio'))
let gateway: Gateway

beforeAll(async () => {
  gateway = await startGateway(cliSource, {
    auth: { type: 'api-key', keys: [{ id: 't', key, name: 't', consumerId: 't', roles: ['admin'] }] },
    servers: upstreams.servers,
  })
})

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]()
  upstreams[Symbol.dispose]()
  home[Symbol.dispose]()
})

/** Port 0 belongs to nobody, so this bridge never finds a gateway that happens to run on the machine. */
function bridgeOfItsOwn(): StdioEndpoint {
  const config = writeConfig(home.path, { port: 0, auth: { type: 'none' }, servers: upstreams.servers })
  return { kind: 'stdio', ...cliCommand(cliSource, 'stdio', '--config', config) }
}

function bridgeToRunning(): StdioEndpoint {
  return { kind: 'stdio', ...cliCommand(cliSource, 'stdio', '--url', gateway.origin, '--key', key) }
}

describe.each([
  { bridge: 'a bridge with a gateway of its own', open: bridgeOfItsOwn },
  { bridge: 'a bridge to a running gateway', open: bridgeToRunning },
])('through $bridge', ({ open }) => {
  test.each(overStdio)('$name lists and calls the tools of all three servers', async (client) => {
    await using connection = await client.connect({ endpoint: open(), home: home.path })
    const names = await connection.listTools()
    expect(names).toEqual(expect.arrayContaining(upstreams.cases.map(({ server, tool }) => `${server}__${tool}`)))
    for (const { server, tool, args, answer } of upstreams.cases) {
      expect(await connection.callTool(`${server}__${tool}`, args)).toContain(answer)
    }
  })
})

test('no bridge and no gateway leaves a server process behind', async () => {
  await gateway[Symbol.asyncDispose]()
  await expect.poll(() => processesWith(upstreams.marker), { timeout: 5_000 }).toEqual([])
})
