/**
 * Wallet tokens within the quota of their consumer, who may have several wallets, each on several chains, and API keys
 * besides: all that is good counts, and what is revoked or expired doesn't.
 */
import { AuthError, parseAccountId, type Caller, type Wallet, type WalletTokens, type WalletTokenStore } from '@mcp-gateway/auth' // prettier-ignore
import type { AuthConfig } from './auth-config.ts'
import { goodKeys } from './quotas.ts'

export type TokenQuotaOptions = {
  readonly auth: AuthConfig
  readonly store: WalletTokenStore
  readonly quota: (tenantId: string) => number | undefined
}

export function withTokenQuota(tokens: WalletTokens, { auth, store, quota }: TokenQuotaOptions): WalletTokens {
  /** Between a count and the token that it allows nobody else is counted. */
  let turn: Promise<unknown> = Promise.resolve()

  const check = async (caller: Caller, limit: number): Promise<void> => {
    const now = Date.now()
    // Of whoever has signed in; others are refused here.
    const own = await tokens.list(caller)
    const others = await Promise.all(otherWallets(auth, caller).map(async (wallet) => store.list(wallet)))
    const good = [own, ...others].flat().filter((one) => one.revokedAt === undefined && one.expiresAt > now)
    const count = good.length + goodKeys(auth, caller.tenantId, caller.id, now)
    if (count < limit) return
    const message = `there are ${count} keys and tokens of this consumer, and ${limit} are allowed: revoke one of them first`
    throw new AuthError('AUTH_WALLET_TOKENS_TOO_MANY', message)
  }
  return {
    ...tokens,
    create(caller, wish) {
      const limit = quota(caller.tenantId)
      if (limit === undefined) return tokens.create(caller, wish)
      const made = turn.then(async () => {
        await check(caller, limit)
        return tokens.create(caller, wish)
      })
      turn = made.catch(() => undefined) // Its caller is told.
      return made
    },
  }
}

/** On every chain there is: which ones an operator is meant on may have been changed since. */
function otherWallets({ wallets }: AuthConfig, { id, tenantId, attributes }: Caller): Wallet[] {
  if (wallets === undefined) return []
  const operators = wallets.operators.filter((one) => one.consumerId === id && one.tenantId === tenantId)
  const accounts = operators.flatMap(({ address }) =>
    wallets.chains.map((chain) => `eip155:${chain.id}:${address.toLowerCase()}`),
  )
  return accounts
    .map((account) => parseAccountId(account))
    .filter((wallet) => wallet !== undefined)
    .filter(({ address, chainId }) => address !== attributes['wallet'] || chainId !== attributes['chainId'])
}
