/** A child's stderr as diagnostic lines, within a budget: past it bytes are counted instead of decoded. */
export type StderrBudget = {
  readonly bytesPerWindow: number
  readonly windowMs: number
  readonly maxLineLength: number
}

const defaultStderrBudget: StderrBudget = { bytesPerWindow: 64 * 1024, windowMs: 10_000, maxLineLength: 4096 }

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
