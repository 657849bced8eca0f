/** Whom the user trusts. It comes from the command line alone: a key that lies in a bundle proves nothing. */
import { parsePolicy, trustLogs, type TrustPolicy } from '@mcp-gateway/audit-chain/verify'
import { VerifyError } from './finding.ts'

export type Trust = {
  readonly policy: TrustPolicy
  /** For people: what was pinned. */
  readonly pinned: readonly string[]
}

const MAX_KEYS = 64

/** @throws VerifyError KEY_MISSING, KEY_MALFORMED */
export function readTrust(keys: readonly string[], policyText: string | undefined): Trust {
  if (keys.length > 0 && policyText !== undefined)
    throw new VerifyError('USAGE', 'give either --key or --policy: a policy lists its keys itself')
  if (keys.length > MAX_KEYS) throw new VerifyError('USAGE', `more than ${MAX_KEYS} keys`)
  if (keys.length === 0 && policyText === undefined)
    throw new VerifyError(
      'KEY_MISSING',
      'give the key of the log (--key) or a policy (--policy), from a source you trust',
    )
  let policy: TrustPolicy
  try {
    policy = policyText === undefined ? trustLogs(...keys) : parsePolicy(policyText)
  } catch (error) {
    throw new VerifyError('KEY_MALFORMED', error instanceof Error ? error.message : String(error), { cause: error })
  }
  return {
    policy,
    pinned: [
      ...policy.logs.map(({ text }) => `key of the log ${text}`),
      ...[...policy.witnesses.values()].map(({ text }) => `key of the witness ${text}`),
    ],
  }
}
