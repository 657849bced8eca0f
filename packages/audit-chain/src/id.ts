/** Randomness in small pieces, and ids made of it. */

const POOL_BYTES = 8192

/** Writes so many random bytes to a place. They are never handed out twice. */
export type FillRandom = (target: Uint8Array, at: number, size: number) => void

/** `random` asked rarely for much: a system call costs more than what it returns. */
export function createRandomPool(random: (size: number) => Uint8Array): FillRandom {
  let pool = new Uint8Array(0)
  let used = 0
  return (target, at, size) => {
    if (used + size > pool.length) {
      pool = new Uint8Array(random(Math.max(size, POOL_BYTES)))
      if (pool.length < size) throw new RangeError(`random(${size}) gave ${pool.length} bytes`)
      used = 0
    }
    // For a few bytes a loop is faster than a call into C++ and a view to give it.
    for (let i = 0; i < size; i += 1) target[at + i] = pool[used + i] as number
    used += size
  }
}

const bytes = Buffer.alloc(16)

/** UUIDv7 (RFC 9562 §5.7): 48 bits of epoch milliseconds, then randomness. */
export function uuidv7(now: number, random: FillRandom): string {
  random(bytes, 6, 10)
  bytes.writeUIntBE(now, 0, 6)
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
