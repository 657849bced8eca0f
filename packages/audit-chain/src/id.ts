/** Randomness in small pieces, and ids made of it. */

const POOL_BYTES = 8192

/** `random` asked rarely for much: a system call costs more than what it returns. Pieces are never handed out twice. */
export function createRandomPool(random: (size: number) => Uint8Array): (size: number) => Uint8Array {
  let pool = new Uint8Array(0)
  let at = 0
  return (size) => {
    if (at + size > pool.length) {
      pool = new Uint8Array(random(Math.max(size, POOL_BYTES)))
      if (pool.length < size) throw new RangeError(`random(${size}) gave ${pool.length} bytes`)
      at = 0
    }
    at += size
    return pool.subarray(at - size, at)
  }
}

/** UUIDv7 (RFC 9562 §5.7): 48 bits of epoch milliseconds, then randomness. */
export function uuidv7(now: number, random: (size: number) => Uint8Array): string {
  const bytes = Buffer.from(random(16))
  bytes.writeUIntBE(now, 0, 6)
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
