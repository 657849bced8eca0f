import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { freePort } from '../../../test/support/free-port.ts'
import { everything, folder, type Folder, type RunOptions } from './cli.ts'

type Report = {
  readonly code: number | null
  readonly ok: boolean
  readonly checks: readonly {
    readonly id: string
    readonly status: string
    readonly message: string
    readonly mend?: string
  }[]
}

const doctor = async (dir: Folder, options?: RunOptions): Promise<Report> => {
  const { code, stdout } = await dir.run(['doctor', '--json'], options)
  return { code, ...(JSON.parse(stdout) as Omit<Report, 'code'>) }
}

const good = { id: 'good', command: 'node', args: [everything, 'stdio'] }
const keys = [{ id: 'a', key: `sha256:${'0'.repeat(64)}`, consumerId: 'a' }]

describe('doctor', () => {
  test('finds nothing wrong where nothing is', async () => {
    using dir = folder()
    dir.write('gateway.yaml', { port: await freePort(), auth: { keys }, servers: [good] })
    const { code, ok, checks } = await doctor(dir)
    expect({ code, ok }).toEqual({ code: 0, ok: true })
    expect(checks.map(({ id, status }) => `${id} ${status}`)).toEqual([
      'node ok',
      'config ok',
      'keys ok',
      'port ok',
      'server:good ok',
    ])
  })

  test('says what is wrong with each part and how to mend it', async () => {
    using dir = folder()
    const port = await freePort()
    const other = createServer((socket) => socket.end('220 smtp\r\n')).listen(port, '127.0.0.1')
    await once(other, 'listening')
    dir.write('gateway.yaml', {
      port,
      auth: {
        keys: [
          { ...keys[0], enabled: false },
          { id: 'b', key: `gw_${'p'.repeat(43)}`, consumerId: 'b', expiresAt: 1 },
        ],
      },
      servers: [
        good,
        { id: 'missing', command: 'no-such-program-anywhere' },
        { id: 'crashes', command: 'node', args: ['-e', 'process.exit(7)'] },
        { id: 'away', url: 'http://127.0.0.1:1/mcp' },
        { id: 'off', command: 'no-such-program-anywhere', enabled: false },
      ],
    })
    const { code, ok, checks } = await doctor(dir)
    other.close()
    expect({ code, ok }).toEqual({ code: 1, ok: false })
    expect(checks.map(({ id, status }) => `${id} ${status}`)).toEqual([
      'node ok',
      'config ok',
      'keys failed',
      'keys warning',
      'port failed',
      'server:good ok',
      'server:missing failed',
      'server:crashes failed',
      'server:away failed',
    ])
    expect(checks.map(({ mend }) => mend)).toEqual([
      undefined,
      undefined,
      'mcp-gateway keys create "My Agent" agent-1',
      expect.stringContaining('remove the plain one'),
      expect.stringContaining(`lsof -i :${port}`),
      undefined,
      'There is no program "no-such-program-anywhere": install it or give its path.',
      'Run "node" by hand, as the configuration has it, to see what it says.',
      'Is http://127.0.0.1:1 reachable from here, and are the headers right?',
    ])
  })

  test('names the variables that are not set', async () => {
    using dir = folder()
    dir.write('gateway.yaml', { servers: [{ id: 'a', url: '${URL}', headers: { A: '${TOKEN}' } }] })
    const { code, checks } = await doctor(dir)
    expect(code).toBe(1)
    expect(checks[1]).toMatchObject({ status: 'failed', mend: 'Set what is missing: export URL=…; export TOKEN=…' })
  })

  test('without a configuration says how to make one', async () => {
    using dir = folder()
    const { code, stdout } = await dir.run(['doctor'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^ok +Node 2\d/)
    expect(stdout).toMatch(/^FAILED +there is no gateway.yaml here\n +→ Make one with `mcp-gateway init`/m)
  })
})
