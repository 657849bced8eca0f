/** Stores of one process. Several replicas need one of the others, or each of them lets the same request in once. */
import { AuthError } from '../errors.ts'
import type { ReplayStore } from '../replay-store.ts'

export { createMemoryWalletTokenStore, type MemoryWalletTokenStoreOptions } from './memory-wallet-tokens.ts'

export type MemoryReplayStoreOptions = {
  /** Keys that are kept, about 120 bytes each. A full store refuses: to forget a key would let its request in again. @default 100_000 */
  readonly maxKeys?: number
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
}

export type MemoryReplayStore = ReplayStore & {
  /** Keys that are kept now. */
  readonly size: () => number
}

/** Between two sweeps, so that what has expired does not wait for the store to be full. */
const SWEEP_EVERY = 1024

export function createMemoryReplayStore({
  maxKeys = 100_000,
  clock = Date.now,
}: MemoryReplayStoreOptions = {}): MemoryReplayStore {
  if (!Number.isInteger(maxKeys) || maxKeys < 1) throw new RangeError('maxKeys must be a whole number from 1 on')
  const expiries = new Map<string, number>()
  let untilSweep = SWEEP_EVERY
  let earliest = Infinity

  const sweep = (now: number): void => {
    untilSweep = SWEEP_EVERY
    if (now <= earliest) return
    earliest = Infinity
    for (const [key, expiresAt] of expiries) {
      if (expiresAt < now) expiries.delete(key)
      else if (expiresAt < earliest) earliest = expiresAt
    }
  }
  return {
    consume(key, expiresAtMs) {
      const now = clock()
      // Written so that NaN is refused as well.
      if (!(expiresAtMs >= now)) return false
      const known = expiries.get(key)
      if (known !== undefined && known >= now) return false
      if (--untilSweep <= 0 || expiries.size >= maxKeys) sweep(now)
      if (expiries.size >= maxKeys && !expiries.has(key)) {
        throw new AuthError('AUTH_REPLAY_STORE_UNAVAILABLE', `more than ${maxKeys} requests are remembered; try later`)
      }
      expiries.set(key, expiresAtMs)
      if (expiresAtMs < earliest) earliest = expiresAtMs
      return true
    },
    size: () => expiries.size,
  }
}
