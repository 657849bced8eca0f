/**
 * What every store of limits has to do, as cases for any test runner:
 *
 *     for (const { title, run } of limitStoreCases) test(title, () => run(createMyStore))
 */
import assert from 'node:assert/strict'
import type { LimitStore } from './store.ts'

export type LimitStoreCase = {
  /** The behaviour, as a sentence. */
  readonly title: string
  /** @throws AssertionError when the store does not behave so */
  readonly run: (createStore: () => LimitStore | Promise<LimitStore>) => Promise<void>
}

const HOUR_US = 3_600_000_000

/** Keys are random, so that stores that share a server do not meet. */
function newKey(): string {
  return `test-${Math.random().toString(36).slice(2)}`
}

export const limitStoreCases: readonly LimitStoreCase[] = [
  {
    title: 'admits a burst of exactly the configured number, and counts down',
    async run(createStore) {
      const store = await createStore()
      const request = { key: newKey(), intervalUs: HOUR_US, burst: 5 }
      const remaining: number[] = []
      for (let call = 0; call < 5; call++) {
        const [answer] = await store.take([request])
        assert.equal(answer?.allowed, true)
        remaining.push(answer.remaining)
      }
      assert.deepEqual(remaining, [4, 3, 2, 1, 0])
      const [refused] = await store.take([request])
      assert.equal(refused?.allowed, false)
      assert.equal(refused.remaining, 0)
      assert.ok(
        refused.retryAfterUs > HOUR_US * 0.9 && refused.retryAfterUs <= HOUR_US,
        'one interval, less what has passed',
      )
      assert.ok(refused.resetUs > HOUR_US * 4.9 && refused.resetUs <= HOUR_US * 5, 'five intervals until it is full')
    },
  },
  {
    title: 'a refused call takes nothing from any bucket',
    async run(createStore) {
      const store = await createStore()
      const [wide, narrow] = [
        { key: newKey(), intervalUs: HOUR_US, burst: 10 },
        { key: newKey(), intervalUs: HOUR_US, burst: 1 },
      ]
      const [first] = await store.take([wide, narrow])
      assert.equal(first?.remaining, 9)
      for (let call = 0; call < 3; call++) {
        const answers = await store.take([wide, narrow])
        assert.deepEqual(
          answers.map(({ allowed }) => allowed),
          [true, false],
        )
        assert.equal(answers[0]?.remaining, 9)
      }
      const [after] = await store.take([wide])
      assert.equal(after?.remaining, 8)
    },
  },
  {
    title: 'buckets are separate by key',
    async run(createStore) {
      const store = await createStore()
      for (const key of [newKey(), newKey(), newKey()]) {
        const [answer] = await store.take([{ key, intervalUs: HOUR_US, burst: 1 }])
        assert.equal(answer?.allowed, true)
      }
    },
  },
  {
    title: 'a bucket fills again with time',
    async run(createStore) {
      const store = await createStore()
      const request = { key: newKey(), intervalUs: 400_000, burst: 1 }
      assert.equal((await store.take([request]))[0]?.allowed, true)
      const [refused] = await store.take([request])
      assert.equal(refused?.allowed, false)
      await new Promise((resolve) => setTimeout(resolve, Math.ceil(refused.retryAfterUs / 1000) + 5))
      assert.equal((await store.take([request]))[0]?.allowed, true)
    },
  },
  {
    title: 'a hundred calls at once admit exactly the burst',
    async run(createStore) {
      const store = await createStore()
      const request = { key: newKey(), intervalUs: HOUR_US, burst: 37 }
      const answers = await Promise.all(Array.from({ length: 100 }, async () => store.take([request])))
      assert.equal(answers.filter(([answer]) => answer?.allowed === true).length, 37)
    },
  },
  {
    title: 'a limit that was lowered holds at once',
    async run(createStore) {
      const store = await createStore()
      const key = newKey()
      for (let call = 0; call < 100; call++) await store.take([{ key, intervalUs: HOUR_US, burst: 100 }])
      const [answer] = await store.take([{ key, intervalUs: 1000, burst: 2 }])
      assert.equal(answer?.allowed, false)
      assert.ok(answer.resetUs <= 2000, 'no further ahead than a full burst of now')
    },
  },
  {
    title: 'holds exactly as many places as there are, and gives them back',
    async run(createStore) {
      const store = await createStore()
      const request = { key: newKey(), limit: 2 }
      assert.equal(await store.acquire([request], 'a', 60_000), -1)
      assert.equal(await store.acquire([request], 'b', 60_000), -1)
      assert.equal(await store.acquire([request], 'c', 60_000), 0)
      await store.release([request.key], 'a')
      await store.release([request.key], 'nobody')
      assert.equal(await store.acquire([request], 'c', 60_000), -1)
      assert.equal(await store.acquire([request], 'd', 60_000), 0)
    },
  },
  {
    title: 'holds places under all keys or under none, and says which is full',
    async run(createStore) {
      const store = await createStore()
      const [wide, narrow] = [
        { key: newKey(), limit: 2 },
        { key: newKey(), limit: 1 },
      ]
      assert.equal(await store.acquire([wide, narrow], 'a', 60_000), -1)
      assert.equal(await store.acquire([wide, narrow], 'b', 60_000), 1)
      assert.equal(await store.acquire([wide], 'c', 60_000), -1, 'b left nothing behind')
      assert.equal(await store.acquire([wide], 'd', 60_000), 0)
    },
  },
  {
    title: 'a place whose holder never came back is free after its lease',
    async run(createStore) {
      const store = await createStore()
      const request = { key: newKey(), limit: 1 }
      assert.equal(await store.acquire([request], 'dead', 400), -1)
      assert.equal(await store.acquire([request], 'b', 60_000), 0)
      await new Promise((resolve) => setTimeout(resolve, 450))
      assert.equal(await store.acquire([request], 'b', 60_000), -1)
    },
  },
  {
    title: 'of a hundred calls of a day that are made at once, exactly as many count as there may be',
    async run(createStore) {
      const store = await createStore()
      const request = { key: newKey(), limit: 37 }
      const answers = await Promise.all(Array.from({ length: 100 }, async () => store.count(request)))
      assert.equal(answers.filter(({ allowed }) => allowed).length, 37)
      const refused = answers.find(({ allowed }) => !allowed)
      assert.ok(refused !== undefined && refused.retryAfterMs > 0 && refused.retryAfterMs <= 24 * 3_600_000)
      assert.equal((await store.count({ key: newKey(), limit: 1 })).allowed, true, 'keys are separate')
    },
  },
  {
    title: 'a limit of a day that is raised or lowered holds at once, for what was counted before as well',
    async run(createStore) {
      const store = await createStore()
      const key = newKey()
      const admitted = async (limit: number): Promise<number> => {
        let count = 0
        while ((await store.count({ key, limit })).allowed) count += 1
        return count
      }
      assert.equal((await store.count({ key, limit: 1000 })).allowed, true)
      assert.deepEqual(
        [await admitted(10), await admitted(5), await admitted(1012), await admitted(11)],
        [9, 0, 1002, 0],
      )
    },
  },
]
