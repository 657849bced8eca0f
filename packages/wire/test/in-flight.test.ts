import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createInFlight } from '../src/in-flight.ts'

test('is a Map from numbers that only grow, whatever comes and goes, and asks for what is gone', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('add', 'add', 'drop', 'drop', 'get'), fc.nat(1000)), {
    maxLength: 600,
  })
  fc.assert(
    fc.property(steps, (order) => {
      const model = new Map<number, { readonly id: number }>()
      const real = createInFlight<{ readonly id: number }>()
      let last = 0
      for (const [step, pick] of order) {
        const known = pick % 3 === 0 ? pick : [...model.keys()][pick % Math.max(model.size, 1)]
        if (step === 'add') {
          const item = { id: real.newId() }
          expect(item.id).toBeGreaterThan(last)
          last = item.id
          real.add(item)
          model.set(item.id, item)
        } else if (known !== undefined && step === 'drop') expect(real.drop(known)).toBe(model.delete(known))
        else if (known !== undefined) expect(real.get(known)).toBe(model.get(known))
        expect(real.size()).toBe(model.size)
      }
      expect(real.items()).toEqual([...model.values()])
    }),
    { numRuns: 500 },
  )
})

test('what is no number of ours is not there', () => {
  const real = createInFlight<{ readonly id: number }>()
  real.add({ id: real.newId() })
  for (const id of [
    0,
    -1,
    1.5,
    65,
    Number.NaN,
    Infinity,
    '1' as never,
    null as never,
    undefined as never,
    {} as never,
  ]) {
    expect(real.get(id)).toBeUndefined()
    expect(real.drop(id)).toBe(false)
  }
})
