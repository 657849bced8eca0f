/**
 * After a backup was restored the old log must not be continued: somebody has a checkpoint of what is gone now. A new log
 * begins, and its first entry names the old one and the last checkpoint that was signed for it.
 */
import { encodeBase64 } from './base64.ts'
import { parseCheckpoint } from './checkpoint.ts'
import { AuditError } from './errors.ts'
import type { AuditLog } from './log.ts'
import type { Receipt } from './store.ts'

/** `…/8f3c`, `…/8f3c.2`, `…/8f3c.3`. */
export function successorOrigin(origin: string): string {
  const [, base = origin, digits] = /^(.*)\.([1-9][0-9]{0,8})$/.exec(origin) ?? []
  return `${base}.${digits === undefined ? 2 : Number(digits) + 1}`
}

/**
 * Writes the `log.opened` entry into a new, empty log. `checkpoint` is the last signed note of the old one, as it was kept
 * elsewhere. @throws AuditError AUDIT_FORKED when the new log has entries already
 */
export async function openSuccessor(log: AuditLog, checkpoint: string): Promise<Receipt> {
  const { origin, size, rootHash } = parseCheckpoint(checkpoint)
  if (origin === log.origin) throw new TypeError('a log cannot succeed itself')
  const receipt = await log.append({
    type: 'log.opened',
    facts: { previous: { origin, root: encodeBase64(rootHash), size } },
  })
  if (receipt.seq === 0) return receipt
  throw new AuditError('AUDIT_FORKED', `${log.origin} is not new: it has ${receipt.seq} entries already`)
}
