// One row of the fault table, run: what its caller gets, what the next caller gets, what a neighbour felt,
// what stays in memory and what the log says.
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { expect } from 'vitest'

import { findLogLine, type GatewayProcess, peakBytes, resetPeak, startGatewayProcess } from './gateway-process.ts'
import { modernRequest, type Reply } from './mcp-client.ts'
import { allowedP99, type Neighbour, p99Of, problemsOf, startNeighbour } from './neighbour.ts'

export type Fault = {
  readonly title: string
  /** Where it is called; the server's id. */
  readonly server: string
  readonly tool: string
  readonly args?: Readonly<Record<string, unknown>>
  /** What the caller gets: a text in the result, or a failure with one of these stable codes. */
  readonly gives: { readonly text: string | RegExp } | { readonly codes: readonly string[] }
  /** Only where the acceptance names a time. */
  readonly withinMs?: number
  /** What the log says about this server; absent where nothing is wrong. */
  readonly says?: RegExp
  /** A server that can't be started fails the next call as well. */
  readonly next?: 'fails'
  /** How long the neighbour is watched, where the fault itself is the work of several windows. */
  readonly watchMs?: number
  /** What may be resident at the worst moment, more than before. A long line is a few copies of itself. */
  readonly maxPeakBytes?: number
}

const HEALTHY = fileURLToPath(new URL('fault-server.ts', import.meta.url))
const WATCH_MS = 650
const MB = 1024 * 1024
const MAX_SETTLED_BYTES = 150 * MB
const DEFAULT_PEAK_BYTES = 150 * MB

export type FaultBench = {
  readonly gateway: GatewayProcess
  /** Behind the same gateway as the fault. */
  readonly neighbour: Neighbour
  /** Behind a gateway of its own, on the same machine. */
  readonly control: Neighbour
}

export async function runFault(fault: Fault, { gateway, neighbour, control }: FaultBench): Promise<void> {
  const path = `/mcp/server/${fault.server}`
  const echo = () => modernRequest(gateway.port, path, 'tools/call', { name: 'echo', arguments: { text: 'well' } })
  // The server runs, or has failed to, before anything is measured.
  expectEcho(await echo(), fault)
  const [settledBefore, linesBefore] = [await gateway.settledBytes(), gateway.log.length]
  await neighbour.take()
  await sleep(WATCH_MS)
  const before = await neighbour.take()
  await control.take()
  resetPeak(gateway.pid)
  const residentBefore = peakBytes(gateway.pid)

  const from = performance.now()
  const call = { name: fault.tool, arguments: fault.args ?? {} }
  const { reply } = await modernRequest(gateway.port, path, 'tools/call', call)
  const ms = performance.now() - from
  expectOutcome(reply, fault)
  if (fault.withinMs !== undefined) expect(ms).toBeLessThan(fault.withinMs)
  expectEcho(await echo(), fault)
  await sleep(Math.max(0, (fault.watchMs ?? WATCH_MS) - (performance.now() - from)))
  const [during, meanwhile] = [await neighbour.take(), await control.take()]

  const residentAtWorst = peakBytes(gateway.pid)
  const figures = {
    ms,
    p99: { before: p99Of(before), during: p99Of(during), control: p99Of(meanwhile) },
    worst: Math.max(...during.map((sample) => sample.ms)),
    settledBytes: (await gateway.settledBytes()) - settledBefore,
    peakBytes: residentAtWorst && residentBefore && residentAtWorst - residentBefore,
  }
  if (process.env['FAULT_FIGURES'] !== undefined) console.log(fault.title, JSON.stringify(figures))
  expect(problemsOf([...before, ...during])).toEqual([])
  expect(figures.p99.during).toBeLessThanOrEqual(allowedP99(figures.p99.before, figures.p99.control))
  expect(figures.settledBytes).toBeLessThan(MAX_SETTLED_BYTES)
  if (figures.peakBytes !== undefined) {
    expect(figures.peakBytes).toBeLessThan(fault.maxPeakBytes ?? DEFAULT_PEAK_BYTES)
  }
  await expectLog(fault, gateway, linesBefore)
}

/** A gateway with these servers and a healthy one, and beside it a gateway where nothing is wrong. */
export async function startFaultBench(servers: readonly object[]): Promise<FaultBench & AsyncDisposable> {
  const healthy = { id: 'healthy', command: process.execPath, args: [HEALTHY] }
  const [gateway, calm] = await Promise.all([
    startGatewayProcess({ servers: [healthy, ...servers] }),
    startGatewayProcess({ servers: [healthy], log: { level: 'warn' } }),
  ])
  const [neighbour, control] = (await Promise.all(
    [gateway, calm].map(({ port }) => startNeighbour(port, '/mcp/server/healthy')),
  )) as [Neighbour, Neighbour]
  return {
    gateway,
    neighbour,
    control,
    async [Symbol.asyncDispose]() {
      await Promise.all([neighbour, control].map((load) => load[Symbol.asyncDispose]()))
      await Promise.all([gateway, calm].map((started) => started.close()))
    },
  }
}

function expectOutcome(reply: Reply, { gives }: Fault): void {
  if ('text' in gives) return expectText(reply, gives.text)
  expect(reply.result).toBeUndefined()
  expect(reply.error).toMatchObject({ code: expect.any(Number), message: expect.stringMatching(/\S/) })
  expect(gives.codes).toContain(reply.error?.data?.code)
  return undefined
}

function expectEcho({ reply }: { readonly reply: Reply }, { next, gives }: Fault): void {
  if (next === undefined) return expectText(reply, 'well')
  expect('codes' in gives ? gives.codes : []).toContain(reply.error?.data?.code)
  return undefined
}

/** By its length first: a difference in 64 MiB of text is nothing to print. */
function expectText(reply: Reply, expected: string | RegExp): void {
  const [content] = (reply.result?.['content'] ?? []) as { readonly text: string }[]
  if (content === undefined) throw new Error(`no text in ${JSON.stringify(reply).slice(0, 500)}`)
  if (expected instanceof RegExp) return expect(content.text).toMatch(expected)
  expect(content.text).toHaveLength(expected.length)
  expect(content.text === expected || content.text.slice(0, 100)).toBe(true)
  return undefined
}

/** A fault of the start was logged when the server was first called; the others after their call. */
async function expectLog({ says, server, next }: Fault, gateway: GatewayProcess, linesBefore: number): Promise<void> {
  if (says === undefined) return
  const from = next === undefined ? linesBefore : 0
  const found = await findLogLine(gateway, server, says, from)
  const ofServer = gateway.log.slice(from).filter((line) => line['server'] === server)
  expect(found, `the log says of ${server}: ${JSON.stringify(ofServer).slice(0, 2000)}`).toBeDefined()
}
