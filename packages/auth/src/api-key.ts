/**
 * API keys: `gw_` and 256 random bits in base64url (RFC 4648 §5). The prefix lets secret scanners find a leaked one.
 * A key is stored as a plain SHA-256: with 256 bits of entropy there is nothing for a slow hash to slow down.
 */
import { hash, randomBytes } from 'node:crypto'

/** `sha256:` and 64 lower-case hex digits. */
export type ApiKeyHash = `sha256:${string}`

const KEY_BYTES = 32

/** Makes a key. Show `key` once and store `hash`; the key cannot be had from it again. */
export function generateApiKey(random: (size: number) => Uint8Array = randomBytes): {
  readonly key: string
  readonly hash: ApiKeyHash
} {
  const bytes = random(KEY_BYTES)
  if (bytes.length !== KEY_BYTES) throw new RangeError(`random(${KEY_BYTES}) returned ${bytes.length} bytes`)
  const key = `gw_${Buffer.from(bytes).toString('base64url')}`
  return { key, hash: hashApiKey(key) }
}

/** What is stored in place of a key. */
export function hashApiKey(key: string): ApiKeyHash {
  return `sha256:${hash('sha256', key, 'hex')}`
}
