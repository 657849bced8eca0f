// The meta-log: what it records, what it refuses, and what it finds that nothing beside a log could show.
import { spawnSync } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createMetaLog,
  createPublisher,
  createSigner,
  examineLog,
  examineMetaLog,
  openLog,
  readMetaEntry,
  type AuditStore,
  type Checkpoint,
} from '@mcp-gateway/audit-chain'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
import { leafHash } from '@mcp-gateway/audit-chain/verify'
import { scratch } from './support/sqlite.ts'

const META = 'gw.example.com/meta/eu/1'
const LOGS = ['gw.example.com/audit/eu/a', 'gw.example.com/audit/eu/b'] as const
const { privateKey } = generateKeyPairSync('ed25519')
const signerOf = (name: string) => createSigner({ name, privateKey })

const grow = async (store: AuditStore, origin: string, count: number, word = 'x'): Promise<void> => {
  await using log = openLog({ store, origin })
  for (let i = 0; i < count; i += 1) await log.append({ type: 'test', facts: { word } })
}
const checkpointOf = async (store: AuditStore, origin: string): Promise<Checkpoint> => {
  await using log = openLog({ store, origin })
  const { size } = await log.head()
  return { origin, size, rootHash: await log.rootHash(size) }
}
const examine = (metaStore: AuditStore, stores: Readonly<Record<string, AuditStore>>, only?: string) =>
  examineMetaLog({
    store: metaStore,
    origin: META,
    storeOf: async (origin) => stores[origin],
    ...(only !== undefined && { only }),
  })
const codes = (found: { readonly findings: readonly { readonly code: string }[] }) =>
  found.findings.map(({ code }) => code)

describe('recording', () => {
  test('one entry for each checkpoint, which states origin, size and root', async () => {
    const store = createMemoryStore()
    await using meta = createMetaLog({ store, origin: META })
    const [a] = LOGS
    await grow(store, a, 3)
    const checkpoint = await checkpointOf(store, a)
    const all = await Promise.all([meta.record(checkpoint), meta.record(checkpoint), meta.record(checkpoint)])
    expect(all.map(({ seq }) => seq)).toEqual([0, 0, 0])
    expect((await meta.log.head()).size).toBe(1)
    expect(readMetaEntry((await meta.log.entry(0)).leaf)).toEqual(checkpoint)
    expect((await meta.last(a))?.checkpoint).toEqual(checkpoint)
    expect(await meta.last(LOGS[1])).toBeUndefined()
    expect([await meta.find(a, 3), await meta.find(a, 2)]).toEqual([0, undefined])
  })

  test('another root for a size, and a smaller size, are refused', async () => {
    const store = createMemoryStore()
    await using meta = createMetaLog({ store, origin: META })
    const [a] = LOGS
    await grow(store, a, 3)
    const checkpoint = await checkpointOf(store, a)
    await meta.record(checkpoint)
    await expect(meta.record({ ...checkpoint, rootHash: leafHash(Buffer.of(1)) })).rejects.toMatchObject({ code: 'AUDIT_FORKED' }) // prettier-ignore
    await expect(meta.record({ ...checkpoint, size: 2 })).rejects.toMatchObject({ code: 'AUDIT_STORE_BUSY' })
    expect((await meta.log.head()).size).toBe(1)
  })

  test('two processes on one store: no checkpoint twice, and sizes only grow', async () => {
    const store = createMemoryStore()
    const law = fc.asyncProperty(
      fc.array(fc.tuple(fc.boolean(), fc.constantFrom(...LOGS), fc.integer({ min: 1, max: 9 })), { maxLength: 30 }),
      async (records) => {
        const origin = `${META}/${Math.random().toString(36).slice(2)}`
        const [one, other] = [createMetaLog({ store, origin }), createMetaLog({ store, origin })]
        const rootHash = leafHash(Buffer.of(0))
        await Promise.all(
          records.map(([isOne, of, size]) =>
            (isOne ? one : other).record({ origin: of, size, rootHash }).catch((error: unknown) => {
              expect(error).toMatchObject({ code: 'AUDIT_STORE_BUSY' })
            }),
          ),
        )
        const last = new Map<string, number>()
        for await (const { leaf } of one.log.entries()) {
          const { origin: of, size } = readMetaEntry(leaf)
          expect(size).toBeGreaterThan(last.get(of) ?? 0)
          last.set(of, size)
        }
        for (const log of LOGS) {
          const sizes = records.filter(([, of]) => of === log).map(([, , size]) => size)
          expect(last.get(log) ?? 0).toBe(Math.max(0, ...sizes))
        }
      },
    )
    await fc.assert(law, { numRuns: 100 })
  })

  test('it names no more logs than it may, and goes on with those it names', async () => {
    await using meta = createMetaLog({ store: createMemoryStore(), origin: META, maxLogs: 1 })
    const rootHash = leafHash(Buffer.of(0))
    await meta.record({ origin: LOGS[0], size: 1, rootHash })
    await expect(meta.record({ origin: LOGS[1], size: 1, rootHash })).rejects.toMatchObject({ code: 'AUDIT_BACKLOG_FULL' }) // prettier-ignore
    expect((await meta.record({ origin: LOGS[0], size: 2, rootHash })).seq).toBe(1)
  })

  test.each(['facts', 'id', 'type', 'nothing'])('an entry with another %s states no checkpoint', async (what) => {
    const log = openLog({ store: createMemoryStore(), origin: META })
    const facts = { of: LOGS[0], root: leafHash(Buffer.of(0)).toString('base64'), size: 1 }
    const more = what === 'facts' ? { more: 1 } : {}
    const id = what === 'id' ? 'other' : `${createHash('sha256').update(LOGS[0]).digest('hex').slice(0, 32)}:1`
    await log.append({ type: what === 'type' ? 'other' : 'log.checkpoint', id, facts: { ...facts, ...more } })
    const { leaf } = await log.entry(0)
    if (what === 'nothing') expect(readMetaEntry(leaf)).toMatchObject({ origin: LOGS[0], size: 1 })
    else expect(() => readMetaEntry(leaf)).toThrow(expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }))
  })
})

