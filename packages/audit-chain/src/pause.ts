import { setTimeout as sleep } from 'node:timers/promises'

/** Sleeps, or stops sleeping when the signal is aborted. */
export async function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
