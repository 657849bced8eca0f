// pnpm bench: how fast is the gateway, between what nothing can beat and what its job costs at least?
// See README.md for what each number means.
import { cpus } from 'node:os'
import { measureColdStart } from './cold-start.ts'
import type { ColdStart } from './cold-start.ts'
import { measureLists } from './lists.ts'
import type { Lists } from './lists.ts'
import { measureMemory } from './memory.ts'
import type { Memory } from './memory.ts'
import { HELP, parseOptions } from './options.ts'
import type { Options } from './options.ts'
import { ratiosOf, toMarkdown } from './report.ts'
import type { Report } from './report.ts'
import { canPin, pinClient } from './server.ts'
import { start } from './targets.ts'
import type { Running } from './targets.ts'
import { measureThroughput } from './throughput.ts'
import type { Row } from './throughput.ts'

const say = (text: string): void => console.error(`bench: ${text}`)

async function main(options: Options): Promise<void> {
  if (!canPin) say('taskset or a second core is missing: client and servers share what there is, expect noise')
  pinClient()
  const rows = await rates(options)
  const report: Report = {
    at: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}`,
    node: process.version,
    pinned: canPin,
    seconds: options.seconds,
    repeats: options.repeats,
    rows,
    ratios: ratiosOf(rows),
    memory: options.memory ? [await memory(options)] : [],
    coldStarts: options.coldStart ? await coldStarts() : [],
    lists: options.lists ? [await lists()] : [],
  }
  process.stdout.write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : toMarkdown(report))
  const problem = firstProblem(report)
  if (problem === undefined) return
  say(`a wrong answer: ${problem}`)
  process.exitCode = 1
}

async function rates({ targets, seconds, repeats }: Options): Promise<Row[]> {
  await using resources = new AsyncDisposableStack()
  const running = new Map<string, Running>()
  for (const name of targets) {
    say(`starting ${name}`)
    running.set(name, resources.use(await start(name)))
  }
  return await measureThroughput(running, { seconds, repeats, onSample: say })
}

async function memory({ calls }: Options): Promise<Memory> {
  say(`memory: gateway, ${calls} calls`)
  await using running = await start('gateway')
  return await measureMemory('gateway', running, calls)
}

async function coldStarts(): Promise<ColdStart[]> {
  say('cold start: ceiling, gateway')
  return [await measureColdStart('ceiling'), await measureColdStart('gateway')]
}

async function lists(): Promise<Lists> {
  say('lists: 50 servers on /mcp')
  return await measureLists()
}

function firstProblem({ rows, memory }: Report): string | undefined {
  const samples = rows.flatMap((row) => row.samples)
  return [...samples, ...memory].find((one) => one.wrong > 0)?.firstProblem
}

const options = parseOptions(process.argv.slice(2))
if (options.help) process.stdout.write(HELP)
else await main(options)
