/**
 * Limits of one process whose days are in a SQLite file, by node:sqlite: neither a restart nor kill -9 gives a tenant its day
 * again. Buckets and places are in memory: what a restart forgets of them is minutes.
 *
 * Calls are claimed in blocks, so that the disk is asked {@link BLOCKS_PER_DAY} times for a day and not for each call. What a
 * process has claimed and not used when it is killed is lost; what ends in order gives it back.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { COUNTED, dayOf, refusedUntilTomorrow } from '../limits/day.ts'
import type { LimitStore } from '../store.ts'
import { createMemoryLimitStore } from './memory.ts'

export type SqliteLimitStoreOptions = {
  /**
   * Opens the database with the first call that is counted; the store does not close it. With `synchronous=full` not even a
   * power cut gives calls back.
   */
  readonly open: () => DatabaseSync
  /** Epoch milliseconds, by which days are counted. @default Date.now */
  readonly wallClock?: () => number
}

/** Disposing of it gives back what is claimed and not used; the database has to be open still. */
export type SqliteLimitStore = LimitStore & Disposable

/** Of each quota a block is this part, so that a crash costs a day 1 % of its calls at most. */
const BLOCKS_PER_DAY = 100
const MAX_BLOCK = 1000
/** Keys with a block of their own at a time. The adversary is an issuer of tokens that makes up tenants. */
const MAX_BLOCKS = 10_000
/** Days that are kept: a clock that is set back meets its count again. */
const KEEP_DAYS = 2

/** Makes the table when it is missing. */
export const SQLITE_LIMIT_SCHEMA: string = `
create table if not exists calls_per_day (
  day integer not null,
  key text not null,
  calls integer not null,
  claimed integer not null,
  primary key (day, key)
) strict, without rowid`

/** One statement, and so one step for every process that has the file open. No row: there is nothing left. */
const CLAIM = `
insert into calls_per_day (day, key, calls, claimed) values (?1, ?2, min(?3, ?4), min(?3, ?4))
on conflict (day, key) do update
set claimed = min(?3, ?4 - calls), calls = calls + min(?3, ?4 - calls) where calls < ?4
returning claimed`

type Block = { readonly day: number; readonly limit: number; left: number }

export function createSqliteLimitStore({ open, wallClock = Date.now }: SqliteLimitStoreOptions): SqliteLimitStore {
  let opened: Statements | undefined
  let today = -Infinity
  const blocks = new Map<string, Block>()

  const claim = (key: string, day: number, limit: number): number => {
    opened ??= prepare(open())
    if (day > today) {
      today = day
      opened.prune.run(day - KEEP_DAYS)
    }
    const wanted = Math.min(Math.max(Math.floor(limit / BLOCKS_PER_DAY), 1), MAX_BLOCK)
    return Number(opened.claim.get(day, key, wanted, limit)?.['claimed'] ?? 0)
  }
  const giveBack = (key: string, { day, left }: Block): void => {
    blocks.delete(key)
    if (left > 0) opened?.giveBack.run(left, day, key)
  }
  return {
    ...createMemoryLimitStore(),
    count({ key, limit }) {
      const now = wallClock()
      const day = dayOf(now)
      let block = blocks.get(key)
      if (block?.left === 0 || block?.day !== day || block.limit !== limit) {
        if (block !== undefined) giveBack(key, block)
        const [oldest] = blocks.size >= MAX_BLOCKS ? blocks : []
        if (oldest !== undefined) giveBack(...oldest)
        block = { day, limit, left: claim(key, day, limit) }
        if (block.left === 0) return refusedUntilTomorrow(now)
        blocks.set(key, block)
      }
      block.left -= 1
      return COUNTED
    },
    [Symbol.dispose]() {
      for (const [key, block] of blocks) giveBack(key, block)
    },
  }
}

type Statements = Readonly<Record<'claim' | 'giveBack' | 'prune', StatementSync>>

function prepare(database: DatabaseSync): Statements {
  database.exec(SQLITE_LIMIT_SCHEMA)
  return {
    claim: database.prepare(CLAIM),
    giveBack: database.prepare('update calls_per_day set calls = calls - ? where day = ? and key = ?'),
    prune: database.prepare('delete from calls_per_day where day < ?'),
  }
}
