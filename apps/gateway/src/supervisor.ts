/**
 * When a server may be started, and how it is doing. Failures in a row put the next attempt off, with full jitter so that a
 * thousand gateways don't come back at the same moment; after enough of them the circuit is open and one attempt at a time
 * finds out whether the server is well again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { WireError } from '@mcp-gateway/wire'

/** `stopped` is also a server that nobody has used yet. */
export type ServerStatus = 'stopped' | 'starting' | 'ready' | 'draining' | 'backoff' | 'open'

export type Supervisor = {
  /** Whether a start has to wait, and why. */
  readonly status: () => 'clear' | 'backoff' | 'open'
  readonly lastError: () => string | undefined
  /** Resolves when a start may be tried. Rejects with the last failure when that is further off than a caller should wait. */
  admit(): Promise<void>
  started(): void
  /** It would not have our credentials, or those of one caller: there is nothing wrong with it. */
  refused(error: unknown): void
  failed(error: unknown): void
  /** A connection ended that nobody had closed. `served` when it had answered at least one request. */
  crashed(reason: string, served: boolean): void
  /** A new configuration deserves a new chance. */
  reset(): void
}

const BASE_MS = 250
const MAX_BACKOFF_MS = 30_000
const OPEN_AFTER = 5
const OPEN_MS = 30_000
/** A caller waits for a retry that is this near. */
const PATIENCE_MS = 1000

export type SupervisorOptions = {
  readonly serverId: string
  readonly now?: () => number
  readonly random?: () => number
}

export function createSupervisor({ serverId, now = Date.now, random = Math.random }: SupervisorOptions): Supervisor {
  let failures = 0
  let retryAt = 0
  let trial = false
  /** The last start went well. Failures count on until the server has also done something. */
  let runs = false
  let last: unknown

  const isOpen = (): boolean => failures >= OPEN_AFTER
  const count = (error: unknown): void => {
    failures += 1
    runs = false
    last = error
    trial = false
    const ceiling = Math.min(MAX_BACKOFF_MS, BASE_MS * 2 ** (failures - 1))
    retryAt = now() + (isOpen() ? OPEN_MS : random() * ceiling)
  }
  const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

  return {
    status() {
      if (runs) return 'clear'
      if (isOpen()) return 'open'
      return retryAt > now() ? 'backoff' : 'clear'
    },
    lastError: () => (last === undefined ? undefined : textOf(last)),
    async admit() {
      if (runs) return
      const wait = retryAt - now()
      if (wait > PATIENCE_MS || (isOpen() && trial)) {
        throw new WireError(
          'WIRE_UPSTREAM_START_FAILED',
          `server ${serverId} is not tried again yet: ${textOf(last)}`,
          {
            data: { retryAfterMs: Math.max(Math.ceil(wait), 0) },
            cause: last,
          },
        )
      }
      if (wait > 0) await sleep(wait)
      trial = isOpen()
    },
    started() {
      trial = false
      runs = true
      last = undefined
    },
    refused(error) {
      trial = false
      runs = true
      last = error
    },
    failed: count,
    crashed(reason, served) {
      if (!served) return count(new Error(`it ended before it had answered anything: ${reason}`))
      // It worked: one crash costs the next caller a start, not a wait.
      failures = 0
      retryAt = 0
      runs = false
      last = new Error(reason)
      return undefined
    },
    reset() {
      failures = 0
      retryAt = 0
      trial = false
      runs = false
      last = undefined
    },
  }
}
