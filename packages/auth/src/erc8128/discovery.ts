/** `/.well-known/erc8128` (ERC-8128 §7): what a signer may want to know beforehand. Advice; nothing is verified by it. */
import type { AccountVerifier } from '../ethereum/account-verifier.ts'

export type Erc8128Discovery = {
  readonly max_validity_sec: number
  readonly chains: readonly string[]
  readonly account_verification: 'universal' | 'eoa-only'
  readonly route_policies: {
    readonly default: { readonly replay: 'non-replayable'; readonly required_components: readonly string[] }
  }
}

/** With the same options as the scheme. To be served as `application/json`, over https only. */
export function describeErc8128({
  accounts,
  maxValidityMs = 60_000,
  requiredComponents = [],
}: {
  readonly accounts: AccountVerifier
  readonly maxValidityMs?: number
  readonly requiredComponents?: readonly string[]
}): Erc8128Discovery {
  const isUniversal = accounts.chainIds.every((id) => accounts.account(id) === 'universal')
  return {
    max_validity_sec: Math.floor(maxValidityMs / 1000),
    chains: accounts.chainIds.map((id) => `eip155:${id}`),
    account_verification: isUniversal ? 'universal' : 'eoa-only',
    route_policies: { default: { replay: 'non-replayable', required_components: requiredComponents } },
  }
}
