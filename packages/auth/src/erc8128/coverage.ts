/** Whether a signature says enough: a request-bound one holds for one request and no other (ERC-8128 §3.1.1). */
import type { RequestHeaders } from '../request.ts'
import type { Candidate } from './candidate.ts'
import type { Erc8128Reason } from './failure.ts'
import type { Target } from './signature-base.ts'

/** The bytes decide what there is, never the header that a client sends or leaves out. */
export function findCoverageGap(
  { text, input }: Candidate,
  {
    headers,
    target,
    content,
    required,
  }: {
    readonly headers: RequestHeaders
    readonly target: Target
    readonly content: Uint8Array
    /** Names besides those of the text. */
    readonly required: readonly string[]
  },
): Erc8128Reason | undefined {
  const covered = new Set<string>()
  for (const { value, parameters } of input.items) {
    if (value.kind !== 'string') return 'signature_input_invalid'
    // RFC 9421 §2: each component at most once. Only those without parameters count.
    if (parameters.size > 0) continue
    if (covered.has(value.value)) return 'signature_input_invalid'
    covered.add(value.value)
  }
  const hasDigest = headers['content-digest'] !== undefined
  const needed = ['@authority', '@method', '@path', ...required]
  if (text === 'august-2026') needed.push('@scheme', '@query')
  else if (target.hasQuery) needed.push('@query')
  if (text === 'august-2026' && headers['content-type'] !== undefined) needed.push('content-type')
  if (content.length > 0 || (text === 'august-2026' && hasDigest)) {
    if (!hasDigest) return 'content_digest_required'
    needed.push('content-digest')
  }
  return needed.every((name) => covered.has(name)) ? undefined : 'insufficient_coverage'
}
