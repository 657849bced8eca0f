// A large file is no large start: only what is used runs (acceptance 3 of issue 3).
import { fileURLToPath } from 'node:url'

import { afterAll, expect, it } from 'vitest'

import { processesWith } from '../support/processes.ts'
import { startGatewayProcess } from './gateway-process.ts'
import { closeConnections, modernRequest } from './mcp-client.ts'

const SERVERS = 5000
/** The acceptance names a time. A machine that is slower than it had in mind says by how much. */
const MAX_START_MS = 2000 * Number(process.env['CI_SLOWNESS'] ?? 1)

const marker = `many-${process.pid}-${Date.now()}`
const program = fileURLToPath(new URL('fault-server.ts', import.meta.url))

afterAll(closeConnections)

it(`${SERVERS} configured servers start in under 2 s, and only the used ones run`, async () => {
  const servers = Array.from({ length: SERVERS }, (_, at) => ({
    id: `server-${at}`,
    command: process.execPath,
    args: [program, marker, `number-${at}`],
  }))
  await using gateway = await startGatewayProcess({ servers, log: { level: 'warn' } })
  if (process.env['FAULT_FIGURES'] !== undefined) console.log(`started in ${gateway.startMs} ms`)
  expect(gateway.startMs).toBeLessThan(MAX_START_MS)
  expect(processesWith(marker)).toEqual([])

  for (const at of [0, 2500, 4999]) {
    const call = { name: 'echo', arguments: { text: 'well' } }
    const { reply } = await modernRequest(gateway.port, `/mcp/server/server-${at}`, 'tools/call', call)
    expect(reply.result).toMatchObject({ content: [{ text: 'well' }] })
  }
  if (process.platform === 'linux') {
    const running = processesWith(marker).map(({ commandLine }) => /number-\d+/.exec(commandLine)?.[0])
    expect(new Set(running)).toEqual(new Set(['number-0', 'number-2500', 'number-4999']))
  }
  await gateway.close()
  expect(processesWith(marker)).toEqual([])
})
