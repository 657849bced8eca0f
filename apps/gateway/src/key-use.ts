/** When each API key was last used, within a minute, kept beside the enablements: for whoever wonders which can go. */
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export type KeyUse = Disposable & { note(keyId: string, atMs: number): void }

const SCHEMA = 'create table if not exists key_use (key_id text primary key, used_at integer not null) strict'
const NOTE = `insert into key_use (key_id, used_at) values (?, ?)
  on conflict (key_id) do update set used_at = max(used_at, excluded.used_at)`

/** The file is opened by the first use. @param file a path, or `:memory:` for a gateway that keeps nothing */
export function openKeyUse(file: string): KeyUse {
  let database: DatabaseSync | undefined
  const open = (): DatabaseSync => {
    if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true })
    database = new DatabaseSync(file, { timeout: 100 })
    // A use that is forgotten in a power cut is no loss, and no call waits for the disk.
    database.exec(`pragma journal_mode=wal; pragma synchronous=off; ${SCHEMA}`)
    return database
  }
  return {
    note: (keyId, atMs) => void (database ?? open()).prepare(NOTE).run(keyId, atMs),
    [Symbol.dispose]: () => database?.close(),
  }
}

/** Epoch milliseconds by key id; empty when no gateway has noted anything yet. */
export function readKeyUse(file: string): ReadonlyMap<string, number> {
  if (!existsSync(file)) return new Map()
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const known = database.prepare("select 1 from sqlite_master where name = 'key_use'").get()
    if (known === undefined) return new Map()
    const rows = database.prepare('select key_id, used_at from key_use').all()
    return new Map(rows.map((row) => [String(row['key_id']), Number(row['used_at'])]))
  } finally {
    database.close()
  }
}
