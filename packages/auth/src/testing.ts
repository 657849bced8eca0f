/**
 * What every replay store has to do, as cases for any test runner:
 *
 *     for (const { title, run } of replayStoreCases) test(title, () => run(createMyStore))
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplayStore } from './replay-store.ts'

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
