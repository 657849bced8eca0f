import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { createPublisher, createRetention, createSigner, examineLog, openLog, type AuditStore } from '@mcp-gateway/audit-chain' // prettier-ignore
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { trustLogs, verifyTlogProof } from '@mcp-gateway/audit-chain/verify'
import { formatTlogProof } from '@mcp-gateway/audit-chain'
import { never, ORIGIN } from './support/exports.ts'
import { scratch } from './support/sqlite.ts'

const DAY_MS = 86_400_000

test('what is older than its time is gone from every file; chain, old checkpoint and old proof still verify', async () => {
  using home = scratch()
  let now = Date.UTC(2026, 0, 1)
  const clock = (): number => now
  const database = openSqlite(home.path)
  const store = createSqliteStore({ database })
  await using log = openLog({ store, origin: ORIGIN, clock })
  const append = (word: string) => log.append({ type: 'tool.call', subject: `${word}-agent`, fields: { arguments: `${word}-canary` } }) // prettier-ignore
  for (let i = 0; i < 50; i += 1) await append(`aged${i}`)
  const signer = createSigner({ name: ORIGIN, privateKey: generateKeyPairSync('ed25519').privateKey })
  const published = await createPublisher({ store, signer }).publish()
  const proof = formatTlogProof({ index: 7, proof: await log.proveInclusion(7, 50), checkpoint: published?.note ?? '' })
  const { leaf } = await log.entry(7)
  now += 29 * DAY_MS
  await append('young')

  const retention = createRetention({ store, log, retainMs: 30 * DAY_MS, by: 'gateway', clock })
  expect(await retention.run(never)).toBe(0)
  now += 2 * DAY_MS
  expect(await retention.run(never)).toBe(50)

  const bytes = (): string => readdirSync(home.directory).map((name) => readFileSync(join(home.directory, name), 'latin1')).join() // prettier-ignore
  expect(bytes()).not.toContain('aged')
  expect(bytes()).toContain('young-canary')
  const { entry } = await log.entry(51)
  expect(entry).toMatchObject({ type: 'erasure', facts: { by: 'gateway', reason: 'retention: older than 30 days', entries: [[0, 50]] } }) // prettier-ignore
  const { findings } = await examineLog({ store, origin: ORIGIN, remembered: [published?.note ?? ''], policy: trustLogs(signer.verifierKey.text) }) // prettier-ignore
  expect(findings).toEqual([])
  expect(verifyTlogProof(proof, leaf, trustLogs(signer.verifierKey.text)).findings).toEqual([])

  // Again at once: nothing is there to do, and nothing is said. Ever after, an erasure begets no other.
  expect(await retention.run(never)).toBe(0)
  now += 40 * DAY_MS
  await retention.run(never)
  now += 40 * DAY_MS
  await retention.run(never)
  expect((await log.head()).size).toBe(53)
  expect(bytes()).not.toContain('young-canary')
  database.close()
})

test('a run that is killed between erasing and noting it goes on, and one that could not scrub scrubs again', async () => {
  using home = scratch()
  let now = Date.UTC(2026, 0, 1)
  const clock = (): number => now
  const database = openSqlite(home.path)
  const store = createSqliteStore({ database })
  await using log = openLog({ store, origin: ORIGIN, clock })
  for (let i = 0; i < 5; i += 1) await log.append({ type: 'tool.call', fields: { arguments: `old-${i}` } })
  now += 2 * DAY_MS
  let scrubs = 0
  const failing: AuditStore = {
    ...store,
    scrub: () => Promise.resolve(void (scrubs += 1)),
    setCursor: () => Promise.reject(new Error('killed')),
  }
  const options = { retainMs: DAY_MS, by: 'gateway', clock }
  await expect(createRetention({ ...options, store: failing, log }).run(never)).rejects.toThrow('killed')
  const counting: AuditStore = { ...failing, setCursor: store.setCursor }
  expect(await createRetention({ ...options, store: counting, log }).run(never)).toBe(5)
  expect(scrubs).toBe(1)
  // One erasure entry: the second run found nothing left to erase.
  expect((await log.head()).size).toBe(6)
  expect(await store.cursor(ORIGIN, 'retention')).toBe(5)
  database.close()
})
