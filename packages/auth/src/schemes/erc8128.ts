/**
 * Signed requests: ERC-8128, an RFC 9421 signature by an Ethereum account, in both published texts. First in the order of
 * schemes: a request that carries such a signature stands or falls with it, whatever bearer token comes along
 * (ERC-8128, "Downgrade resistance").
 */
import { AuthError } from '../errors.ts'
import type { Caller } from '../caller.ts'
import { readCandidates, type Candidate, type Erc8128Text } from '../erc8128/candidate.ts'
import { readClaims, type Claims, type TimeRules } from '../erc8128/claims.ts'
import { matchesContentDigest } from '../erc8128/content-digest.ts'
import { findCoverageGap } from '../erc8128/coverage.ts'
import { SignatureError, type Erc8128Reason } from '../erc8128/failure.ts'
import { createSignatureBase, fieldOf, readTarget } from '../erc8128/signature-base.ts'
import { formatAccountId } from '../ethereum/account-id.ts'
import type { AccountVerifier } from '../ethereum/account-verifier.ts'
import { hashMessage } from '../ethereum/recover.ts'
import { consumeOnce, replayKey, type ReplayStore } from '../replay-store.ts'
import type { AuthRequest } from '../request.ts'
import type { Scheme } from '../scheme.ts'
import type { Wallets } from '../wallet/directory.ts'

export type Erc8128Options = {
  readonly wallets: Wallets
  readonly accounts: AccountVerifier
  /** Shared by all replicas (ERC-8128 §5.1). */
  readonly replay: ReplayStore
  /** @default both */
  readonly texts?: readonly Erc8128Text[]
  /** Components that have to be signed besides those of the text, e.g. `['mcp-session-id']`. @default none */
  readonly requiredComponents?: readonly string[]
  /** The longest `expires - created`; everybody may count on a minute (§3.3.2). @default 60_000 */
  readonly maxValidityMs?: number
  /** @default 30_000 */
  readonly clockSkewMs?: number
  /** How long the replay store may take. @default 2000 */
  readonly replayTimeoutMs?: number
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
}

const MIN_VALIDITY_MS = 60_000
const NO_CONTENT = new Uint8Array()

/** @throws RangeError when less than a minute, or a negative skew, is configured */
export function createErc8128(options: Erc8128Options): Scheme {
  const { maxValidityMs = MIN_VALIDITY_MS, clockSkewMs = 30_000, texts = ['january-2026', 'august-2026'] } = options
  if (!(maxValidityMs >= MIN_VALIDITY_MS))
    throw new RangeError('maxValidityMs is less than the 60 s of ERC-8128 §3.3.2')
  if (!(clockSkewMs >= 0)) throw new RangeError('clockSkewMs is negative')
  const verifier: Verifier = { ...options, maxValidityMs, clockSkewMs }
  const accepted = new Set(texts)
  return {
    name: 'erc8128',
    /**
     * @throws SignatureError
     * @throws AuthError AUTH_REPLAY_STORE_UNAVAILABLE
     */
    authenticate(request) {
      const candidates = readCandidates(request.headers, accepted)
      return candidates === undefined ? undefined : choose(verifier, request, candidates)
    },
  }
}

type Verifier = Erc8128Options & TimeRules

/** The first that is good in every respect; what comes before it does not hide it (§3.5, §4.2). */
async function choose(verifier: Verifier, request: AuthRequest, candidates: readonly Candidate[]): Promise<Caller> {
  const content = candidates.length === 0 ? NO_CONTENT : await readContent(request)
  const failures: Erc8128Reason[] = []
  for (const candidate of candidates) {
    const outcome = await evaluate(verifier, request, candidate, content)
    if (typeof outcome !== 'string') return outcome
    failures.push(outcome)
  }
  const unavailable = failures.find((reason) => reason === 'signature_verification_unavailable')
  const reason = unavailable ?? failures[0] ?? 'no_acceptable_signature'
  throw new SignatureError(reason, {
    challenge: challengeOf(reason, verifier.accounts),
    acceptSignature: reason === 'insufficient_coverage' ? proposeCoverage(verifier, request, content) : undefined,
  })
}

