/**
 * Stores in a SQLite file, by node:sqlite: for one machine. What is consumed is on the disk before it is answered when the
 * handle says `synchronous=full`; with less, a power cut can bring the last nonces back to life.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { ReplayStore } from '../replay-store.ts'

export {
  createSqliteWalletTokenStore,
  SQLITE_WALLET_TOKEN_SCHEMA,
  type SqliteWalletTokenStoreOptions,
} from './sqlite-wallet-tokens.ts'

export type SqliteReplayStoreOptions = {
  /** Open, and not closed by the store. Its `timeout` is how long a consume waits, blocking, for another process. */
  readonly database: DatabaseSync
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
}

/** Makes the table when it is missing. */
export const SQLITE_REPLAY_SCHEMA: string = `
create table if not exists auth_replay (
  key text primary key,
  expires_at integer not null
) strict, without rowid;
create index if not exists auth_replay_expiry on auth_replay (expires_at);
`

/** More than one: the table shrinks after a rush, and no single call pays for all of it. */
const PRUNE_BATCH = 16

export function createSqliteReplayStore({ database, clock = Date.now }: SqliteReplayStoreOptions): ReplayStore {
  database.exec(SQLITE_REPLAY_SCHEMA)
  const prune = database.prepare(
    `delete from auth_replay where key in (select key from auth_replay where expires_at < ? limit ${PRUNE_BATCH})`,
  )
  // One statement, and so one step for every process that has the file open.
  const consume = database.prepare(`
    insert into auth_replay (key, expires_at) values (?, ?)
    on conflict (key) do update set expires_at = excluded.expires_at where auth_replay.expires_at < ?`)
  return {
    consume(key, expiresAtMs) {
      const now = clock()
      if (!(expiresAtMs >= now)) return false
      prune.run(now)
      return Number(consume.run(key, Math.ceil(expiresAtMs), now).changes) === 1
    },
  }
}
