/** Wallet tokens in a SQLite file, by node:sqlite. */
import type { DatabaseSync } from 'node:sqlite'
import { formatAccountId } from '../ethereum/account-id.ts'
import type { WalletTokenStore } from '../wallet/token-store.ts'
import { fromWalletTokenRow, toWalletTokenRow, WALLET_TOKEN_COLUMNS } from './wallet-token-row.ts'

export type SqliteWalletTokenStoreOptions = {
  /** Open, and not closed by the store. */
  readonly database: DatabaseSync
}

/** Makes the table when it is missing. */
export const SQLITE_WALLET_TOKEN_SCHEMA: string = `
create table if not exists auth_wallet_token (
  hash text primary key,
  id text not null unique,
  owner text not null,
  is_contract integer not null,
  name text not null,
  created_at integer not null,
  expires_at integer not null,
  last_used_at integer,
  revoked_at integer
) strict;
create index if not exists auth_wallet_token_owner on auth_wallet_token (owner, expires_at);
`

export function createSqliteWalletTokenStore({ database }: SqliteWalletTokenStoreOptions): WalletTokenStore {
  database.exec(SQLITE_WALLET_TOKEN_SCHEMA)
  const prune = database.prepare(
    'delete from auth_wallet_token where owner = ? and (expires_at <= ? or revoked_at is not null)',
  )
  // The count is part of the insert: nothing gets between them.
  const insert = database.prepare(`
    insert into auth_wallet_token (${WALLET_TOKEN_COLUMNS}) select ?1, ?2, ?3, ?4, ?5, ?6, ?7
    where (select count(*) from auth_wallet_token where owner = ?3 and expires_at > ?6 and revoked_at is null) < ?8`)
  const find = database.prepare('select * from auth_wallet_token where hash = ?')
  const list = database.prepare('select * from auth_wallet_token where owner = ? order by created_at, rowid')
  const revoke = database.prepare(
    'update auth_wallet_token set revoked_at = ? where owner = ? and id = ? and revoked_at is null',
  )
  const touch = database.prepare(
    'update auth_wallet_token set last_used_at = max(?1, coalesce(last_used_at, 0)) where hash = ?2',
  )
  return {
    insert(record, maxTokens) {
      prune.run(formatAccountId(record.wallet), record.createdAt)
      return Number(insert.run(...toWalletTokenRow(record), maxTokens).changes) === 1
    },
    find(hash) {
      const row = find.get(hash)
      return row === undefined ? undefined : fromWalletTokenRow(row)
    },
    list: (wallet) => list.all(formatAccountId(wallet)).map(fromWalletTokenRow),
    revoke: (wallet, id, at) => Number(revoke.run(at, formatAccountId(wallet), id).changes) === 1,
    touch(hash, at) {
      touch.run(at, hash)
    },
  }
}
