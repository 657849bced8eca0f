/** What was found, and how the program ends for it. The codes of the audit chain keep their names. */
import type { Finding as ChainFinding, FindingCode as ChainCode } from '@mcp-gateway/audit-chain/verify'

export type FindingCode =
  | ChainCode
  | 'CHECKPOINT_MISSING' // nothing that a trusted key signed covers what is in the file
  | 'ENTRY_UNSIGNED' // entries behind the last checkpoint
  | 'META_MISSING' // the meta-log is asked for, and nothing in the file is of it
  | 'META_MISMATCH' // what the file has of the meta-log is not about its checkpoint, or not under its key
  | 'LINE_MALFORMED'
  | 'LINE_TOO_LONG'
  | 'FILE_TRUNCATED' // it does not end with a newline
  | 'FILE_EMPTY'
  | 'PROOF_MALFORMED'
  | 'VERSION_UNSUPPORTED'
  | 'FILE_UNREADABLE'
  | 'KEY_MISSING' // nothing was pinned, so nothing can be trusted
  | 'KEY_MALFORMED'
  | 'STATE_UNUSABLE'
  | 'USAGE'
  | 'FAILED' // a mistake of ours

export type Finding = Omit<ChainFinding, 'code'> & { readonly code: FindingCode; readonly line?: number }

export const exitCodes = { verified: 0, rejected: 10, unsupported: 20, malformed: 30 } as const
export type Verdict = keyof typeof exitCodes

const MALFORMED: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'LINE_MALFORMED',
  'LINE_TOO_LONG',
  'FILE_TRUNCATED',
  'FILE_EMPTY',
  'PROOF_MALFORMED',
  'NOTE_MALFORMED',
])
const UNSUPPORTED: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'VERSION_UNSUPPORTED',
  'FILE_UNREADABLE',
  'KEY_MISSING',
  'KEY_MALFORMED',
  'STATE_UNUSABLE',
  'USAGE',
  'FAILED',
])

/** A contradiction weighs more than bad syntax, and that more than what could not be looked at. */
export function verdictOf(findings: readonly Finding[]): Verdict {
  if (findings.length === 0) return 'verified'
  if (findings.some(({ code }) => !MALFORMED.has(code) && !UNSUPPORTED.has(code))) return 'rejected'
  return findings.some(({ code }) => MALFORMED.has(code)) ? 'malformed' : 'unsupported'
}

/** Ends the reading: what comes behind it cannot be understood, or nothing can be begun. */
export class VerifyError extends Error {
  override readonly name = 'VerifyError'
  readonly code: FindingCode
  constructor(code: FindingCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
