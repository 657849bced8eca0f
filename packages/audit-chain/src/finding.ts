/** What a verification found wrong. An empty list is the only way to say that nothing was. */
export type FindingCode =
  // one entry
  | 'ENTRY_MALFORMED' // its bytes are not a canonical entry
  | 'ENTRY_CHANGED' // its hash is not the one that its successor, or the head, recorded
  | 'ENTRY_MISSING' // there is a gap before the end
  | 'ENTRY_MISPLACED' // it says that it belongs elsewhere: another position, another log
  | 'ENTRY_UNKNOWN' // it lies behind the end of the log
  | 'CLOCK_VIOLATED' // its time is before the previous entry's, or not what `clk` claims
  // what is kept beside the entries
  | 'FIELD_CHANGED' // a stored value or its key does not open its commitment
  | 'FIELD_MISSING' // it is gone, and no erasure entry says so
  | 'FIELD_NOT_ERASED' // an erasure entry says that it is gone, and it is there
  | 'INDEX_CHANGED' // a look-up column disagrees with the entry
  | 'NODE_CHANGED' // a stored tree node is not the hash of what is below it
  | 'HEAD_CHANGED' // the head of the log disagrees with its entries
  // trees and proofs
  | 'INCLUSION_UNPROVEN'
  | 'CONSISTENCY_UNPROVEN'
  | 'DISCLOSURE_UNPROVEN'
  // signed statements
  | 'NOTE_MALFORMED'
  | 'SIGNATURE_INVALID' // a trusted key's signature does not verify
  | 'SIGNATURE_MISSING' // no trusted key of the log signed
  | 'ORIGIN_UNEXPECTED' // it is about another log
  | 'QUORUM_MISSING' // too few witnesses of the policy cosigned
  | 'HISTORY_REWRITTEN' // the entries do not have the root that was signed
  | 'ROLLED_BACK' // there are fewer entries than were signed for
  | 'LOG_MISSING' // a meta-log has checkpoints of a log that is not there
  | 'SIZE_SHRUNK' // a meta-log has a checkpoint of a log behind a larger one of it
  | 'SPLIT_VIEW' // two signed checkpoints of one log exclude each other
  | 'TOO_MANY_FINDINGS' // more were found than are listed

export type Finding = {
  readonly code: FindingCode
  readonly origin?: string
  /** Position of the entry in its log, from 0. */
  readonly seq?: number
  readonly id?: string
  /** For people: what, where, and between which two statements the contradiction lies. */
  readonly message: string
}

/** A list that keeps the first `limit` findings and says that there were more. */
export type FindingList = {
  add(finding: Finding): void
  readonly list: () => Finding[]
}

const MAX_FINDINGS = 1000

export function createFindingList(limit: number = MAX_FINDINGS): FindingList {
  const findings: Finding[] = []
  let dropped = 0
  return {
    add(finding) {
      if (findings.length < limit) findings.push(finding)
      else dropped += 1
    },
    list: () =>
      dropped === 0
        ? [...findings]
        : [...findings, { code: 'TOO_MANY_FINDINGS', message: `${dropped} more findings are not listed` }],
  }
}
