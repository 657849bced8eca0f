/** Wallet tokens in PostgreSQL, for many processes. */
import { formatAccountId } from '../ethereum/account-id.ts'
import type { WalletTokenStore } from '../wallet/token-store.ts'
import type { PostgresClient, PostgresParameter, PostgresRow } from './postgres-client.ts'
import { fromWalletTokenRow, toWalletTokenRow, WALLET_TOKEN_COLUMNS } from './wallet-token-row.ts'

/** A client that can hold a transaction: `postgres` (postgres.js) is one. */
export interface PostgresTransactions extends PostgresClient {
  begin<T>(work: (transaction: PostgresClient) => Promise<T>): Promise<unknown>
}

export type PostgresWalletTokenStoreOptions = {
  /** A client of `postgres` (postgres.js). The store does not end it. */
  readonly sql: PostgresTransactions
}

/** Statements that can be run again, by the owner of the tables. */
export const POSTGRES_WALLET_TOKEN_SCHEMA: string = `
create table if not exists auth_wallet_token (
  seq bigint generated always as identity,
  hash text collate "C" primary key,
  id text collate "C" not null unique,
  owner text collate "C" not null,
  is_contract int not null,
  name text not null,
  created_at bigint not null,
  expires_at bigint not null,
  last_used_at bigint,
  revoked_at bigint
);
create index if not exists auth_wallet_token_owner on auth_wallet_token (owner, expires_at);
`

/** Makes the table when it is missing. */
export async function migratePostgresWalletTokens(owner: PostgresClient): Promise<void> {
  await owner.unsafe(POSTGRES_WALLET_TOKEN_SCHEMA)
}

/**
 * Two inserts at once would count the same rows, so those of one owner wait for each other: the lock is taken in one
 * statement and the count, in the next one of the transaction, has a snapshot of its own.
 */
const LOCK = `select pg_advisory_xact_lock(hashtextextended('auth_wallet_token ' || $1, 0))`
const INSERT = `
insert into auth_wallet_token (${WALLET_TOKEN_COLUMNS})
select $1, $2, $3, $4::int, $5, $6::bigint, $7::bigint
where (select count(*) from auth_wallet_token where owner = $3 and expires_at > $6::bigint and revoked_at is null) < $8::int
returning 1`

export function createPostgresWalletTokenStore({ sql }: PostgresWalletTokenStoreOptions): WalletTokenStore {
  const run = async (query: string, parameters: PostgresParameter[]): Promise<readonly PostgresRow[]> =>
    sql.unsafe(query, parameters, { prepare: true })
  return {
    async insert(record, maxTokens) {
      const owner = formatAccountId(record.wallet)
      let isInserted = false
      await sql.begin(async (transaction) => {
        await transaction.unsafe(LOCK, [owner], { prepare: true })
        const prune =
          'delete from auth_wallet_token where owner = $1 and (expires_at <= $2::bigint or revoked_at is not null)'
        await transaction.unsafe(prune, [owner, String(record.createdAt)], { prepare: true })
        const parameters = [...toWalletTokenRow(record), maxTokens].map(String)
        isInserted = (await transaction.unsafe(INSERT, parameters, { prepare: true })).length === 1
      })
      return isInserted
    },
    async find(hash) {
      const [row] = await run('select * from auth_wallet_token where hash = $1', [hash])
      return row === undefined ? undefined : fromWalletTokenRow(row)
    },
    async list(wallet) {
      const rows = await run('select * from auth_wallet_token where owner = $1 order by created_at, seq', [
        formatAccountId(wallet),
      ])
      return rows.map(fromWalletTokenRow)
    },
    async revoke(wallet, id, at) {
      const query = `update auth_wallet_token set revoked_at = $1::bigint
        where owner = $2 and id = $3 and revoked_at is null returning 1`
      return (await run(query, [String(at), formatAccountId(wallet), id])).length === 1
    },
    async touch(hash, at) {
      const query = `update auth_wallet_token set last_used_at = greatest($1::bigint, last_used_at) where hash = $2`
      await run(query, [String(at), hash])
    },
  }
}
