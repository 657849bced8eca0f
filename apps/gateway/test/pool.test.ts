// Who shares a process, how long it lives, how long a call may take, and what is tried twice.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunningGateway } from '@mcp-gateway/gateway'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { echoServer, gatewayWith, KEYS, modern, openSession, send } from './support.ts'

const OTHER_KEY = 'gw_other_0123456789abcdef0123456789abcdef'
const auth = {
  ...KEYS,
  keys: [...KEYS.keys, { id: 'other', key: OTHER_KEY, name: 'other', consumerId: 'other', roles: [] }],
}
const folder = mkdtempSync(join(tmpdir(), 'mcp-gateway-pool-'))
afterAll(() => rmSync(folder, { recursive: true }))

const open: RunningGateway[] = []
afterEach(async () => {
  for (const gateway of open.splice(0)) await gateway.close()
})
async function start(settings: object = {}, ...args: string[]): Promise<RunningGateway> {
  const server = echoServer('one', settings) as { args: string[] }
  server.args.push(...args)
  const gateway = await gatewayWith({ auth, servers: [server] })
  open.push(gateway)
  return gateway
}

type Reply = { result?: { content: { text: string }[] }; error?: { code: number; data: { code: string } } }
const PATH = '/mcp/server/one'

async function call(gateway: RunningGateway, name: string, args = {}, meta = {}, key?: string): Promise<Reply> {
  const request = modern('tools/call', { name, arguments: args, _meta: meta })
  const headers = { ...request.headers, ...(key !== undefined && { authorization: `Bearer ${key}` }) }
  const { text } = await send(gateway, PATH, { ...request, headers })
  const [last] = text.split('\n').filter((line) => line.startsWith('data: {')).slice(-1) // prettier-ignore
  return JSON.parse(last === undefined ? text : last.slice(6)) as Reply
}
const pidOf = async (gateway: RunningGateway, meta = {}, key?: string) =>
  (await call(gateway, 'pid', {}, meta, key)).result?.content[0]?.text
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities'

async function sessionPid(gateway: RunningGateway, capabilities = {}) {
  const { post } = await openSession(gateway, PATH, capabilities)
  const answer = (await post({ id: 1, method: 'tools/call', params: { name: 'pid' } })).json() as Reply
  return answer.result?.content[0]?.text
}

describe('a process is shared', () => {
  it('by the legacy sessions of one caller that told it the same of themselves', async () => {
    const gateway = await start()
    const [first, second, other] = [
      await sessionPid(gateway),
      await sessionPid(gateway),
      await sessionPid(gateway, { roots: {} }),
    ]
    expect(first).toMatch(/^\d+$/)
    expect(second).toBe(first)
    expect(other).not.toBe(first)
  })

  it('by nobody when the server says so', async () => {
    const gateway = await start({ isolation: 'session' })
    expect(await sessionPid(gateway)).not.toBe(await sessionPid(gateway))
  })

  it('by all modern callers of a legacy server that can’t be asked, and by each for itself that can', async () => {
    const gateway = await start({}, '--legacy')
    const common = await pidOf(gateway)
    expect(await pidOf(gateway, {}, OTHER_KEY)).toBe(common)
    const asking = { [CAPABILITIES]: { sampling: {} } }
    const mine = await pidOf(gateway, asking)
    expect(mine).not.toBe(common)
    expect(await pidOf(gateway, asking)).toBe(mine)
    expect(await pidOf(gateway, asking, OTHER_KEY)).not.toBe(mine)
    expect(await pidOf(gateway, { [CAPABILITIES]: { sampling: {}, elicitation: {} } })).not.toBe(mine)
  })
})

describe('a process ends', () => {
  it('when nobody has used it for a while, and starts again when somebody does', async () => {
    const gateway = await start({ idleStop: 100 })
    const before = await pidOf(gateway)
    const isRunning = (): boolean => {
      try {
        return process.kill(Number(before), 0)
      } catch {
        return false
      }
    }
    await expect.poll(isRunning, { timeout: 8000 }).toBe(false)
    expect(await pidOf(gateway)).not.toBe(before)
  })

  it('when it no longer answers a ping', async () => {
    const gateway = await start({ healthInterval: 100, startTimeout: 300, timeout: 200 })
    const before = await pidOf(gateway)
    await call(gateway, 'mute')
    await expect.poll(async () => await pidOf(gateway), { timeout: 8000, interval: 1500 }).toMatch(/^\d+$/)
    expect(await pidOf(gateway)).not.toBe(before)
  })
})

describe('a call', () => {
  const TIMEOUT = { error: { code: -32603, data: { code: 'WIRE_UPSTREAM_TIMEOUT' } } }

  it('may be silent as long as its server, or its tool, allows', async () => {
    const gateway = await start({ timeout: 60_000, tools: { slow: { timeout: 200 } } })
    expect(await call(gateway, 'slow')).toMatchObject(TIMEOUT)
  })

  it('lives on while it makes progress, but not past its maximum', async () => {
    const gateway = await start({ timeout: 400, tools: { pid: { maxTimeout: 0 } } })
    const meta = { progressToken: 'p' }
    expect((await call(gateway, 'steps', { steps: 5 }, meta)).result?.content[0]?.text).toBe('done')
    const strict = await start({ timeout: 400, maxTimeout: 500 })
    expect(await call(strict, 'steps', { steps: 20 }, meta)).toMatchObject(TIMEOUT)
  })

  it.each([
    ['dies-once', false],
    ['dies-once-idempotent', true],
  ])('of %s is tried again after a crash: %s', async (name, isRetried) => {
    const gateway = await start()
    await send(gateway, PATH, modern('tools/list'))
    await send(gateway, '/api/servers/one/tools', { method: 'GET', headers: modern('x').headers })
    await call(gateway, 'echo')
    const reply = await call(gateway, name, { file: join(folder, name) })
    if (isRetried) expect(reply.result?.content[0]?.text).toBe('served')
    else expect(reply).toMatchObject({ error: { data: { code: 'WIRE_UPSTREAM_CLOSED' } } })
    // Either way the next one is served.
    expect((await call(gateway, name, { file: join(folder, name) })).result?.content[0]?.text).toBe('served')
  })
})
