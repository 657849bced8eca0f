/**
 * A child's stderr as diagnostic lines, within a budget. The adversary floods it: past the budget bytes are counted instead of
 * decoded, and read no faster than {@link throttle} allows.
 */
import type { Readable } from 'node:stream'

export type StderrBudget = {
  readonly bytesPerWindow: number
  readonly windowMs: number
  readonly maxLineLength: number
}

const defaultStderrBudget: StderrBudget = { bytesPerWindow: 64 * 1024, windowMs: 10_000, maxLineLength: 4096 }

/** A child may say more than anybody reads, but not so fast that reading it costs its neighbours their turn. */
const THROTTLE_BYTES = 512 * 1024
const THROTTLE_MS = 50

export function throttle(stream: Readable): void {
  let windowFrom = 0
  let used = 0
  stream.on('data', (chunk: Buffer) => {
    const now = Date.now()
    if (now - windowFrom >= THROTTLE_MS) {
      windowFrom = now
      used = 0
    }
    used += chunk.length
    if (used < THROTTLE_BYTES) return
    stream.pause()
    setTimeout(() => stream.resume(), windowFrom + THROTTLE_MS - now).unref()
  })
}

export function createStderrReader(
  onLine: (line: string) => void,
  budget: StderrBudget = defaultStderrBudget,
  now: () => number = Date.now,
): (chunk: Buffer) => void {
  let windowFrom = 0
  let used = 0
  let dropped = 0
  let partial = ''
  const emit = (line: string): void => {
    const text = line.trimEnd()
    if (text !== '') onLine(text.length > budget.maxLineLength ? `${text.slice(0, budget.maxLineLength)}…` : text)
  }
  return (chunk) => {
    if (now() - windowFrom >= budget.windowMs) {
      if (dropped > 0) onLine(`(${dropped} bytes of stderr dropped)`)
      windowFrom = now()
      used = 0
      dropped = 0
    }
    const room = Math.max(0, budget.bytesPerWindow - used)
    used += chunk.length
    if (chunk.length > room) dropped += chunk.length - room
    if (room === 0) return
    const lines = (partial + chunk.subarray(0, room).toString('utf8')).split('\n')
    partial = (lines.pop() ?? '').slice(0, budget.maxLineLength)
    for (const line of lines) emit(line)
  }
}
