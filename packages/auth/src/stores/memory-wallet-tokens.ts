/** Wallet tokens of one process, for tests and try-outs: they are gone with it. */
import { formatAccountId } from '../ethereum/account-id.ts'
import { AuthError } from '../errors.ts'
import type { WalletTokenRecord, WalletTokenStore } from '../wallet/token-store.ts'

export type MemoryWalletTokenStoreOptions = {
  /** Records that are kept; a full store refuses. @default 100_000 */
  readonly maxTokens?: number
}

export function createMemoryWalletTokenStore({
  maxTokens: maxRecords = 100_000,
}: MemoryWalletTokenStoreOptions = {}): WalletTokenStore {
  const byHash = new Map<string, WalletTokenRecord>()
  const of = (owner: string): WalletTokenRecord[] =>
    [...byHash.values()].filter(({ wallet }) => formatAccountId(wallet) === owner)
  return {
    insert(record, maxTokens) {
      const own = of(formatAccountId(record.wallet))
      const good = own.filter(({ expiresAt, revokedAt }) => expiresAt > record.createdAt && revokedAt === undefined)
      for (const one of own) if (!good.includes(one)) byHash.delete(one.hash)
      if (good.length >= maxTokens) return false
      if (byHash.size >= maxRecords) {
        throw new AuthError('AUTH_WALLET_TOKEN_STORE_UNAVAILABLE', `more than ${maxRecords} tokens are kept`)
      }
      byHash.set(record.hash, record)
      return true
    },
    find: (hash) => byHash.get(hash),
    list: (wallet) => of(formatAccountId(wallet)),
    revoke(wallet, id, at) {
      const record = of(formatAccountId(wallet)).find((one) => one.id === id)
      if (record === undefined || record.revokedAt !== undefined) return false
      byHash.set(record.hash, { ...record, revokedAt: at })
      return true
    },
    touch(hash, at) {
      const record = byHash.get(hash)
      if (record !== undefined) byHash.set(hash, { ...record, lastUsedAt: Math.max(at, record.lastUsedAt ?? 0) })
    },
  }
}
