/** The entries of a batch in a form that passes from thread to thread without a copy: all their bytes in one buffer. */
import type { SealedEntry } from '../store.ts'

export type PackedEntries = {
  /** Position of the first; the others follow it. */
  readonly from: number
  readonly ids: readonly string[]
  readonly subjects: readonly (string | undefined)[]
  /** For each entry the length of its leaf and of its fields. */
  readonly lengths: Uint32Array<ArrayBuffer>
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** What a store writes of an entry. */
export type WrittenEntry = Pick<SealedEntry, 'seq' | 'id' | 'leaf' | 'subject' | 'fields'>

/** Longer than any fields: these are none. */
const NO_FIELDS = 2 ** 32 - 1

export function packEntries(entries: readonly WrittenEntry[]): PackedEntries {
  const lengths = new Uint32Array(2 * entries.length)
  const ids: string[] = []
  const subjects: (string | undefined)[] = []
  let sizeBytes = 0
  for (let i = 0; i < entries.length; i += 1) {
    const { id, subject, leaf, fields } = entries[i] as WrittenEntry
    ids.push(id)
    subjects.push(subject)
    lengths[2 * i] = leaf.length
    lengths[2 * i + 1] = fields?.length ?? NO_FIELDS
    sizeBytes += leaf.length + (fields?.length ?? 0)
  }
  const bytes = new Uint8Array(sizeBytes)
  let at = 0
  for (const { leaf, fields } of entries) {
    bytes.set(leaf, at)
    at += leaf.length
    if (fields === undefined) continue
    bytes.set(fields, at)
    at += fields.length
  }
  return { from: entries[0]?.seq ?? 0, ids, subjects, lengths, bytes }
}

export function unpackEntries({ from, ids, subjects, lengths, bytes }: PackedEntries): WrittenEntry[] {
  let at = 0
  const take = (length: number): Uint8Array => {
    at += length
    return bytes.subarray(at - length, at)
  }
  return ids.map((id, i) => {
    const leaf = take(lengths[2 * i] as number)
    const fieldsBytes = lengths[2 * i + 1] as number
    const fields = fieldsBytes === NO_FIELDS ? undefined : take(fieldsBytes)
    return { seq: from + i, id, leaf, subject: subjects[i], fields }
  })
}
