// A new configuration takes effect while calls are running, and none of them notices (acceptance 5 of issue 3).
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeEach, describe, expect, it } from 'vitest'

import { freePort } from '../support/free-port.ts'
import { cliCommand, cliSource } from '../support/gateway.ts'
import { processesWith, start } from '../support/processes.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { AUTH, startGatewayProcess } from './gateway-process.ts'
import { closeConnections, modernRequest, type Reply } from './mcp-client.ts'
import { startLoad } from './reload-load.ts'

/** `FAULT_RELOADS=20` for a look; the acceptance says 200. */
const RELOADS = Number(process.env['FAULT_RELOADS'] ?? 200)
let marker = ''
const program = fileURLToPath(new URL('fault-server.ts', import.meta.url))
const server = (id: string, more: object = {}, ...args: string[]): object => ({
  id,
  command: process.execPath,
  args: [program, marker, ...args],
  ...more,
})

/** `kept` never changes, `slower` gets another timeout, `changes` other arguments every time, `comes` comes and goes. */
function configOf(revision: number): { readonly servers: readonly object[]; readonly log: object } {
  const servers = [
    server('kept'),
    server('slower', { timeout: 20_000 + revision }),
    server('changes', {}, `revision-${revision}`),
    ...(hasComes(revision) ? [server('comes')] : []),
  ]
  // The order is nobody's business either.
  return { servers: revision % 3 === 0 ? servers : servers.toReversed(), log: { level: 'warn' } }
}

const hasComes = (revision: number): boolean => revision % 2 === 0

beforeEach(({ task }) => {
  marker = `reload-${process.pid}-${task.id}`
})

afterAll(closeConnections)

describe('reloading', () => {
  it(
    `${RELOADS} times under load fails no call but those on a removed server`,
    { timeout: 120_000 },
    async ({ signal }) => {
      await using gateway = await startGatewayProcess(configOf(0))
      const call = async (id: string, name: string): Promise<Reply> =>
        (await modernRequest(gateway.port, `/mcp/server/${id}`, 'tools/call', { name, arguments: { text: 'well' } }))
          .reply
      await using load = startLoad(gateway.port, ['kept', 'slower', 'changes', 'comes'])
      for (let revision = 1; revision <= RELOADS; revision += 1) {
        // After a timeout nobody waits for the rest, and the next test should not have to.
        signal.throwIfAborted()
        await gateway.reload(configOf(revision))
        const { error } = await call('comes', 'echo')
        expect(error?.data?.code).toBe(hasComes(revision) ? undefined : 'GATEWAY_UNKNOWN_SERVER')
      }
      const problems = await load.stop()
      if (process.env['FAULT_FIGURES'] !== undefined)
        console.log(`${load.calls()} calls, ${problems.filter((p) => p.server !== 'comes').length} failed`)
      const unexpected = problems.filter((problem) => problem.server !== 'comes')
      expect(unexpected, JSON.stringify(unexpected.slice(0, 5))).toEqual([])
      // It has been there half of the time, so it was called, and it was gone the other half.
      expect(problems.length).toBeGreaterThan(0)
      expect(load.calls()).toBeGreaterThan(RELOADS * 10)

      expect((await call('changes', 'arguments')).result).toMatchObject({
        content: [{ text: `${marker} revision-${RELOADS}` }],
      })
      // What was replaced has ended: at most one process a server, and none of an older revision.
      const old = (): string[] =>
        processesWith(marker)
          .map(({ commandLine }) => commandLine)
          .filter((line) => line.includes('revision-') && !line.endsWith(`revision-${RELOADS}`))
      await expect.poll(old, { timeout: 10_000 }).toEqual([])
      await gateway.close()
      expect(processesWith(marker)).toEqual([])
    },
  )

  it('an unchanged server keeps its process, and a call in flight on a removed one ends well', async () => {
    const pids = (): number[] => processesWith(marker).map(({ pid }) => pid)
    await using gateway = await startGatewayProcess({ servers: [server('kept'), server('comes')] })
    const call = (id: string, name: string, args: object) =>
      modernRequest(gateway.port, `/mcp/server/${id}`, 'tools/call', { name, arguments: args })
    await call('kept', 'echo', {})
    const before = pids()
    const slow = call('comes', 'slow', { ms: 1000, text: 'to the end' })
    await expect.poll(() => pids().length).toBe(before.length + 1)
    // The child is there before the call has reached it; one more exchange in the same pipe is behind it.
    await call('comes', 'echo', {})
    await gateway.reload({ servers: [server('kept')] })
    expect((await slow).reply.result).toMatchObject({ content: [{ text: 'to the end' }] })
    await expect.poll(pids).toEqual(before)
  })

  it('a file that is wrong changes nothing, and the log says why and where', async () => {
    using scratch = scratchDirectory()
    const file = join(scratch.path, 'gateway.yaml')
    const write = (servers: object[]): void => writeFileSync(file, JSON.stringify({ auth: AUTH, servers }, null, 2))
    write([server('kept')])
    const port = await freePort()
    await using cli = start({
      ...cliCommand(cliSource, 'serve', '--config', file, '--port', String(port)),
      env: { HOME: scratch.path },
      cwd: scratch.path,
    })
    const outcome = async (id: string): Promise<string | undefined> => {
      const call = { name: 'echo', arguments: { text: 'well' } }
      const { reply } = await modernRequest(port, `/mcp/server/${id}`, 'tools/call', call)
      return reply.error === undefined ? 'served' : reply.error.data?.code
    }
    await expect.poll(() => outcome('kept').catch(String), { timeout: 20_000 }).toBe('served')

    // The mistake is in the third line.
    writeFileSync(file, 'servers:\n  - id: kept\n    comand: node\n')
    await cli.matches(/(?:yaml:3\b|"line":3\b)[^\n]*comand/, 10_000)
    expect(await outcome('kept')).toBe('served')

    write([server('kept'), server('comes')])
    await expect.poll(() => outcome('comes'), { timeout: 10_000 }).toBe('served')
    expect(await outcome('kept')).toBe('served')
    expect(cli.hasEnded()).toBe(false)
  })
})
