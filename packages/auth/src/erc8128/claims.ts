/** What a candidate says about itself: who, when, how often. Checked before anything is read, asked or computed. */
import { parseAccountId, type Wallet } from '../ethereum/account-id.ts'
import type { Candidate } from './candidate.ts'
import type { Erc8128Reason } from './failure.ts'

export type Claims = {
  readonly wallet: Wallet
  readonly nonce: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export type TimeRules = {
  readonly maxValidityMs: number
  readonly clockSkewMs: number
}

const MAX_NONCE_CHARS = 128

/** ERC-8128 §3.3, §3.1.2. */
export function readClaims(candidate: Candidate, rules: TimeRules, now: number): Claims | Erc8128Reason {
  const { parameters } = candidate.input
  // §3.3.4: who calls must not choose how he is verified.
  if (parameters.has('alg')) return 'unsupported_algorithm'

  const keyid = parameters.get('keyid')
  const prefix = candidate.text === 'august-2026' ? 'eip155' : 'erc8128'
  // January: "Verifiers MUST treat address hex as case-insensitive". August: lower case, or it is not canonical.
  const account =
    keyid?.kind !== 'string' ? '' : candidate.text === 'august-2026' ? keyid.value : lowerAddress(keyid.value)
  const wallet = parseAccountId(account, prefix)
  if (wallet === undefined) return 'invalid_keyid'

  const created = parameters.get('created')
  const expires = parameters.get('expires')
  if (created?.kind !== 'integer' || expires?.kind !== 'integer' || expires.value <= created.value)
    return 'invalid_time'
  const expiresAt = expires.value * 1000
  if (now < created.value * 1000 - rules.clockSkewMs) return 'request_not_yet_valid'
  if (now > expiresAt + rules.clockSkewMs) return 'request_expired'
  if (expiresAt - created.value * 1000 > rules.maxValidityMs) return 'request_validity_too_long'

  // Replayable signatures need a way for their signer to call them back (§5.2); without one they must not be accepted.
  const nonce = parameters.get('nonce')
  if (nonce === undefined) return 'nonce_required'
  if (nonce.kind !== 'string' || nonce.value.length > MAX_NONCE_CHARS) return 'invalid_nonce'
  return { wallet, nonce: nonce.value, expiresAt }
}

function lowerAddress(keyid: string): string {
  return keyid.replace(/0x[0-9a-fA-F]{40}$/, (address) => address.toLowerCase())
}
