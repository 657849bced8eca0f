import { expect, test } from 'vitest'
import { createFollower } from '@mcp-gateway/audit-chain'
import { logOf, never, ORIGIN, upTo } from './support/exports.ts'

test('catching up twice at the same time handles each entry once, and a failure is its own caller’s', async () => {
  const store = await logOf(30)
  const handled: number[] = []
  let fails = 1
  const follower = createFollower({
    store,
    origin: ORIGIN,
    name: 'export',
    maxBatch: 7,
    async handle(entries) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      if (fails-- > 0) throw new Error('not now')
      handled.push(...entries.map(({ seq }) => seq))
    },
  })
  const [first, second, third] = await Promise.allSettled([1, 2, 3].map(() => follower.catchUp(never)))
  expect([first?.status, second?.status, third?.status]).toEqual(['rejected', 'fulfilled', 'fulfilled'])
  expect(handled).toEqual(upTo(30))
})

test('of two that follow under one name, the one that leads handles', async () => {
  const store = await logOf(30)
  const handled: number[] = []
  const follow = () =>
    createFollower({
      store,
      origin: ORIGIN,
      name: 'export',
      maxBatch: 7,
      lead: () => store.lead(ORIGIN),
      async handle(entries) {
        await new Promise((resolve) => setTimeout(resolve, 1))
        handled.push(...entries.map(({ seq }) => seq))
      },
    })
  const [one, other] = [follow(), follow()]
  expect((await Promise.all([one.catchUp(never), other.catchUp(never)])).toSorted((a, b) => a - b)).toEqual([0, 30])
  expect(handled).toEqual(upTo(30))
  // Given up again.
  expect(await other.catchUp(never)).toBe(0)
  expect(await store.lead(ORIGIN)).toBeDefined()
})
