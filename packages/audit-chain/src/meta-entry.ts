/**
 * An entry of a meta-log: the size and root that a log had when its checkpoint was signed. It says nothing else, and names
 * the log by its origin, which is opaque. Pure: this is what a verifier reads, and whoever made the entry may be lying.
 */
import { decodeBase64 } from './base64.ts'
import type { Checkpoint } from './checkpoint.ts'
import { readEntry } from './entry.ts'
import { AuditError } from './errors.ts'
import { HASH_BYTES, sha256 } from './hash.ts'

export const META_TYPE = 'log.checkpoint'

/** One id for each size of each log: a store has no id twice, so no meta-log has a checkpoint twice. */
export function metaEntryId(origin: string, size: number): string {
  return `${sha256(origin).toString('hex', 0, 16)}:${size}`
}

/**
 * The checkpoint that an entry of a meta-log states: `facts` are `{ of: origin, root: base64 of 32 bytes, size }`.
 * @throws AuditError AUDIT_ENTRY_INVALID when it states none, or more than that
 */
export function readMetaEntry(leaf: Uint8Array): Checkpoint {
  const { type, facts = {}, id, commit } = readEntry(leaf)
  const { of: origin, size, root, ...more } = facts
  const rootHash = typeof root === 'string' ? decodeBase64(root) : undefined
  const isSize = typeof size === 'number' && Number.isSafeInteger(size) && size > 0
  const isPlain = commit === undefined && Object.keys(more).length === 0
  if (type !== META_TYPE || typeof origin !== 'string' || !isSize || rootHash?.length !== HASH_BYTES || !isPlain)
    throw new AuditError('AUDIT_ENTRY_INVALID', 'this entry states no checkpoint')
  if (id !== metaEntryId(origin, size))
    throw new AuditError('AUDIT_ENTRY_INVALID', 'the id of this entry is not that of the checkpoint it states')
  return { origin, size, rootHash }
}
