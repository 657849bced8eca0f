/**
 * After a backup was restored the old log must not be continued: somebody has a checkpoint of what is gone now. A new log
 * begins, and its first entry names the old one and the last checkpoint that was signed for it.
 */
import { encodeBase64 } from './base64.ts'
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts'
import { AuditError } from './errors.ts'
import type { AuditLog } from './log.ts'
import type { Receipt } from './store.ts'

/** `…/8f3c`, `…/8f3c.2`, `…/8f3c.3`. */
export function successorOrigin(origin: string): string {
  const { base, number } = partsOf(origin)
  return `${base}.${number + 1}`
}

/** Those that this one may have succeeded, the oldest first; not every one has to be there. */
export function predecessorOrigins(origin: string): string[] {
  const { base, number } = partsOf(origin)
  return Array.from({ length: Math.min(number, MAX_SUCCESSIONS) - 1 }, (_, i) => (i === 0 ? base : `${base}.${i + 1}`))
}

/** Of a log and its successors the last one. */
export function newestOrigin(origins: readonly string[]): string | undefined {
  return origins.toSorted((a, b) => partsOf(b).number - partsOf(a).number)[0]
}

/** A name comes from a database, which an administrator may have changed. */
const MAX_SUCCESSIONS = 1000

function partsOf(origin: string): { readonly base: string; readonly number: number } {
  const [, base = origin, digits] = /^(.*)\.([1-9][0-9]{0,8})$/.exec(origin) ?? []
  return { base, number: digits === undefined ? 1 : Number(digits) }
}

/**
 * Writes the `log.opened` entry into a new, empty log. `checkpoint` is the last one of the old log, as it was kept
 * elsewhere. @throws AuditError AUDIT_FORKED when the new log has entries already
 */
export async function openSuccessor(log: AuditLog, checkpoint: string | Checkpoint): Promise<Receipt> {
  const { origin, size, rootHash } = typeof checkpoint === 'string' ? parseCheckpoint(checkpoint) : checkpoint
  if (origin === log.origin) throw new TypeError('a log cannot succeed itself')
  const receipt = await log.append({
    type: 'log.opened',
    facts: { previous: { origin, root: encodeBase64(rootHash), size } },
  })
  if (receipt.seq === 0) return receipt
  throw new AuditError('AUDIT_FORKED', `${log.origin} is not new: it has ${receipt.seq} entries already`)
}