describe('a publisher with a meta-log', () => {
  const [a] = LOGS
  test('what was signed and not recorded is recorded by the next run, also of another process', async () => {
    const store = createMemoryStore()
    let isBroken = true
    const failing: AuditStore = {
      ...store,
      append: async (...args) => {
        if (isBroken) throw new Error('the disk is gone')
        await store.append(...args)
      },
    }
    await grow(store, a, 3)
    const meta = createMetaLog({ store: failing, origin: META })
    const publisher = createPublisher({ store, signer: signerOf(a), meta })
    const first = await publisher.publish()
    // Signed all the same: the log's own checkpoints do not wait for it.
    expect(first).toMatchObject({ isNew: true, outcomes: [{ name: 'meta-log', error: expect.any(Error) }] })
    expect((await store.lastCheckpoint(a))?.size).toBe(3)
    expect((await meta.log.head()).size).toBe(0)
    isBroken = false
    const again = createPublisher({ store, signer: signerOf(a), meta: createMetaLog({ store, origin: META }) })
    expect(await again.publish()).toMatchObject({ isNew: false, outcomes: [{ name: 'meta-log' }] })
    expect((await meta.log.head()).size).toBe(1)
    expect((await publisher.publish())?.outcomes).toEqual([{ name: 'meta-log' }])
    expect((await meta.log.head()).size).toBe(1)
  })

  test('killed between signing and recording: the next process records', () => {
    using home = scratch()
    const script = (record: string) => `
      import { createPrivateKey } from 'node:crypto'
      import { createMetaLog, createPublisher, createSigner, openLog } from '@mcp-gateway/audit-chain'
      import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
      const privateKey = createPrivateKey(${JSON.stringify(privateKey.export({ type: 'pkcs8', format: 'pem' }))})
      const store = createSqliteStore({ database: openSqlite(${JSON.stringify(join(home.directory, 'log.db'))}) })
      const signer = createSigner({ name: ${JSON.stringify(a)}, privateKey })
      const meta = createMetaLog({ store, origin: ${JSON.stringify(META)} })
      if ((await store.head(signer.verifierKey.name)) === undefined)
        await openLog({ store, origin: signer.verifierKey.name }).append({ type: 'test' })
      const { isNew } = await createPublisher({ store, signer, meta: { last: meta.last, record: ${record} } }).publish()
      const signed = await store.lastCheckpoint(signer.verifierKey.name)
      console.log(JSON.stringify({ isNew, signed: signed.size, recorded: (await meta.log.head()).size }))`
    const run = (record: string) => {
      const args = ['--conditions=@mcp-gateway/source', '--input-type=module-typescript', '--eval', script(record)]
      return spawnSync(process.execPath, args, { cwd: join(import.meta.dirname, '..'), encoding: 'utf8' })
    }
    const killed = run(`() => process.kill(process.pid, 'SIGKILL')`)
    expect(killed).toMatchObject({ signal: 'SIGKILL', stdout: '', stderr: '' })
    const next = run('meta.record')
    expect(next.stderr).toBe('')
    expect(JSON.parse(next.stdout)).toEqual({ isNew: false, signed: 1, recorded: 1 })
    expect(JSON.parse(run('meta.record').stdout)).toEqual({ isNew: false, signed: 1, recorded: 1 })
  })

  test('refuses to sign an older copy, which nothing beside the log betrays', async () => {
    const metaStore = createMemoryStore()
    const meta = createMetaLog({ store: metaStore, origin: META })
    const store = createMemoryStore()
    await grow(store, a, 5)
    await createPublisher({ store, signer: signerOf(a), meta }).publish()
    const older = createMemoryStore()
    await grow(older, a, 4)
    await createPublisher({ store: older, signer: signerOf(a) }).publish()
    const publisher = createPublisher({ store: older, signer: signerOf(a), meta })
    await expect(publisher.publish()).rejects.toMatchObject({ code: 'AUDIT_ROLLED_BACK' })
    await grow(older, a, 4)
    const other = createPublisher({ store: older, signer: signerOf(a), meta })
    await expect(other.publish()).rejects.toMatchObject({ code: 'AUDIT_FORKED' })
    await expect(
      createPublisher({ store: createMemoryStore(), signer: signerOf(a), meta }).publish(),
    ).rejects.toMatchObject({ code: 'AUDIT_ROLLED_BACK' })
  })
})

