/** Sets of positions, as ranges [from, to). */
export type Range = readonly [from: number, to: number]

/** In order, disjoint, with neighbours joined. */
export function joinRanges(ranges: readonly Range[]): Range[] {
  const joined: [number, number][] = []
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = joined.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else if (from < to) joined.push([from, to])
  }
  return joined
}

/** What of [from, to) is in none of `joined`, which `joinRanges` made. */
export function* uncovered([from, to]: Range, joined: readonly Range[]): Generator<Range> {
  let next = from
  for (let i = firstEndingAfter(joined, from); i < joined.length && next < to; i += 1) {
    const [start, end] = joined[i] as Range
    if (start >= to) break
    if (start > next) yield [next, start]
    next = Math.max(next, end)
  }
  if (next < to) yield [next, to]
}

function firstEndingAfter(joined: readonly Range[], at: number): number {
  let from = 0
  let to = joined.length
  while (from < to) {
    const middle = Math.floor((from + to) / 2)
    if ((joined[middle] as Range)[1] <= at) from = middle + 1
    else to = middle
  }
  return from
}
