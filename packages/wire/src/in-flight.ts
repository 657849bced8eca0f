/**
 * What is under way, by a number of its own.
 *
 * Not in a Map: that lays itself out anew every few dozen calls, and each table it has outgrown keeps what was in it and leads
 * to the next one. As soon as one of them has become old, V8's scavenges keep every call since: with 64 connections they took
 * 8 ms of every 50, and calls waited for them. Here a place that is free again holds nothing.
 */
export type InFlight<T> = {
  readonly size: () => number
  /** Larger than every number before. */
  readonly newId: () => number
  /** `item.id` is the last number that `newId` gave. */
  readonly add: (item: T) => void
  readonly get: (id: number) => T | undefined
  /** Whether it was there. */
  readonly drop: (id: number) => boolean
  /** In the order they came. */
  readonly items: () => T[]
}

const FIRST_PLACES = 64

export function createInFlight<T extends { readonly id: number }>(): InFlight<T> {
  /** Each at its number modulo their count, which is a power of two; at most half of them are taken. */
  let places = free<T>(FIRST_PLACES)
  let size = 0
  let nextId = 1

  const placeOf = (id: number): number => id % places.length
  const grow = (): void => {
    const before = places
    places = free(before.length * 2)
    for (const item of before) if (item !== undefined) places[placeOf(item.id)] = item
  }
  const get = (id: number): T | undefined => {
    const item = places[placeOf(id)]
    return item?.id === id ? item : undefined
  }
  return {
    size: () => size,
    newId() {
      if (size * 2 >= places.length) grow()
      // Whatever stays for long, such as a subscription, is gone around.
      while (places[placeOf(nextId)] !== undefined) nextId += 1
      nextId += 1
      return nextId - 1
    },
    add(item) {
      places[placeOf(item.id)] = item
      size += 1
    },
    get,
    drop(id) {
      if (get(id) === undefined) return false
      places[placeOf(id)] = undefined
      size -= 1
      return true
    },
    items: () => places.filter((item) => item !== undefined).sort((a, b) => a.id - b.id),
  }
}

function free<T>(count: number): (T | undefined)[] {
  return Array.from({ length: count }, () => undefined)
}
