/**
 * What a server says beside the protocol: stderr, garbage on stdout, answers to nobody. The adversary floods it: lines past the
 * budget are counted instead of passed on, and pipes are read no faster than is fair to the other servers.
 */
import type { Readable } from 'node:stream'

export type NoiseBudget = { readonly lines: number; readonly windowMs: number }

const defaultBudget: NoiseBudget = { lines: 500, windowMs: 10_000 }

/** Passes on what fits the budget, and how many lines did not when the next window begins. */
export function limitLines(
  onLine: (line: string) => void,
  budget: NoiseBudget = defaultBudget,
  now: () => number = Date.now,
): (line: string) => void {
  let windowFrom = 0
  let used = 0
  let dropped = 0
  return (line) => {
    if (now() - windowFrom >= budget.windowMs) {
      if (dropped > 0) onLine(`(${dropped} more lines dropped)`)
      windowFrom = now()
      used = 0
      dropped = 0
    }
    used += 1
    if (used <= budget.lines) onLine(line)
    else dropped += 1
  }
}

const THROTTLE_BYTES = 512 * 1024
const THROTTLE_MS = 50

/** Call the result with every piece of noise; past 10 MB/s the stream is paused, and its writer waits. */
export function createThrottle(stream: Readable): (bytes: number) => void {
  let windowFrom = 0
  let used = 0
  return (bytes) => {
    const now = Date.now()
    if (now - windowFrom >= THROTTLE_MS) {
      windowFrom = now
      used = 0
    }
    used += bytes
    if (used < THROTTLE_BYTES || stream.isPaused()) return
    stream.pause()
    setTimeout(() => stream.resume(), windowFrom + THROTTLE_MS - now).unref()
  }
}
