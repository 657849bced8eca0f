// Names of logs that succeed each other.
import { newestOrigin, predecessorOrigins, successorOrigin } from '@mcp-gateway/audit-chain'
import fc from 'fast-check'
import { expect, test } from 'vitest'

const origin = fc.stringMatching(/^[a-z.]{1,10}\/[0-9a-f]{1,8}$/)

test('the newest of a succession is the last, and all others are its predecessors, in order', () => {
  const property = fc.property(origin, fc.nat({ max: 30 }), fc.integer(), (first, count, seed) => {
    const names = [first]
    for (let i = 0; i < count; i += 1) names.push(successorOrigin(names.at(-1) as string))
    const last = names.at(-1) as string
    const shuffled = names.map((name, i) => ({ name, at: (i * 7919 + seed) % 31 })).toSorted((a, b) => a.at - b.at)
    expect(newestOrigin(shuffled.map(({ name }) => name))).toBe(last)
    expect(predecessorOrigins(last)).toEqual(names.slice(0, -1))
  })
  fc.assert(property, { numRuns: 1000 })
})

test('a store without logs has none, and a name from a hostile one costs no more than a thousand', () => {
  expect(newestOrigin([])).toBeUndefined()
  expect(predecessorOrigins('example.com/log.999999999')).toHaveLength(999)
})
