// A start that fails leaves nothing open: whoever tries again in the same process finds what it would have found.
import { mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { entriesIn, folder } from './ledger-support.ts'
import { parseConfig } from '@mcp-gateway/gateway'
import { echoServer, gatewayWith, KEYS, modern, send } from './support.ts'

const FDS = '/proc/self/fd'
/** Files of this process that are open below a folder. */
function openBelow(path: string): string[] {
  const files = readdirSync(FDS).map((fd) => {
    try {
      return readlinkSync(join(FDS, fd))
    } catch {
      // The listing itself was one of them.
      return ''
    }
  })
  return files.filter((file) => file.startsWith(path))
}

const wallets = { chains: [{ id: 8453 }], operators: [], others: { roles: ['guest'] } }
const withWallets = { publicUrl: 'http://127.0.0.1:3100', auth: { ...KEYS, wallets } }

type Row = readonly [what: string, breakIt: (path: string) => object, message: RegExp]
const rows: readonly Row[] = [
  [
    'the database of the authentication is none',
    (path) => {
      writeFileSync(join(path, 'gateway.db'), 'this is not a database')
      return withWallets
    },
    /not a database/,
  ],
  [
    'the secret of the sessions cannot be read',
    (path) => {
      mkdirSync(join(path, 'session.key'))
      return withWallets
    },
    /EISDIR/,
  ],
  ['the certificate is not there', (path) => ({ auth: KEYS, tls: { cert: join(path, 'no'), key: join(path, 'no') } }), /ENOENT/], // prettier-ignore
]

it.skipIf(process.platform !== 'linux').for(rows)('%s: nothing is left open', async ([, breakIt, message]) => {
  using place = folder()
  const config = breakIt(place.path)
  await expect(gatewayWith({ servers: [echoServer('one')], ...config }, place.database)).rejects.toThrow(message)
  expect(openBelow(place.path)).toEqual([])
})

it('a reload that fails changes nothing', async () => {
  using place = folder()
  const quotas = { maxCallsPerDay: 100 }
  await using gateway = await gatewayWith({ servers: [echoServer('one')], auth: KEYS, quotas }, place.database)
  const call = () => send(gateway, '/mcp/server/one', modern('tools/call', { name: 'echo' }))
  await call()
  mkdirSync(join(place.path, 'session.key'))
  const policies = [{ id: 'nobody', roles: ['all'], rules: [{ server: '*', tool: '*', action: 'deny' }] }]
  const rateLimit = { enabled: false, redis: 'redis://127.0.0.1:1' }
  const next = { ...withWallets, servers: [echoServer('two')], policies, quotas, rateLimit, port: 0, log: { level: 'silent' } } // prettier-ignore
  await expect(gateway.reload(parseConfig(JSON.stringify(next), { env: {} }))).rejects.toThrow(/EISDIR/)
  expect((await call()).json()).toMatchObject({ result: { content: [{ type: 'text' }] } })
  expect((await send(gateway, '/mcp/server/two', modern('tools/list'))).status).toBe(404)
})

it.skipIf(process.platform !== 'linux')(
  'the port is taken: nothing is left open, and nothing is said in the log',
  async () => {
    using place = folder()
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const start = () => gatewayWith({ ...withWallets, servers: [echoServer('one')], port }, place.database)
    await expect(start()).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect(openBelow(place.path)).toEqual([])
    taken.close()
    await once(taken, 'close')
    await (await start()).close()
    expect(openBelow(place.path)).toEqual([])
    expect((await entriesIn(place.audit)).map(({ type }) => type)).toEqual(['gateway.started', 'gateway.stopped'])
  },
)
