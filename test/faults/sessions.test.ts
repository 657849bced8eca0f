// Legacy sessions that come and go leave nothing behind (acceptance 3 of issue 3).
import { fileURLToPath } from 'node:url'

import { afterAll, expect, it } from 'vitest'

import { processesWith } from '../support/processes.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts'
import { closeConnections, LEGACY, openSession, replyOf } from './mcp-client.ts'
import { npxServer } from './npx-server.ts'

/** `FAULT_SESSIONS=30` for a look. The acceptance says 1,000; a few kilobytes left by each show only with more. */
const SESSIONS = Number(process.env['FAULT_SESSIONS'] ?? 5000)
const CONCURRENCY = 16
const ROUNDS = 10
const MAX_GROWTH = 1.1

const marker = `sessions-${process.pid}-${Date.now()}`
const program = fileURLToPath(new URL('fault-server.ts', import.meta.url))
const scratch = scratchDirectory()

afterAll(() => {
  closeConnections()
  scratch[Symbol.dispose]()
})

it(
  `${SESSIONS} legacy sessions over three servers leave no process and no memory behind`,
  { timeout: 600_000 },
  async () => {
    const direct = (era: string): object => ({
      id: era,
      command: process.execPath,
      args: [program, '--era', era, marker],
    })
    const gateway = await startGatewayProcess({
      servers: [direct('legacy'), direct('modern'), npxServer('by-npx', scratch.path, marker)],
      log: { level: 'warn' },
    })
    const resident: number[] = []
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        await comeAndGo(gateway, Math.ceil(SESSIONS / ROUNDS))
        resident.push(await gateway.settledBytes())
      }
      if (process.env['FAULT_FIGURES'] !== undefined)
        console.log(resident.map((bytes) => Math.round(bytes / 1e6)).join(' '))
      // The test means nothing if the programs it looks for can't be found while they should be there.
      const session = await openSession(gateway.port, '/mcp/server/by-npx')
      if (process.platform === 'linux') expect(processesWith(marker).length).toBeGreaterThanOrEqual(3)
      await session.end()
    } finally {
      await gateway.close()
    }
    expect(processesWith(marker)).toEqual([])

    // The first round compiles the code and fills the caches.
    const [, ...warm] = resident
    const half = Math.floor(warm.length / 2)
    expect(median(warm.slice(half))).toBeLessThan(MAX_GROWTH * median(warm.slice(0, half)))
  },
)

async function comeAndGo(gateway: GatewayProcess, count: number): Promise<void> {
  const paths = ['/mcp/server/legacy', '/mcp/server/modern', '/mcp/server/by-npx', '/mcp']
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      const path = paths[next % paths.length] as string
      next += 1
      const session = await openSession(gateway.port, path)
      expect(replyOf(session.opened)).toMatchObject({ result: { protocolVersion: LEGACY } })
      const listed = await session.post('{"jsonrpc":"2.0","id":"list","method":"tools/list"}')
      expect(listed.texts.at(-1)).toContain('echo')
      expect((await session.end()).status).toBe(200)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
