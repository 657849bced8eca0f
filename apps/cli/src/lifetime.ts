/**
 * Ctrl-C and `kill` must not leave servers behind: they run in process groups of their own and would outlive us.
 * What is still there when the process exits is killed by the gateway's own exit handler.
 */
import { constants } from 'node:os'

export type Signals = Disposable & {
  /** Resolves when a signal came and `close` has ended. */
  readonly closed: Promise<NodeJS.Signals>
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The first signal closes in order; the second exits at once. */
export function closeOnSignal(close: () => Promise<void>): Signals {
  const { promise: closed, resolve, reject } = Promise.withResolvers<NodeJS.Signals>()
  let isClosing = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isClosing) process.exit(signalExitCode(signal))
    isClosing = true
    close().then(() => resolve(signal), reject)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  return {
    closed,
    [Symbol.dispose]() {
      for (const signal of SIGNALS) process.off(signal, onSignal)
    },
  }
}

/** As a shell counts. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}
