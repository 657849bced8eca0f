// Erasing takes values out of every file, and nothing out of the chain.
import { generateKeyPairSync } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import {
  createPublisher,
  createSigner,
  examineLog,
  formatTlogProof,
  openLog,
  type AuditLog,
} from '@mcp-gateway/audit-chain'
import { createPostgresStore, migratePostgres, rewriteErased } from '@mcp-gateway/audit-chain/stores/postgres'
import { trustLogs, verifyDisclosure, verifyTlogProof } from '@mcp-gateway/audit-chain/verify'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, test } from 'vitest'
import { startPostgres, type Server } from './support/postgres.ts'
import { grep, open, scratch } from './support/sqlite.ts'

const ORIGIN = 'example.com/erasure'
const signer = createSigner({ name: ORIGIN, privateKey: generateKeyPairSync('ed25519').privateKey })
const policy = trustLogs(signer.verifierKey.text)
const ADA = 'ada.lovelace@example.com'
const SECRETS = [ADA, 'Ockham Park, Surrey', 'the engine weaves algebraical patterns']

const fill = async (log: AuditLog, count: number): Promise<void> => {
  await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const isAda = i % 5 === 0
      const fields = {
        args: isAda ? `{"home":"${SECRETS[1]}"}` : `{"n":${i}}`,
        response: isAda ? `${SECRETS[2]} `.repeat(300) : 'ok',
      }
      return log.append({ type: 'tool.call', facts: { i }, subject: isAda ? ADA : `person-${i}`, fields })
    }),
  )
}

describe('sqlite', () => {
  test('values, keys and subject are gone from every file; chain, old proofs and others’ fields still verify', async () => {
    using home = scratch()
    await using opened = open(home.path, ORIGIN)
    const { log, store } = opened
    await fill(log, 400)
    const publisher = createPublisher({ store, signer })
    const before = await publisher.publish()
    const [shown] = await log.disclose(5)
    const { leaf } = await log.entry(5)
    const proof = formatTlogProof({ index: 5, proof: await log.proveInclusion(5, 400), checkpoint: before?.note ?? '' })
    const key = Buffer.from(shown?.key ?? []).toString('latin1')
    for (const secret of SECRETS) expect(grep(home.directory, secret), secret).not.toEqual([])

    const { entries, receipts } = await log.erase({ what: { subject: ADA }, reason: 'GDPR Art. 17', by: 'key-7' })
    expect([entries, receipts.length]).toEqual([80, 1])

    for (const secret of SECRETS) expect(grep(home.directory, secret), secret).toEqual([])
    expect(await log.disclose(5)).toEqual([])
    expect((await examineLog({ store, origin: ORIGIN, policy, remembered: [before?.note ?? ''] })).findings).toEqual([])
    expect(verifyTlogProof(proof, leaf, policy, ORIGIN).findings).toEqual([])
    expect((await publisher.publish())?.checkpoint.size).toBe(401)
    // Who has kept value and key still can show them; the log cannot.
    expect(verifyDisclosure(leaf, shown ?? expect.fail('disclosed'))).toEqual([])
    expect(key).toHaveLength(32)
    for (const field of await log.disclose(6)) expect(verifyDisclosure((await log.entry(6)).leaf, field)).toEqual([])
    expect((await log.entry(400)).entry).toMatchObject({
      type: 'erasure',
      facts: { by: 'key-7', reason: 'GDPR Art. 17' },
    })
  })

  // An index whose pages split keeps copies of keys in their unused space; at these sizes it did.
  test.each([640, 960, 1200])(
    'of %i entries that came in groups, no page of an index keeps a subject',
    async (count) => {
      using home = scratch()
      await using opened = open(home.path, ORIGIN)
      for (let at = 0; at < count; at += 40) {
        const subjects = Array.from({ length: 40 }, (_, j) =>
          (at + j) % 5 === 0 ? ADA : `person-${((at + j) * 7919) % 1000}`,
        )
        await Promise.all(subjects.map((subject) => opened.log.append({ type: 'x', subject, fields: { args: 'n' } })))
      }
      await opened.log.erase({ what: { subject: ADA }, reason: 'GDPR Art. 17', by: 'test' })
      expect(grep(home.directory, ADA)).toEqual([])
    },
  )

  test('one field of a range, and then retention of everything before', async () => {
    using home = scratch()
    await using opened = open(home.path, ORIGIN)
    const { log, store } = opened
    await fill(log, 100)
    await log.erase({ what: { from: 0, to: 100 }, fields: ['response'], reason: 'minimise', by: 'policy' })
    expect(grep(home.directory, SECRETS[2] ?? '')).toEqual([])
    expect(grep(home.directory, SECRETS[1] ?? '')).not.toEqual([])
    expect((await log.disclose(5)).map(({ name }) => name)).toEqual(['args', 'subject'])
    await log.erase({
      what: { from: 0, to: await log.findTime(Number.MAX_SAFE_INTEGER) },
      reason: 'retention',
      by: 'policy',
    })
    for (const secret of SECRETS) expect(grep(home.directory, secret), secret).toEqual([])
    expect((await examineLog({ store, origin: ORIGIN })).findings).toEqual([])
  })

  test('a long range is erased in several transactions, each with its entry', async () => {
    using home = scratch()
    await using opened = open(home.path, ORIGIN, { maxOutstanding: 30_000 })
    const { log, store } = opened
    await fill(log, 21_000)
    const { entries, receipts } = await log.erase({ what: { from: 0, to: 21_000 }, reason: 'retention', by: 'policy' })
    expect([entries, receipts.length]).toEqual([21_000, 3])
    await fill(log, 3000)
    const again = await log.erase({ what: { subject: ADA }, reason: 'asked', by: 'key-7' })
    expect([again.entries, again.receipts.length]).toEqual([600, 2])
    for (const secret of SECRETS) expect(grep(home.directory, secret), secret).toEqual([])
    expect((await examineLog({ store, origin: ORIGIN })).findings).toEqual([])
  })

  test('a reader that holds the old pages is reported, and scrubbing again works', async () => {
    using home = scratch()
    await using opened = open(home.path, ORIGIN)
    const { log, store } = opened
    await fill(log, 20)
    using reader = new DatabaseSync(home.path)
    reader.exec('begin')
    reader.prepare('select count(*) from audit_field').get()
    await expect(log.erase({ what: { subject: ADA }, reason: 'asked', by: 'key-7' })).rejects.toMatchObject({
      code: 'AUDIT_ERASE_INCOMPLETE',
    })
    reader.exec('commit')
    await store.scrub()
    for (const secret of SECRETS) expect(grep(home.directory, secret), secret).toEqual([])
    expect((await examineLog({ store, origin: ORIGIN })).findings).toEqual([])
  })

  test('a commitment says nothing about a value that can be guessed', async () => {
    using home = scratch()
    await using opened = open(home.path, ORIGIN)
    const { log } = opened
    for (let i = 0; i < 2; i += 1) await log.append({ type: 'test', fields: { pin: '0000' } })
    const [one, two] = [(await log.entry(0)).entry.commit?.['pin'], (await log.entry(1)).entry.commit?.['pin']]
    expect(one).not.toBe(two)
    const [field] = await log.disclose(0)
    const { leaf } = await log.entry(0)
    const shown = field ?? expect.fail('disclosed')
    expect(verifyDisclosure(leaf, shown)).toEqual([])
    for (const changed of [
      { ...shown, value: Buffer.from('0001') },
      { ...shown, key: Buffer.alloc(32) },
      { ...shown, key: Buffer.alloc(31) },
      { ...shown, name: 'constructor' },
      { ...shown, name: 'other' },
    ]) {
      expect(verifyDisclosure(leaf, changed)).toEqual([expect.objectContaining({ code: 'DISCLOSURE_UNPROVEN' })])
    }
  })

  test('only `erase` writes erasures, and only about what is there', async () => {
    using home = scratch()
    await using opened = open(home.path, ORIGIN)
    await opened.log.append({ type: 'test' })
    await expect(opened.log.append({ type: 'erasure' })).rejects.toMatchObject({ code: 'AUDIT_ENTRY_INVALID' })
    for (const what of [
      { from: 0, to: 2 },
      { from: 1, to: 1 },
      { from: -1, to: 1 },
    ]) {
      await expect(opened.log.erase({ what, reason: 'x', by: 'x' })).rejects.toMatchObject({ code: 'AUDIT_NOT_FOUND' })
    }
    expect(await opened.log.erase({ what: { subject: 'nobody' }, reason: 'x', by: 'x' })).toEqual({
      entries: 0,
      receipts: [],
    })
  })
})

