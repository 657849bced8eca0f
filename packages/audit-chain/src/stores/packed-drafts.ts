/** The drafts of a batch in a form that passes from thread to thread without a copy: a text, and all their fields in one buffer. */
import type { Draft } from '../draft.ts'
import type { Erasure } from '../store.ts'

export type PackedDrafts = {
  /** Five lines for each: id, type, commitments, facts and subject. None of these has a line break in it. */
  readonly text: string
  /** For each the length of its fields. */
  readonly lengths: Uint32Array<ArrayBuffer>
  readonly fields: Uint8Array<ArrayBuffer>
  readonly erasures: readonly (readonly Erasure[])[]
}

/** Without what is written alongside, which happens in the thread of whoever asked for it. */
export type PlainDraft = Omit<Draft, 'attachment' | 'sizeBytes'>

const LINES = 5

export function packDrafts(drafts: readonly PlainDraft[]): PackedDrafts {
  const lengths = new Uint32Array(drafts.length)
  const erasures: (readonly Erasure[])[] = []
  let text = ''
  let sizeBytes = 0
  for (let i = 0; i < drafts.length; i += 1) {
    const draft = drafts[i] as PlainDraft
    text += `${draft.id}\n${draft.type}\n${draft.commit ?? ''}\n${draft.facts}\n${draft.subject ?? ''}\n`
    erasures.push(draft.erasures)
    lengths[i] = draft.fields?.length ?? 0
    sizeBytes += draft.fields?.length ?? 0
  }
  const fields = new Uint8Array(sizeBytes)
  let at = 0
  for (const draft of drafts) {
    if (draft.fields === undefined) continue
    fields.set(draft.fields, at)
    at += draft.fields.length
  }
  return { text, lengths, fields, erasures }
}

export function unpackDrafts({
  text,
  lengths,
  fields,
  erasures,
}: PackedDrafts): (PlainDraft & { attachment: undefined })[] {
  const lines = text.split('\n')
  const line = (of: number, which: number): string => lines[of * LINES + which] as string
  let at = 0
  return erasures.map((ofDraft, i) => {
    const length = lengths[i] as number
    at += length
    return {
      id: line(i, 0),
      type: line(i, 1),
      // Where there are fields, there is no list of commitments without a letter; and no subject, and no fields without a byte.
      commit: line(i, 2) || undefined,
      facts: line(i, 3),
      subject: line(i, 4) || undefined,
      fields: length === 0 ? undefined : Buffer.from(fields.buffer, at - length, length),
      erasures: ofDraft,
      attachment: undefined,
    }
  })
}
