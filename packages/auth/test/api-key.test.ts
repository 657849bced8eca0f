import { createHash } from 'node:crypto'
import { generateApiKey, hashApiKey } from '@mcp-gateway/auth'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

describe('generateApiKey', () => {
  test('is gw_ and 256 bits in base64url', () => {
    const { key } = generateApiKey()
    expect(key).toMatch(/^gw_[A-Za-z0-9_-]{43}$/)
    expect(Buffer.from(key.slice(3), 'base64url')).toHaveLength(32)
  })

  test('takes every bit from the given randomness', () => {
    const { key, hash } = generateApiKey((size) => new Uint8Array(size).fill(0xfb))
    expect(key).toBe(`gw_${Buffer.alloc(32, 0xfb).toString('base64url')}`)
    expect(hash).toBe(`sha256:${createHash('sha256').update(key).digest('hex')}`)
  })

  test('refuses randomness that comes up short', () => {
    expect(() => generateApiKey(() => new Uint8Array(31))).toThrow(RangeError)
  })

  test('never makes the same key twice', () => {
    const keys = Array.from({ length: 1000 }, () => generateApiKey().key)
    expect(new Set(keys).size).toBe(1000)
  })

  test('distinct randomness ≡ distinct keys and hashes', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        const [one, two] = [generateApiKey(() => a), generateApiKey(() => b)]
        const same = Buffer.from(a).equals(b)
        expect(one.key === two.key).toBe(same)
        expect(one.hash === two.hash).toBe(same)
      }),
    )
  })
})

describe('hashApiKey', () => {
  test('is SHA-256 (FIPS 180-4 example "abc")', () => {
    expect(hashApiKey('abc')).toBe('sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })
})
