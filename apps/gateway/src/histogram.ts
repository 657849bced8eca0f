/** How often something took how long. A plain cell: counting makes no text and no objects. */

export type Histogram = { count: number; sumMs: number; readonly buckets: number[] }

/** From a call that a cache could have answered to one that people have given up. */
export const BOUNDS_MS: readonly number[] = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000] // prettier-ignore

export function createHistogram(): Histogram {
  return { count: 0, sumMs: 0, buckets: Array.from(BOUNDS_MS, () => 0) }
}

export function observe(histogram: Histogram, ms: number): void {
  histogram.count += 1
  histogram.sumMs += ms
  const { buckets } = histogram
  for (let at = 0; at < BOUNDS_MS.length; at += 1) {
    if (ms > (BOUNDS_MS[at] as number)) continue
    // Each value in one bucket only: they are added up when they are read.
    buckets[at] = (buckets[at] as number) + 1
    return
  }
}

export function addUp(histograms: readonly Histogram[]): Histogram {
  const sum = createHistogram()
  for (const { count, sumMs, buckets } of histograms) {
    sum.count += count
    sum.sumMs += sumMs
    for (const [at, value] of buckets.entries()) sum.buckets[at] = (sum.buckets[at] as number) + value
  }
  return sum
}