async function evaluate(
  verifier: Verifier,
  request: AuthRequest,
  candidate: Candidate,
  content: Uint8Array,
): Promise<Caller | Erc8128Reason> {
  const { accounts, wallets, clockSkewMs, clock = Date.now, requiredComponents = [] } = verifier
  const { signature } = candidate
  if (signature === undefined) return 'signature_input_invalid'
  const claims = readClaims(candidate, verifier, clock())
  if (typeof claims === 'string') return claims
  if (accounts.account(claims.wallet.chainId) === undefined) return 'unsupported_chain'

  const target = readTarget(request.url)
  const { headers } = request
  const gap = findCoverageGap(candidate, { headers, target, content, required: requiredComponents })
  if (gap !== undefined) return gap
  const digest = fieldOf(headers, 'content-digest')
  if (digest !== undefined && !matchesContentDigest(digest, content)) return 'bad_content_digest'
  // Before the signature (§3.5): strangers cause neither curve arithmetic nor questions to a chain. They learn thereby
  // which accounts are let in; accounts are no secret.
  if (!wallets.isKnown(claims.wallet)) return 'principal_not_allowed'

  const base = createSignatureBase(request, target, candidate.input)
  if (base === undefined) return 'bad_signature'
  const verdict = await verify(verifier, claims, base, signature)
  if (verdict !== 'key' && verdict !== 'contract') return verdict
  const keyId = formatAccountId(claims.wallet)
  const expiresAt = claims.expiresAt + clockSkewMs
  const caller = wallets.identify(claims.wallet, verdict === 'contract', { scheme: 'erc8128', keyId, expiresAt })
  if (caller === undefined) return 'principal_not_allowed'
  return (await consume(verifier, keyId, claims)) ? caller : 'nonce_reused'
}

async function verify(
  { accounts }: Verifier,
  { wallet }: Claims,
  base: string,
  signature: Uint8Array,
): Promise<'key' | 'contract' | Erc8128Reason> {
  try {
    const verdict = await accounts.verify(wallet, hashMessage(base), signature)
    if (verdict === 'invalid') return 'bad_signature'
    return verdict === 'unsupported-account' ? 'unsupported_account' : verdict
  } catch (error) {
    if (error instanceof AuthError && error.code === 'AUTH_SIGNATURE_UNVERIFIABLE') {
      return 'signature_verification_unavailable'
    }
    throw error
  }
}

/**
 * Last, and only for a request that is let in: who cannot sign must not be able to use up another's nonces. Kept for one
 * skew longer than the request can be accepted here, because another replica's clock may be behind ours.
 */
async function consume(
  { replay, clockSkewMs, replayTimeoutMs = 2000 }: Verifier,
  keyId: string,
  { nonce, expiresAt }: Claims,
): Promise<boolean> {
  return consumeOnce(replay, replayKey('erc8128', keyId, nonce), expiresAt + 2 * clockSkewMs, replayTimeoutMs)
}

/** @throws TypeError when the request has content but no way to read it: it would pass as empty */
async function readContent({ body, headers, method }: AuthRequest): Promise<Uint8Array> {
  if (body !== undefined) return body()
  const length = headers['content-length']
  const announced = (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
  if (announced || /^(?:POST|PUT|PATCH)$/i.test(method)) throw new TypeError('signed requests need request.body')
  return NO_CONTENT
}

/** §6: what would help. The chains and the kind of account are in the discovery document as well, and no secret. */
function challengeOf(reason: Erc8128Reason, accounts: AccountVerifier): string {
  if (reason === 'unsupported_chain') return `, chains="${accounts.chainIds.map((id) => `eip155:${id}`).join(' ')}"`
  return reason === 'unsupported_account' ? ', account="eoa-only"' : ''
}

/** §6: exactly what would do for this request, in the August text. */
function proposeCoverage({ requiredComponents = [] }: Verifier, { headers }: AuthRequest, content: Uint8Array): string {
  const names = ['@scheme', '@authority', '@method', '@path', '@query']
  if (content.length > 0) names.push('content-digest')
  if (headers['content-type'] !== undefined) names.push('content-type')
  const all = [...new Set([...names, ...requiredComponents])]
  return `request=(${all.map((name) => `"${name}"`).join(' ')});created;expires;tag="erc8128"`
}
