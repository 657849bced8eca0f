import { expect, it } from 'vitest'
import { median, percentile, slope, spread } from '../statistics.ts'

it('takes the middle of an odd and the mean of the middle two of an even number of values', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([9, 1, 5, 7])).toBe(6)
})

it('finds percentiles in sorted samples', () => {
  const hundred = Float64Array.from({ length: 100 }, (_, index) => index + 1)
  expect([percentile(hundred, 0.5), percentile(hundred, 0.99), percentile(hundred, 1)]).toEqual([51, 100, 100])
})

it('gives half the range as a share of the median', () => {
  expect(spread([90, 100, 110])).toBeCloseTo(0.1)
})

it('finds the slope of a line, noise that cancels out included', () => {
  const points = [0, 1, 2, 3].map((x) => ({ x, y: 5 + 2 * x }))
  expect(slope(points)).toBeCloseTo(2)
  expect(slope([...points, { x: 1.5, y: 100 }])).toBeCloseTo(2)
})
