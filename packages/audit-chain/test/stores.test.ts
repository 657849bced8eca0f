// One suite for every store: what a log needs of it is in `@mcp-gateway/audit-chain/testing`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
import { createPostgresStore, grantPostgres, migratePostgres } from '@mcp-gateway/audit-chain/stores/postgres'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { openSqliteThread } from '@mcp-gateway/audit-chain/stores/sqlite-thread'
import { storeConformance } from '@mcp-gateway/audit-chain/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostgres, type Server } from './support/postgres.ts'

describe('memory', () => {
  const suite = storeConformance(async () => ({ store: createMemoryStore(), [Symbol.asyncDispose]: async () => {} }))
  for (const { name, run } of suite) test(name, run)
})

describe.each([
  ['sqlite', undefined],
  ['sqlite, written by a thread', openSqliteThread],
])('%s', (_name, openThread) => {
  const suite = storeConformance(async () => {
    const directory = mkdtempSync(join(tmpdir(), 'audit-chain-'))
    const thread = openThread?.()
    const handles: DatabaseSync[] = []
    const reopen = async () => {
      const database = openSqlite(join(directory, 'audit.db'))
      handles.push(database)
      return createSqliteStore({ database, ...(thread && { thread }) })
    }
    return {
      store: await reopen(),
      reopen,
      async [Symbol.asyncDispose]() {
        await thread?.[Symbol.asyncDispose]()
        for (const handle of handles) handle.close()
        rmSync(directory, { recursive: true })
      },
    }
  })
  for (const { name, run } of suite) test(name, run)
})

describe('sqlite', () => {
  test.each([
    ['synchronous=normal', 'AUDIT_STORE_UNSAFE'],
    ['secure_delete=off', 'AUDIT_STORE_UNSAFE'],
  ])('a handle with %s is refused', (pragma, code) => {
    const directory = mkdtempSync(join(tmpdir(), 'audit-chain-'))
    using database = openSqlite(join(directory, 'audit.db'))
    database.exec(`pragma ${pragma}`)
    expect(() => createSqliteStore({ database })).toThrow(expect.objectContaining({ code }))
    rmSync(directory, { recursive: true })
  })

  test('triggers refuse to change or delete what is append-only', () => {
    const directory = mkdtempSync(join(tmpdir(), 'audit-chain-'))
    using database = openSqlite(join(directory, 'audit.db'))
    createSqliteStore({ database })
    database.exec(`insert into audit_log values (1, 'a', 5, x'00', 0, x'')`)
    database.exec(
      `insert into audit_entry values (1 << 40, 'x', x'00'); insert into audit_node values (1, 1, 0, x'00')`,
    )
    database.exec(`insert into audit_checkpoint values (1, 5, 'note')`)
    for (const statement of [
      "update audit_entry set id = 'y'",
      'delete from audit_entry',
      'update audit_node set hash = hash',
      'delete from audit_node',
      'update audit_checkpoint set note = note',
      'delete from audit_checkpoint',
      'delete from audit_log',
      'update audit_log set size = 4',
    ]) {
      expect(() => database.exec(statement), statement).toThrow(/append-only|only grows/)
    }
    rmSync(directory, { recursive: true })
  })
})

const server = await startPostgres()

describe.skipIf(typeof server === 'string')(
  `postgres ${typeof server === 'string' ? `(skipped: ${server})` : ''}`,
  () => {
    const { connect, createDatabase, [Symbol.asyncDispose]: stop } = server as Server
    let count = 0
    afterAll(() => stop())
    beforeAll(async () => {
      await connect().unsafe(`create role writer login password 'w'`)
    })

    const makeDatabase = async (): Promise<{ owner: string; writer: string }> => {
      count += 1
      const owner = await createDatabase(`conformance_${count}`)
      const sql = connect(owner, 1)
      await migratePostgres(sql)
      await migratePostgres(sql)
      await grantPostgres(sql, 'writer')
      return { owner, writer: owner.replace('owner:secret', 'writer:w') }
    }

    const suite = storeConformance(async () => {
      const { writer } = await makeDatabase()
      const clients = [connect(writer)]
      const reopen = async () => {
        const sql = connect(writer)
        clients.push(sql)
        return await createPostgresStore({ sql })
      }
      return {
        store: await createPostgresStore({ sql: clients[0] as (typeof clients)[number] }),
        reopen,
        async [Symbol.asyncDispose]() {
          for (const client of clients) await client.end({ timeout: 1 })
        },
      }
    })
    for (const { name, run } of suite) test(name, run)

    test('neither the writing role nor the owner changes or deletes entries', async () => {
      const { owner, writer } = await makeDatabase()
      const rows = `insert into audit_log (origin, size, last_hash, last_at, nodes) values ('a', 5, '', 0, '')`
      const sql = connect(owner, 1)
      await sql.unsafe(rows)
      await sql.unsafe(`insert into audit_entry select log, 0, 'x', '{}' from audit_log`)
      for (const url of [owner, writer]) {
        const client = connect(url, 1)
        for (const table of ['audit_entry', 'audit_node', 'audit_checkpoint', 'audit_log']) {
          for (const statement of [`delete from ${table}`, `truncate ${table} cascade`]) {
            // 42501: insufficient_privilege, from the trigger or for want of a grant
            if (table === 'audit_entry' || statement.startsWith('truncate')) {
              await expect(client.unsafe(statement), `${url} ${statement}`).rejects.toMatchObject({ code: '42501' })
            }
          }
        }
        await expect(client.unsafe(`update audit_entry set leaf = ''`)).rejects.toMatchObject({ code: '42501' })
        await expect(client.unsafe(`update audit_log set size = 4`)).rejects.toMatchObject({ code: '42501' })
      }
      const client = connect(writer, 1)
      for (const statement of [
        'drop trigger audit_entry_append_only on audit_entry',
        'alter table audit_entry disable trigger all',
      ]) {
        await expect(client.unsafe(statement), statement).rejects.toMatchObject({ code: '42501' })
      }
    })

    test('a server that does not wait for its disk is refused', async () => {
      const { writer } = await makeDatabase()
      const sql = connect(`${writer}?options=-csynchronous_commit%3Doff`, 1)
      await expect(createPostgresStore({ sql })).rejects.toMatchObject({ code: 'AUDIT_STORE_UNSAFE' })
    })
  },
)
