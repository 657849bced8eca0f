// From spawn to the first 200 on /live, as a process manager sees it. Bare node:http beside it tells how much
// of that is Node itself.
import { median } from './statistics.ts'
import { launch } from './targets.ts'
import type { TargetName } from './targets.ts'
import { waitUntilReady } from './server.ts'

const STARTS = 10
const POLL_MS = 2

export type ColdStart = { readonly target: string; readonly medianMs: number; readonly startsMs: readonly number[] }

export async function measureColdStart(target: TargetName): Promise<ColdStart> {
  const startsMs: number[] = []
  for (let start = 0; start < STARTS; start += 1) {
    await using server = await launch(target)
    await waitUntilReady(server, async () => (await fetch(`${server.url}/live`)).status === 200, POLL_MS)
    startsMs.push(performance.now() - server.spawnedAt)
  }
  return { target, medianMs: median(startsMs), startsMs }
}
