// kill -9 under load, again and again on one log: whatever was acknowledged is there, no link is broken, and the next
// process continues the same log.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateKeyPairSync } from 'node:crypto'
import {
  createPublisher,
  createSigner,
  examineLog,
  openLog,
  openSuccessor,
  successorOrigin,
  type AuditStore,
} from '@mcp-gateway/audit-chain'
import { createFilePlace } from '@mcp-gateway/audit-chain/anchors/file'
import { createPostgresStore, grantPostgres, migratePostgres } from '@mcp-gateway/audit-chain/stores/postgres'
import { trustLogs } from '@mcp-gateway/audit-chain/verify'
import { copyFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { startPostgres, type Server } from './support/postgres.ts'
import { open, scratch } from './support/sqlite.ts'

const ORIGIN = 'example.com/crash'
const WRITER = join(import.meta.dirname, 'support/writer.ts')
const SQLITE_KILLS = Number(process.env['AUDIT_CRASHES_SQLITE'] ?? 50)
const POSTGRES_KILLS = Number(process.env['AUDIT_CRASHES_POSTGRES'] ?? 50)

/** Runs a writer until it has had `acknowledgements`, and a random moment more. Returns what it was told. */
const crash = async (args: readonly string[], acknowledgements: number): Promise<Map<number, string>> => {
  const child = spawn(process.execPath, ['--conditions=@mcp-gateway/source', WRITER, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const seen = new Map<number, string>()
  const exited = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout })) {
    const [seq, id] = line.split(' ')
    seen.set(Number(seq), id ?? '')
    if (seen.size === acknowledgements) void sleep(Math.random() * 20).then(() => child.kill('SIGKILL'))
  }
  await exited
  expect(child.signalCode).toBe('SIGKILL')
  return seen
}

const check = async (store: AuditStore, seen: ReadonlyMap<number, string>): Promise<number> => {
  const { findings, size } = await examineLog({ store, origin: ORIGIN })
  expect(findings).toEqual([])
  for (const [seq, id] of seen) expect(await store.find(ORIGIN, id)).toBe(seq)
  return size
}

describe('sqlite', () => {
  const name = `%s: no acknowledged entry is lost and no link is broken, ${SQLITE_KILLS} times`
  test.each(['sqlite', 'sqlite-thread'])(name, { timeout: 300_000 }, async (kind) => {
    using home = scratch()
    let before = 0
    for (let round = 0; round < SQLITE_KILLS; round += 1) {
      const seen = await crash([kind, home.path, ORIGIN], 1 + Math.floor(Math.random() * 600))
      await using opened = open(home.path, ORIGIN)
      const { size } = await opened.log.head()
      // Every round the new entries; the whole log now and then and at the end, which costs more the longer it gets.
      for (const [seq, id] of seen) expect([seq, await opened.store.find(ORIGIN, id)]).toEqual([seq, seq])
      expect(Math.min(...seen.keys())).toBeGreaterThanOrEqual(before)
      expect(size).toBeGreaterThan(Math.max(...seen.keys()))
      if (round % 10 === 9 || round === SQLITE_KILLS - 1) await check(opened.store, seen)
      before = size
    }
  })

  test('a restored backup is refused, and opens a new log that names the old one', async () => {
    using home = scratch()
    using elsewhere = scratch()
    const { privateKey } = generateKeyPairSync('ed25519')
    const place = createFilePlace({ directory: elsewhere.directory })
    const publisherOf = (store: AuditStore, name: string) =>
      createPublisher({ store, signer: createSigner({ name, privateKey }), places: [place] })
    {
      await using opened = open(home.path, ORIGIN)
      for (let i = 0; i < 20; i += 1) await opened.log.append({ type: 'tool.call', facts: { i } })
      await publisherOf(opened.store, ORIGIN).publish()
    }
    using backup = scratch()
    copyFileSync(home.path, backup.path)
    {
      await using opened = open(home.path, ORIGIN)
      for (let i = 0; i < 20; i += 1) await opened.log.append({ type: 'tool.call', facts: { i } })
      await publisherOf(opened.store, ORIGIN).publish()
    }
    await using restored = open(backup.path, ORIGIN)
    await restored.log.append({ type: 'tool.call' })
    await expect(publisherOf(restored.store, ORIGIN).publish()).rejects.toMatchObject({ code: 'AUDIT_ROLLED_BACK' })

    const next = successorOrigin(ORIGIN)
    await using log = openLog({ store: restored.store, origin: next })
    const remembered = (await place.last(ORIGIN)) ?? ''
    await openSuccessor(log, remembered)
    const published = await publisherOf(restored.store, next).publish()
    expect(published?.checkpoint).toMatchObject({ origin: 'example.com/crash.2', size: 1 })
    const { entry } = await log.entry(0)
    expect(entry).toMatchObject({
      type: 'log.opened',
      facts: { previous: { origin: ORIGIN, size: 40, root: remembered.split('\n')[2] } },
    })
    await expect(openSuccessor(log, remembered)).rejects.toMatchObject({ code: 'AUDIT_FORKED' })
    const policy = trustLogs(createSigner({ name: next, privateKey }).verifierKey.text)
    expect((await examineLog({ store: restored.store, origin: next, policy })).findings).toEqual([])
    expect(successorOrigin(next)).toBe('example.com/crash.3')
  })
})

const server = await startPostgres()

describe.skipIf(typeof server === 'string')(
  `postgres ${typeof server === 'string' ? `(skipped: ${server})` : ''}`,
  () => {
    const { connect, createDatabase, [Symbol.asyncDispose]: stop } = server as Server
    afterAll(() => stop())

    test(
      `no acknowledged entry is lost and no link is broken, ${POSTGRES_KILLS} times`,
      { timeout: 300_000 },
      async () => {
        const owner = await createDatabase('crash')
        const sql = connect(owner)
        await migratePostgres(sql)
        const store = await createPostgresStore({ sql })
        let before = 0
        for (let round = 0; round < POSTGRES_KILLS; round += 1) {
          const seen = await crash(['postgres', owner, ORIGIN], 1 + Math.floor(Math.random() * 600))
          const size = await check(store, seen)
          expect(Math.min(...seen.keys())).toBeGreaterThanOrEqual(before)
          expect(size).toBeGreaterThan(Math.max(...seen.keys()))
          before = size
        }
      },
    )

    const total = Number(process.env['AUDIT_ENTRIES'] ?? 100_000)
    test(`four processes append ${total} entries to one log: no gap, no fork`, { timeout: 300_000 }, async () => {
      const owner = await createDatabase('four')
      const sql = connect(owner)
      await migratePostgres(sql)
      await sql.unsafe(`create role writer login password 'w'`)
      await grantPostgres(sql, 'writer')
      const url = owner.replace('owner:secret', 'writer:w')
      const args = ['--conditions=@mcp-gateway/source', WRITER, 'postgres', url, ORIGIN, String(total / 4)]
      const children = Array.from({ length: 4 }, () =>
        spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }),
      )
      const seqs = await Promise.all(
        children.map(async (child) => {
          const seen: number[] = []
          for await (const line of createInterface({ input: child.stdout })) seen.push(Number(line.split(' ')[0]))
          return seen
        }),
      )
      const all = new Uint8Array(total)
      for (const seq of seqs.flat()) all[seq] = (all[seq] ?? 0) + 1
      expect(all.every((times) => times === 1)).toBe(true)
      expect(seqs.flat()).toHaveLength(total)
      const { findings, size } = await examineLog({ store: await createPostgresStore({ sql }), origin: ORIGIN })
      expect({ findings, size }).toEqual({ findings: [], size: total })
    })
  },
)
