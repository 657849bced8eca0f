/** Stores in PostgreSQL, for many processes. Times are the server's: no replica's clock matters. */
import type { ReplayStore } from '../replay-store.ts'
import type { PostgresClient } from './postgres-client.ts'

export {
  createPostgresWalletTokenStore,
  migratePostgresWalletTokens,
  POSTGRES_WALLET_TOKEN_SCHEMA,
  type PostgresTransactions,
  type PostgresWalletTokenStoreOptions,
} from './postgres-wallet-tokens.ts'

export type { PostgresClient, PostgresParameter, PostgresRow } from './postgres-client.ts'

export type PostgresReplayStoreOptions = {
  /** A client of `postgres` (postgres.js). The store does not end it. */
  readonly sql: PostgresClient
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
}

/** Statements that can be run again, by the owner of the tables. */
export const POSTGRES_REPLAY_SCHEMA: string = `
create table if not exists auth_replay (
  key text collate "C" primary key,
  expires_at bigint not null
);
create index if not exists auth_replay_expiry on auth_replay (expires_at);
`

/** Makes the table when it is missing. */
export async function migratePostgresReplay(owner: PostgresClient): Promise<void> {
  await owner.unsafe(POSTGRES_REPLAY_SCHEMA)
}

const NOW = '(extract(epoch from clock_timestamp()) * 1000)::bigint'
/**
 * One statement: the primary key decides between two that come at once. What has expired is taken away on the way, in
 * small bites; `skip locked` because two that prune in different orders would wait for each other.
 */
const CONSUME = `
with expired as (
  select key from auth_replay where expires_at < ${NOW} and key <> $1 limit 16 for update skip locked
), pruned as (
  delete from auth_replay using expired where auth_replay.key = expired.key
)
insert into auth_replay (key, expires_at) values ($1, ${NOW} + $2::bigint)
on conflict (key) do update set expires_at = excluded.expires_at where auth_replay.expires_at < ${NOW}
returning 1`

export function createPostgresReplayStore({ sql, clock = Date.now }: PostgresReplayStoreOptions): ReplayStore {
  return {
    async consume(key, expiresAtMs) {
      const ttlMs = Math.ceil(expiresAtMs - clock())
      if (!(ttlMs >= 0)) return false
      const rows = await sql.unsafe(CONSUME, [key, String(ttlMs)], { prepare: true })
      return rows.length === 1
    },
  }
}
