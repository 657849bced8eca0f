/** A row of `auth_wallet_token`, as SQLite and PostgreSQL give it, and the record that it is. */
import { formatAccountId, parseAccountId } from '../ethereum/account-id.ts'
import type { WalletTokenRecord } from '../wallet/token-store.ts'

/** In the order of `WALLET_TOKEN_COLUMNS`. */
export function toWalletTokenRow(record: WalletTokenRecord): [string, string, string, number, string, number, number] {
  const { hash, id, wallet, isContract, name, createdAt, expiresAt } = record
  return [hash, id, formatAccountId(wallet), isContract ? 1 : 0, name, createdAt, expiresAt]
}

export const WALLET_TOKEN_COLUMNS = 'hash, id, owner, is_contract, name, created_at, expires_at'

/** @throws TypeError for a row that no store of ours has written */
export function fromWalletTokenRow(row: Readonly<Record<string, unknown>>): WalletTokenRecord {
  const wallet = parseAccountId(String(row['owner']))
  if (wallet === undefined) throw new TypeError('auth_wallet_token has an owner that is no account')
  return {
    id: String(row['id']),
    hash: String(row['hash']),
    wallet,
    isContract: Number(row['is_contract']) === 1,
    name: String(row['name']),
    createdAt: Number(row['created_at']),
    expiresAt: Number(row['expires_at']),
    lastUsedAt: row['last_used_at'] === null ? undefined : Number(row['last_used_at']),
    revokedAt: row['revoked_at'] === null ? undefined : Number(row['revoked_at']),
  }
}
