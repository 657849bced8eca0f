// A healthy server's caller, next door to a fault, and what it felt.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import type { Sample } from './neighbour-load.ts'

export type Neighbour = AsyncDisposable & {
  /** Its calls since the last `take`. */
  take(): Promise<readonly Sample[]>
}

const PROGRAM = fileURLToPath(new URL('neighbour-load.ts', import.meta.url))
const EVERY_MS = 5
const WINDOW_MS = 200
/** Below this a latency is noise: the scheduler's time slices, a collection. */
const NOISE_MS = 10

export async function startNeighbour(port: number, path: string): Promise<Neighbour> {
  const load = fork(PROGRAM, [String(port), path, String(EVERY_MS)], { execArgv: [] })
  const take = async (): Promise<readonly Sample[]> => {
    load.send('take')
    const [samples] = (await once(load, 'message')) as [readonly Sample[]]
    return samples
  }
  // The first calls start the server and warm the code up.
  await sleep(1000)
  await take()
  return {
    take,
    async [Symbol.asyncDispose]() {
      load.disconnect()
      await once(load, 'exit')
    },
  }
}

/** The median over windows of each window's p99, so that one hiccup of the machine is not a finding. */
export function p99Of(samples: readonly Sample[]): number {
  const windows = Map.groupBy(samples, ({ at }) => Math.floor(at / WINDOW_MS))
  const each = [...windows.values()]
    .filter(({ length }) => length > 10)
    .map((window) =>
      quantile(
        window.map(({ ms }) => ms),
        0.99,
      ),
    )
  return quantile(each, 0.5)
}

/**
 * The most that a p99 may become: twice what it was. A control is called at the same time, through a gateway where nothing
 * is wrong: what it feels, too, is the machine's doing.
 */
export function allowedP99(before: number, control: number): number {
  return 2 * Math.max(before, control, NOISE_MS)
}

export function problemsOf(samples: readonly Sample[]): string[] {
  return samples.flatMap(({ problem }) => problem ?? [])
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}
