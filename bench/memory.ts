// Does memory stay flat? Resident size while many calls go by, and the slope of its second half: the first half
// is the heap finding its size. A leak of one small object per call (100 bytes) shows as 95 MB per million.
import { closedLoop } from './load.ts'
import { readTree } from './process-tree.ts'
import { slope } from './statistics.ts'
import type { Point } from './statistics.ts'
import type { Running } from './targets.ts'

const CONNECTIONS = 16
const SAMPLES = 100

export type Memory = {
  readonly target: string
  readonly calls: number
  readonly wrong: number
  readonly firstProblem: string | undefined
  readonly startMb: number
  readonly endMb: number
  readonly peakMb: number
  /** Of the second half. */
  readonly mbPerMillionCalls: number
  readonly samples: readonly Point[]
}

export async function measureMemory(target: string, { server, endpoint }: Running, calls: number): Promise<Memory> {
  const step = Math.max(1, Math.floor(calls / SAMPLES))
  const rssMb = (): number => readTree(server.pid).rssBytes / 2 ** 20
  const samples: Point[] = [{ x: 0, y: rssMb() }]
  let answered = 0
  let wrong = 0
  let firstProblem: string | undefined
  await closedLoop({
    endpoint,
    connections: CONNECTIONS,
    onAnswer: (_latencyUs, problem) => {
      answered += 1
      if (problem !== undefined) {
        wrong += 1
        firstProblem ??= problem
      }
      if (answered % step === 0) samples.push({ x: answered, y: rssMb() })
      return answered + CONNECTIONS <= calls
    },
  })
  server.check()
  const sizes = samples.map(({ y }) => y)
  return {
    target,
    calls: answered,
    wrong,
    firstProblem,
    startMb: sizes[0] ?? Number.NaN,
    endMb: sizes.at(-1) ?? Number.NaN,
    peakMb: Math.max(...sizes),
    mbPerMillionCalls: slope(samples.slice(Math.floor(samples.length / 2))) * 1e6,
    samples,
  }
}