const server = await startPostgres('wal_recycle=off', 'max_wal_size=32MB', 'min_wal_size=32MB')

describe.skipIf(typeof server === 'string')(
  `postgres ${typeof server === 'string' ? `(skipped: ${server})` : ''}`,
  () => {
    const { connect, createDatabase, directory, [Symbol.asyncDispose]: stop } = server as Server
    afterAll(() => stop())

    test('values are gone from every table file once the owner rewrote the table', { timeout: 120_000 }, async () => {
      const owner = await createDatabase('erasure')
      const sql = connect(owner, 2)
      await migratePostgres(sql)
      const store = await createPostgresStore({ sql })
      await using log = openLog({ store, origin: ORIGIN })
      await fill(log, 100)
      await sql.unsafe('checkpoint')
      // Values may be compressed in a table (TOAST); the address is short enough not to be.
      expect(grep(directory, ADA)).not.toEqual([])
      const { entries } = await log.erase({ what: { subject: ADA }, reason: 'GDPR Art. 17', by: 'key-7' })
      expect(entries).toBe(20)
      await rewriteErased(sql)
      // A new segment, and then another checkpoint, let the old segments of the write-ahead log go.
      await sql.unsafe('select pg_switch_wal()')
      await sql.unsafe('checkpoint')
      await sql.unsafe('checkpoint')
      for (const secret of SECRETS) {
        const files = grep(directory, secret).map((path) => path.slice(directory.length))
        expect(files, secret).toEqual([])
      }
      expect((await examineLog({ store, origin: ORIGIN })).findings).toEqual([])
      expect(execFileSync('ls', [directory]).length).toBeGreaterThan(0)
    })
  },
)
