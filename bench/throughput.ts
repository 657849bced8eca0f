// Rates and latencies of all targets side by side. Repeats are interleaved (one round measures every target
// before the next begins), so a loud minute on the machine falls on all of them and the ratios stay true.
import { closedLoop } from './load.ts'
import { machineCpuSeconds, readTree } from './process-tree.ts'
import { median, percentile, spread } from './statistics.ts'
import type { Running } from './targets.ts'

export const CONNECTIONS = [1, 16, 64] as const

/**
 * Long enough for the optimising compiler in the first round. In the later ones for the caches, and for what V8 gave back while the
 * others were measured: after 9 s of rest the gateway makes 60 % of its rate for half a second.
 */
const FIRST_WARM_UP_MS = 2500
const WARM_UP_MS = 1000

/** A share of one core that others may use before a sample counts as disturbed. */
const LOUD = 0.15
const RETAKES = 2

export type Sample = {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU time of the server process per call, without its children: holds up when the machine is busy. */
  readonly cpuUs: number
  readonly rssMb: number
  /** CPU of this process as a share of its core: near 1, the client and not the server set the rate. */
  readonly client: number
  /** CPU that neither the client nor the server tree used, as a share of one core. */
  readonly foreign: number
  readonly wrong: number
  readonly firstProblem: string | undefined
}

export type Row = Omit<Sample, 'firstProblem'> & {
  readonly target: string
  readonly connections: number
  readonly spread: number
  readonly samples: readonly Sample[]
}

export type Plan = { readonly repeats: number; readonly seconds: number; readonly onSample: (text: string) => void }

export async function measureThroughput(running: ReadonlyMap<string, Running>, plan: Plan): Promise<Row[]> {
  const samples = new Map<string, Sample[]>()
  for (let round = 0; round < plan.repeats; round += 1) {
    for (const connections of CONNECTIONS) {
      for (const [target, instance] of running) {
        const warmUpMs = round === 0 ? FIRST_WARM_UP_MS : WARM_UP_MS
        const sample = await takeQuietSample(instance, connections, warmUpMs, plan.seconds * 1000)
        const key = `${target} ${connections}`
        samples.set(key, [...(samples.get(key) ?? []), sample])
        plan.onSample(
          `round ${round + 1}/${plan.repeats}  ${target.padEnd(14)} ${String(connections).padStart(2)} connections  ` +
            `${Math.round(sample.perSecond)}/s${sample.wrong > 0 ? `  ${sample.wrong} WRONG` : ''}`,
        )
      }
    }
  }
  return [...running.keys()].flatMap((target) =>
    CONNECTIONS.map((connections) => summarize(target, connections, samples.get(`${target} ${connections}`) ?? [])),
  )
}

/** Median of the ratios of samples taken side by side; a ratio of medians would compare different minutes. */
export function ratio(row: Row, base: Row): number {
  return median(row.samples.map((sample, round) => sample.perSecond / (base.samples[round]?.perSecond ?? Number.NaN)))
}

/** Takes a sample again while neighbours are loud, and keeps the quietest; a wrong answer is kept whatever else happened. */
async function takeQuietSample(...args: Parameters<typeof takeSample>): Promise<Sample> {
  let quietest = await takeSample(...args)
  for (let retake = 0; retake < RETAKES && quietest.foreign > LOUD && quietest.wrong === 0; retake += 1) {
    const sample = await takeSample(...args)
    if (sample.wrong > 0 || sample.foreign < quietest.foreign) quietest = sample
  }
  return quietest
}

async function takeSample(running: Running, connections: number, warmUpMs: number, measureMs: number): Promise<Sample> {
  const { server, endpoint } = running
  const reading = () => ({
    at: performance.now(),
    tree: readTree(server.pid),
    machine: machineCpuSeconds(),
    own: ownCpuSeconds(),
  })
  const latencies: number[] = []
  let wrong = 0
  let firstProblem: string | undefined
  let from = reading()
  let until = from
  let phase: 'warming' | 'measuring' | 'over' = 'warming'
  const timers = [
    setTimeout(() => {
      from = reading()
      phase = 'measuring'
    }, warmUpMs),
    setTimeout(() => {
      until = reading()
      phase = 'over'
    }, warmUpMs + measureMs),
  ]
  try {
    await closedLoop({
      endpoint,
      connections,
      onAnswer: (latencyUs, problem) => {
        if (problem !== undefined) {
          wrong += 1
          firstProblem ??= problem
        } else if (phase === 'measuring') latencies.push(latencyUs)
        return phase !== 'over'
      },
    })
  } finally {
    timers.forEach(clearTimeout)
  }
  server.check()
  const seconds = (until.at - from.at) / 1000
  const cpu = until.tree.cpuSeconds - from.tree.cpuSeconds
  const children = until.tree.childCpuSeconds - from.tree.childCpuSeconds
  const own = until.own - from.own
  const sorted = Float64Array.from(latencies).sort()
  return {
    perSecond: sorted.length / seconds,
    p50Ms: percentile(sorted, 0.5) / 1000,
    p99Ms: percentile(sorted, 0.99) / 1000,
    cpuUs: (cpu / sorted.length) * 1e6,
    rssMb: until.tree.rssBytes / 2 ** 20,
    client: own / seconds,
    foreign: Math.max(0, until.machine - from.machine - cpu - children - own) / seconds,
    wrong,
    firstProblem,
  }
}

function summarize(target: string, connections: number, samples: readonly Sample[]): Row {
  const middle = (pick: (sample: Sample) => number): number => median(samples.map(pick))
  return {
    target,
    connections,
    perSecond: middle((sample) => sample.perSecond),
    spread: spread(samples.map((sample) => sample.perSecond)),
    p50Ms: middle((sample) => sample.p50Ms),
    p99Ms: middle((sample) => sample.p99Ms),
    cpuUs: middle((sample) => sample.cpuUs),
    rssMb: samples.at(-1)?.rssMb ?? Number.NaN,
    client: middle((sample) => sample.client),
    foreign: Math.max(...samples.map((sample) => sample.foreign)),
    wrong: samples.reduce((sum, sample) => sum + sample.wrong, 0),
    samples,
  }
}

function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
