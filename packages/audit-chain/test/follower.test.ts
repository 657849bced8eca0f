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
