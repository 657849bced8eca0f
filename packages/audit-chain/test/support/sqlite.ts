// A log in a SQLite file, and the hand of somebody who administers that file.
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { openLog, type AuditLog, type AuditLimits, type AuditStore } from '@mcp-gateway/audit-chain'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'

export type Scratch = Disposable & { readonly directory: string; readonly path: string }

export function scratch(): Scratch {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'audit-chain-')))
  return {
    directory,
    path: join(directory, 'audit.db'),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}

export type Opened = AsyncDisposable & {
  readonly store: AuditStore
  readonly log: AuditLog
  readonly database: DatabaseSync
}

export function open(path: string, origin: string, limits: Partial<AuditLimits> = {}): Opened {
  const database = openSqlite(path)
  const store = createSqliteStore({ database })
  const log = openLog({ store, origin, limits })
  return {
    store,
    log,
    database,
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]()
      database.close()
    },
  }
}

/** Statements of an administrator who first removes what stands in the way. */
export function administer(
  path: string,
  ...statements: readonly (string | readonly [string, ...SQLInputValue[]])[]
): void {
  using database = new DatabaseSync(path, { enableForeignKeyConstraints: false })
  const triggers = database.prepare(`select name from sqlite_master where type = 'trigger'`).all()
  for (const { name } of triggers) database.exec(`drop trigger ${String(name)}`)
  for (const statement of statements) {
    const [sql, ...values] = typeof statement === 'string' ? [statement] : statement
    database.prepare(sql).run(...values)
  }
}

/** Whether the bytes of `text` are in any file of the folder. */
export function grep(directory: string, text: string): string[] {
  const bytes = Buffer.from(text)
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(bytes))
}
