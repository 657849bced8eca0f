/**
 * How much of the disk a tenant's log may take. When it is reached, calls of this tenant are refused until there is room. The
 * adversary goes on calling: refused calls have no entry of their own, but one an hour together, or they would fill what is left.
 */
import { performance } from 'node:perf_hooks'
import type { EntryInput } from '@mcp-gateway/audit-chain'
import { GatewayError } from './errors.ts'

export type StorageQuota = Disposable & {
  /** Why calls can't be recorded now. */
  refusal(): GatewayError | undefined
}

export type StorageQuotaOptions = {
  /** May change with each reload. Undefined: as much as it likes. */
  readonly maxMb: () => number | undefined
  readonly usedBytes: () => number
  readonly note: (input: EntryInput) => void
}

/** A log grows past its quota by what is written in this time, and is found to have room again after it. */
const LOOK_EVERY_MS = 10_000
const WINDOW_MS = 3_600_000
const MEGABYTE = 1_048_576

export function createStorageQuota({ maxMb, usedBytes, note }: StorageQuotaOptions): StorageQuota {
  let lookedAt = -Infinity
  let used = 0
  let refused = 0
  let timer: NodeJS.Timeout | undefined

  const endWindow = (): void => {
    clearTimeout(timer)
    timer = undefined
    const count = refused
    refused = 0
    if (count > 0) note({ type: 'storage.refused.more', facts: { count, withinMs: WINDOW_MS } })
  }
  return {
    refusal() {
      const limit = maxMb()
      if (limit === undefined) return undefined
      const now = performance.now()
      if (now - lookedAt >= LOOK_EVERY_MS) {
        lookedAt = now
        try {
          used = usedBytes()
        } catch {
          // Of a file that cannot be read at the moment: whoever writes to it says so.
        }
      }
      if (used < limit * MEGABYTE) return undefined
      if (timer === undefined) {
        timer = setTimeout(endWindow, WINDOW_MS).unref()
        note({ type: 'storage.refused', facts: { usedBytes: used, maxBytes: limit * MEGABYTE } })
      } else refused += 1
      const message = `the log of this tenant has reached its ${limit} MB: erase, keep for a shorter time, or raise quotas.maxStorageMb`
      return new GatewayError('GATEWAY_STORAGE_QUOTA_REACHED', message)
    },
    [Symbol.dispose]: endWindow,
  }
}
