/**
 * The text of an entry but for the four members that only the head of the log can fill in (`clk`, `prev`, `seq`, `ts`), with a
 * commitment to each of its fields.
 */
import { quote } from './canonical-json.ts'
import { commitWithin } from './commitment.ts'
import type { Draft } from './draft.ts'
import { forEachField } from './field-pack.ts'

export type WrittenDraft = Pick<Draft, 'id' | 'subject' | 'fields' | 'erasures' | 'attachment'> & {
  /** The text between the values of `clk` and `prev`, and the text after that of `ts`. */
  readonly beforePrev: string
  readonly afterTime: string
}

/** The members of `commit`: HMACs take more time than all else here, and need nothing that only the head can tell. */
export function commitmentsTo(fields: Buffer | undefined): string {
  let text = ''
  if (fields === undefined) return text
  forEachField(fields, (name, keyAt, from, to) => {
    text += `${text === '' ? '' : ','}"${name}":"${commitWithin(fields, keyAt, from, to)}"`
  })
  return text
}

/** Members in the order of RFC 8785. Names, ids and types have no character that JSON would escape. */
export function writeDrafts(origin: string, drafts: readonly Omit<Draft, 'sizeBytes'>[]): WrittenDraft[] {
  const log = `"log":${quote(origin)},"prev":"`
  return drafts.map(({ id, type, facts, subject, fields, commit, erasures, attachment }) => {
    const commitments = commit ?? commitmentsTo(fields)
    const optional = (commitments && `"commit":{${commitments}},`) + (facts && `"facts":${facts},`)
    const beforePrev = `,${optional}"id":"${id}",${log}`
    return { id, beforePrev, afterTime: `","type":"${type}","v":1}`, subject, fields, erasures, attachment }
  })
}
