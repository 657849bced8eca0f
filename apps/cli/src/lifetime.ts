/** Ctrl-C and `kill` must not leave servers behind: they run in process groups of their own and would outlive us. */
import { killAllGroups } from '@mcp-gateway/wire'
import { exitCodes } from './exit-codes.ts'

export type Signals = Disposable & {
  /** Resolves when a signal came and `close` has ended. */
  readonly closed: Promise<void>
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The first signal closes in order; the second exits at once. */
export function closeOnSignal(close: () => Promise<void>): Signals {
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>()
  let isClosing = false
  const onSignal = (): void => {
    if (isClosing) process.exit(exitCodes.failed)
    isClosing = true
    close().then(resolve, reject)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  process.on('exit', killAllGroups)
  return {
    closed,
    [Symbol.dispose]() {
      for (const signal of SIGNALS) process.off(signal, onSignal)
      process.off('exit', killAllGroups)
    },
  }
}