describe('examining', () => {
  const [a, b] = LOGS
  const recorded = async () => {
    const [metaStore, one, two] = [createMemoryStore(), createMemoryStore(), createMemoryStore()]
    const meta = createMetaLog({ store: metaStore, origin: META })
    const sizes = [3, 300, 1500]
    for (const count of sizes) {
      await grow(one, a, count)
      await grow(two, b, 2)
      for (const [store, origin] of [[one, a], [two, b]] as const) await meta.record(await checkpointOf(store, origin)) // prettier-ignore
    }
    return { metaStore, one, two }
  }

  test('nothing is found when every root is that of its log', async () => {
    const { metaStore, one, two } = await recorded()
    const found = await examine(metaStore, { [a]: one, [b]: two })
    expect(found.findings).toEqual([])
    expect([...found.recorded]).toEqual([[a, 1803], [b, 6]]) // prettier-ignore
  })

  test('a log that was rolled back, rewritten or removed is named with its size', async () => {
    const { metaStore, one, two } = await recorded()
    const older = createMemoryStore()
    await grow(older, b, 3)
    // The older copy agrees with itself, and with every checkpoint that lies beside it.
    expect((await examineLog({ store: older, origin: b })).findings).toEqual([])
    const rolledBack = await examine(metaStore, { [a]: one, [b]: older })
    expect(rolledBack.findings).toMatchObject([{ code: 'HISTORY_REWRITTEN', origin: b }])
    const cut = createMemoryStore()
    for (const { leaf } of await two.entries(b, 0, 5)) {
      await cut.append(b, (head) => ({
        entries: [{ seq: head.size, id: String(head.size), leaf, leafHash: leafHash(leaf), at: 0, subject: undefined, fields: undefined, attachment: undefined }], // prettier-ignore
        nodes: [],
        erasures: [],
        head: { ...head, size: head.size + 1 },
      }))
    }
    expect((await examine(metaStore, { [a]: one, [b]: cut })).findings).toEqual([
      {
        code: 'ROLLED_BACK',
        origin: b,
        message: `log ${b}, size 6, entry 5 of the meta-log: entries 5 to 5 are gone`,
      },
    ])
    const rewritten = createMemoryStore()
    await grow(rewritten, a, 2000, 'other')
    expect((await examine(metaStore, { [a]: rewritten, [b]: two })).findings).toMatchObject([
      { code: 'HISTORY_REWRITTEN', origin: a, message: expect.stringContaining('size 3, entry 0') },
    ])
    expect(codes(await examine(metaStore, { [a]: one }))).toEqual(['LOG_MISSING'])
    // Whoever asks about one log hears nothing of the others.
    expect(codes(await examine(metaStore, { [a]: one }, a))).toEqual([])
    expect(codes(await examine(metaStore, { [a]: rewritten }, a))).toEqual(['HISTORY_REWRITTEN'])
  })

  test('a size that shrinks, and an entry that states nothing, are found', async () => {
    const store = createMemoryStore()
    await grow(store, a, 5)
    await using log = openLog({ store, origin: META })
    const { rootHash, size } = await checkpointOf(store, a)
    const stating = (of: string, at: number, root: Uint8Array) => ({ type: 'log.checkpoint', facts: { of, root: Buffer.from(root).toString('base64'), size: at } }) // prettier-ignore
    const id = async (at: number) => {
      const other = createMemoryStore()
      await using meta = createMetaLog({ store: other, origin: META })
      await meta.record({ origin: a, size: at, rootHash })
      return (await meta.log.entry(0)).entry.id
    }
    await log.append({ ...stating(a, size, rootHash), id: await id(size) })
    await log.append({ ...stating(a, 4, rootHash), id: await id(4) })
    await log.append({ type: 'test' })
    expect(codes(await examine(store, { [a]: store }))).toEqual(['SIZE_SHRUNK', 'ENTRY_MALFORMED'])
  })
})
