import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createPairCache } from '../src/pair-cache.ts'

test('get ≡ what was set last for this server and this tool, or nothing', () => {
  const name = fc.constantFrom('', 'a', 'b', 'ab', 'a/b', '__proto__', 'constructor')
  const step = fc.record({ server: name, tool: name, value: fc.nat() })
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const cache = createPairCache<number>(1000)
    const model = new Map<string, number>()
    for (const { server, tool, value } of steps) {
      expect(cache.get(server, tool)).toBe(model.get(JSON.stringify([server, tool])))
      cache.set(server, tool, value)
      model.set(JSON.stringify([server, tool]), value)
    }
  })
  fc.assert(property)
})

test('keeps no more pairs than it may, and no long names', () => {
  const cache = createPairCache<number>(10)
  const kept = () => Array.from({ length: 1000 }, (_, i) => cache.get('s', `t${i}`)).filter((one) => one !== undefined)
  for (let i = 0; i < 1000; i++) {
    cache.set('s', `t${i}`, i)
    expect(cache.get('s', `t${i}`)).toBe(i)
    expect(kept().length).toBeLessThanOrEqual(10)
  }
  cache.set('s', 'x'.repeat(513), 1)
  expect(cache.get('s', 'x'.repeat(513))).toBeUndefined()
})
