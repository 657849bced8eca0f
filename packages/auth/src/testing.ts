/**
 * What every replay store and every store of wallet tokens has to do, as cases for any test runner:
 *
 *     for (const { title, run } of replayStoreCases) test(title, () => run(createMyStore))
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplayStore } from './replay-store.ts'
import type { WalletTokenRecord, WalletTokenStore } from './wallet/token-store.ts'

export type StoreCase<Store> = {
  /** The behaviour, as a sentence. */
  readonly title: string
  /**
   * Each call of `openStore` is another process's view of the same data; of a store in memory, the same store.
   * @throws AssertionError when the store does not behave so
   */
  readonly run: (openStore: () => Store | Promise<Store>) => Promise<void>
}

/** Keys are random, so that stores that share a server do not meet. */
function newKey(): string {
  return `test-${Math.random().toString(36).slice(2)}`
}

const MINUTE_MS = 60_000

export const replayStoreCases: readonly StoreCase<ReplayStore>[] = [
  {
    title: 'a key can be consumed once',
    async run(openStore) {
      const store = await openStore()
      const key = newKey()
      assert.equal(await store.consume(key, Date.now() + MINUTE_MS), true)
      assert.equal(await store.consume(key, Date.now() + MINUTE_MS), false)
      assert.equal(await store.consume(key, Date.now() + 10 * MINUTE_MS), false, 'a later end is not a new key')
    },
  },
  {
    title: 'keys are separate',
    async run(openStore) {
      const store = await openStore()
      const key = newKey()
      for (const other of [key, `${key}.`, key.toUpperCase()]) {
        assert.equal(await store.consume(other, Date.now() + MINUTE_MS), true)
      }
    },
  },
  {
    title: 'of ten that come at once, through two handles, one is first',
    async run(openStore) {
      const stores = [await openStore(), await openStore()]
      const key = newKey()
      const answers = await Promise.all(
        Array.from({ length: 10 }, async (_, index) => stores[index % 2]?.consume(key, Date.now() + MINUTE_MS)),
      )
      assert.equal(answers.filter((answer) => answer === true).length, 1)
    },
  },
  {
    title: 'a key is kept until it expires, and free afterwards',
    async run(openStore) {
      const store = await openStore()
      const key = newKey()
      assert.equal(await store.consume(key, Date.now() + 600), true)
      assert.equal(await store.consume(key, Date.now() + 600), false)
      await sleep(200)
      assert.equal(await store.consume(key, Date.now() + MINUTE_MS), false)
      await sleep(500)
      assert.equal(await store.consume(key, Date.now() + MINUTE_MS), true)
      assert.equal(await store.consume(key, Date.now() + MINUTE_MS), false)
    },
  },
  {
    title: 'what has expired already, or never does, is not consumed',
    async run(openStore) {
      const store = await openStore()
      const key = newKey()
      assert.equal(await store.consume(key, Date.now() - 1000), false)
      assert.equal(await store.consume(key, Number.NaN), false)
      assert.equal(await store.consume(key, Date.now() + MINUTE_MS), true)
    },
  },
  {
    title: 'another handle sees what was consumed',
    async run(openStore) {
      const key = newKey()
      assert.equal(await (await openStore()).consume(key, Date.now() + MINUTE_MS), true)
      assert.equal(await (await openStore()).consume(key, Date.now() + MINUTE_MS), false)
    },
  },
]

const OWNER = { address: '0x7e5f4552091a69125d5dfcb7b8c2659029395bdf', chainId: 1 } as const

/** Of an account of its own, so that stores that share a server do not meet. */
function newRecord(changes: Partial<WalletTokenRecord> = {}): WalletTokenRecord {
  const digits = Array.from({ length: 40 }, () => Math.floor(Math.random() * 16).toString(16)).join('')
  const wallet = { address: `0x${digits}`, chainId: 1 } as const
  const names = { id: newKey(), hash: newKey(), name: 'Läptop "1"' }
  return { ...names, wallet, isContract: false, createdAt: 1000, expiresAt: 2000, ...changes }
}

const NOTHING_YET = { lastUsedAt: undefined, revokedAt: undefined }

export const walletTokenStoreCases: readonly StoreCase<WalletTokenStore>[] = [
  {
    title: 'finds what was inserted, by its hash alone',
    async run(openStore) {
      const store = await openStore()
      const records = [newRecord(), newRecord({ isContract: true })]
      for (const record of records) assert.equal(await store.insert(record, 5), true)
      for (const record of records)
        assert.deepEqual({ ...NOTHING_YET, ...(await store.find(record.hash)) }, { ...NOTHING_YET, ...record })
      assert.equal(await store.find(newKey()), undefined)
    },
  },
  {
    title: 'lists the tokens of one account on one chain, in their order',
    async run(openStore) {
      const store = await openStore()
      const first = newRecord()
      const { wallet } = first
      const second = newRecord({ wallet, createdAt: 1001 })
      const elsewhere = newRecord({ wallet: { ...wallet, chainId: 10 } })
      for (const record of [first, second, elsewhere, newRecord()]) await store.insert(record, 5)
      assert.deepEqual(
        (await store.list(wallet)).map(({ id }) => id),
        [first.id, second.id],
      )
      assert.deepEqual(await store.list({ ...OWNER, chainId: 999 }), [])
    },
  },
  {
    title: 'revokes once, and only for the owner',
    async run(openStore) {
      const store = await openStore()
      const record = newRecord()
      await store.insert(record, 5)
      assert.equal(await store.revoke(OWNER, record.id, 1500), false)
      assert.equal(await store.revoke({ ...record.wallet, chainId: 10 }, record.id, 1500), false)
      assert.equal(await store.revoke(record.wallet, record.id, 1500), true)
      assert.equal(await store.revoke(record.wallet, record.id, 1600), false)
      assert.equal((await store.find(record.hash))?.revokedAt, 1500)
    },
  },
  {
    title: 'of ten inserts at once, as many are taken as there is room for',
    async run(openStore) {
      const stores = [await openStore(), await openStore()]
      const { wallet } = newRecord()
      const inserts = Array.from({ length: 10 }, async (_, index) =>
        stores[index % 2]?.insert(newRecord({ wallet }), 3),
      )
      assert.equal((await Promise.all(inserts)).filter((isTaken) => isTaken === true).length, 3)
    },
  },
  {
    title: 'what is revoked or has expired leaves room',
    async run(openStore) {
      const store = await openStore()
      const revoked = newRecord()
      const { wallet } = revoked
      await store.insert(revoked, 2)
      await store.insert(newRecord({ wallet, expiresAt: 1200 }), 2)
      assert.equal(await store.insert(newRecord({ wallet, createdAt: 1100 }), 2), false)
      await store.revoke(wallet, revoked.id, 1100)
      assert.equal(await store.insert(newRecord({ wallet, createdAt: 1100 }), 2), true)
      assert.equal(await store.insert(newRecord({ wallet, createdAt: 1199 }), 2), false)
      assert.equal(await store.insert(newRecord({ wallet, createdAt: 1200 }), 2), true)
    },
  },
  {
    title: 'remembers the latest use',
    async run(openStore) {
      const store = await openStore()
      const record = newRecord()
      await store.insert(record, 5)
      for (const at of [1500, 1700, 1600]) await store.touch(record.hash, at)
      await store.touch(newKey(), 1500)
      assert.equal((await store.find(record.hash))?.lastUsedAt, 1700)
    },
  },
]
