/**
 * Which servers a caller has enabled, kept in SQLite. The adversary is a caller who makes up sessions: of each caller the
 * newest {@link MAX_SCOPES} are kept.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'

export type EnablementStore = Disposable & {
  enabled(scope: string): ReadonlySet<string>
  /** True when it was not enabled before. On disk when it returns. */
  enable(scope: string, callerId: string, serverId: string): boolean
  /** True when it was enabled before. */
  disable(scope: string, serverId: string): boolean
  [Symbol.dispose](): void
}

/** Sessions of one caller with enabled servers. */
const MAX_SCOPES = 100
/** Scopes whose servers are kept in memory. */
const MAX_CACHED = 10_000

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS enabled_servers (
    scope TEXT NOT NULL, caller_id TEXT NOT NULL, server_id TEXT NOT NULL, enabled_at INTEGER NOT NULL,
    PRIMARY KEY (scope, server_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS enabled_servers_by_caller ON enabled_servers (caller_id, enabled_at);
`

/**
 * The file is made by the first enablement, and not by a gateway that needs none.
 * @param file a path, or `:memory:` for a gateway that keeps nothing
 */
export function openEnablementStore(file: string): EnablementStore {
  const cache = new Map<string, ReadonlySet<string>>()
  let opened: Statements | undefined
  const open = (): Statements => (opened ??= prepare(file))

  return {
    enabled(scope) {
      const known = cache.get(scope)
      if (known !== undefined) return known
      const isNew = opened === undefined && !existsSync(file)
      const found = isNew
        ? NOTHING
        : new Set(
            open()
              .select.all(scope)
              .map((row) => String(row['server_id'])),
          )
      if (cache.size >= MAX_CACHED) cache.clear()
      cache.set(scope, found)
      return found
    },
    enable(scope, callerId, serverId) {
      const { insert, prune } = open()
      const { changes } = insert.run(scope, callerId, serverId, Date.now())
      if (changes === 0) return false
      if (prune.run(callerId, MAX_SCOPES).changes === 0) cache.delete(scope)
      else cache.clear()
      return true
    },
    disable(scope, serverId) {
      cache.delete(scope)
      return open().remove.run(scope, serverId).changes !== 0
    },
    [Symbol.dispose]: () => opened?.db.close(),
  }
}

const NOTHING: ReadonlySet<string> = new Set()

type Statements = Readonly<Record<'select' | 'insert' | 'remove' | 'prune', StatementSync>> & {
  readonly db: DatabaseSync
}

function prepare(file: string): Statements {
  if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true })
  const db = new DatabaseSync(file)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;')
  db.exec(SCHEMA)
  return {
    db,
    select: db.prepare('SELECT server_id FROM enabled_servers WHERE scope = ?'),
    insert: db.prepare('INSERT OR IGNORE INTO enabled_servers VALUES (?, ?, ?, ?)'),
    remove: db.prepare('DELETE FROM enabled_servers WHERE scope = ? AND server_id = ?'),
    prune: db.prepare(`
      DELETE FROM enabled_servers WHERE caller_id = ?1 AND scope NOT IN (
        SELECT scope FROM enabled_servers WHERE caller_id = ?1 GROUP BY scope ORDER BY MAX(enabled_at) DESC LIMIT ?2)`),
  }
}
