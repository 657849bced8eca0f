// What the command line may say. `--only` names parts; without it everything runs.
import { parseArgs } from 'node:util'
import { TARGET_NAMES, targets } from './targets.ts'
import type { TargetName } from './targets.ts'

const EXTRAS = {
  memory: 'resident size over --calls calls',
  'cold-start': 'spawn until /live answers, 10 times',
  lists: 'tools/list on /mcp of 50 servers with 40 tools each',
}

export type Options = {
  readonly help: boolean
  readonly json: boolean
  readonly seconds: number
  readonly repeats: number
  readonly calls: number
  readonly targets: readonly TargetName[]
  readonly memory: boolean
  readonly coldStart: boolean
  readonly lists: boolean
}

export const HELP: string = `Usage: node bench/run.ts [options]        (pnpm bench builds first)

Measures the gateway between its ceiling and its floor: closed loop, every answer checked, 1, 16 and 64 connections.
Server trees run on core 0, the client on core 1. A wrong answer makes the exit code 1; a slow one never does.

  --seconds N   length of one sample (default 3)
  --repeats N   samples per target and number of connections, interleaved; medians are reported (default 3)
  --calls N     calls of the memory run (default 500000; a million says more)
  --only A,B    parts to run: ${[...TARGET_NAMES, ...Object.keys(EXTRAS)].join(', ')}
  --json        the report as JSON on stdout instead of Markdown
  --help        this text

Parts:
${[...TARGET_NAMES.map((name) => [name, targets[name].describe]), ...Object.entries(EXTRAS)]
  .map(([name = '', text = '']) => `  ${name.padEnd(16)}${text}`)
  .join('\n')}
`

export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '3' },
      repeats: { type: 'string', default: '3' },
      calls: { type: 'string', default: '500000' },
      only: { type: 'string' },
    },
  })
  const parts: readonly string[] = [...TARGET_NAMES, ...Object.keys(EXTRAS)]
  const wanted = values.only?.split(',') ?? parts
  const unknown = wanted.find((part) => !parts.includes(part))
  if (unknown !== undefined) throw new TypeError(`--only knows ${parts.join(', ')}, not ${unknown}`)
  return {
    help: values.help,
    json: values.json,
    seconds: positive('seconds', values.seconds),
    repeats: Math.ceil(positive('repeats', values.repeats)),
    calls: Math.ceil(positive('calls', values.calls)),
    targets: TARGET_NAMES.filter((name) => wanted.includes(name)),
    memory: wanted.includes('memory'),
    coldStart: wanted.includes('cold-start'),
    lists: wanted.includes('lists'),
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw new TypeError(`--${name} takes a number above 0, not ${text}`)
  return value
}
