/** API keys: synchronous, on every request, and the `Caller`s are made beforehand. */
import { hash, timingSafeEqual } from 'node:crypto'
import { DEFAULT_TENANT, type Caller } from '../caller.ts'
import { readCredentials } from '../credentials.ts'
import { AuthError } from '../errors.ts'
import type { Scheme } from '../scheme.ts'

/** One key that is let in. */
export type ApiKey = {
  readonly id: string
  /** `sha256:<64 hex>`, or the plain `gw_…` key, which is hashed at once and not kept. */
  readonly key: string
  readonly name: string
  readonly consumerId: string
  readonly roles: readonly string[]
  /** @default 'default' */
  readonly tenantId?: string | undefined
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
  /** @default true */
  readonly enabled?: boolean
  /** Epoch milliseconds; from this moment on the key is refused. */
  readonly expiresAt?: number
}

export type ApiKeysOptions = {
  readonly keys: readonly ApiKey[]
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
}

type Entry = {
  readonly digest: Buffer
  readonly caller: Caller
  readonly enabled: boolean
  readonly expiresAt: number
}

/** @throws TypeError when two keys share an id or a secret, or a key has no known form: nobody calls with such a list. */
export function createApiKeys({ keys, clock = Date.now }: ApiKeysOptions): Scheme {
  const entries = indexByPrefix(keys)
  return {
    name: 'api-key',
    /** @throws AuthError AUTH_KEY_UNKNOWN, AUTH_KEY_DISABLED, AUTH_KEY_EXPIRED */
    authenticate({ headers }) {
      const credentials = readCredentials(headers)
      if (credentials.scheme === 'none' || !credentials.key.startsWith('gw_')) return undefined
      const digest = hash('sha256', credentials.key, 'buffer')
      const entry = find(entries.get(digest.readUInt32BE(0)), digest)
      // These two are told only to somebody who holds the key.
      if (!entry.enabled) throw new AuthError('AUTH_KEY_DISABLED', 'this API key is disabled')
      if (entry.expiresAt !== Infinity && clock() >= entry.expiresAt) {
        throw new AuthError('AUTH_KEY_EXPIRED', 'this API key has expired')
      }
      return entry.caller
    },
  }
}

/**
 * How long the table look-up takes tells which 32-bit prefixes exist, of digests: to use that, one would have to
 * choose the digest of a guess, and the guess still has to be a 256-bit secret. The rest is compared in constant time.
 */
function find(candidates: readonly Entry[] | undefined, digest: Buffer): Entry {
  if (candidates !== undefined) {
    for (const entry of candidates) if (timingSafeEqual(entry.digest, digest)) return entry
  }
  throw new AuthError('AUTH_KEY_UNKNOWN', 'this API key is not known here')
}

function indexByPrefix(keys: readonly ApiKey[]): ReadonlyMap<number, readonly Entry[]> {
  const ids = new Set<string>()
  const byPrefix = new Map<number, Entry[]>()
  for (const key of keys) {
    if (ids.has(key.id)) throw new TypeError(`two keys have the id "${key.id}"`)
    ids.add(key.id)
    const digest = digestOf(key)
    const prefix = digest.readUInt32BE(0)
    const neighbours = byPrefix.get(prefix) ?? []
    const twin = neighbours.find((entry) => entry.digest.equals(digest))
    if (twin !== undefined) throw new TypeError(`the keys "${twin.caller.keyId}" and "${key.id}" are the same secret`)
    const caller: Caller = Object.freeze({
      id: key.consumerId,
      name: key.name,
      keyId: key.id,
      tenantId: key.tenantId ?? DEFAULT_TENANT,
      roles: Object.freeze([...key.roles]),
      attributes: Object.freeze({ ...key.attributes }),
      scheme: 'api-key',
    })
    const { enabled = true, expiresAt = Infinity } = key
    byPrefix.set(prefix, [...neighbours, { digest, caller, enabled, expiresAt }])
  }
  return byPrefix
}

function digestOf({ id, key, expiresAt }: ApiKey): Buffer {
  // NaN compares as "not yet": a date nobody could read must not make a key immortal.
  if (expiresAt !== undefined && !Number.isFinite(expiresAt))
    throw new TypeError(`the key "${id}" has no readable expiresAt`)
  if (/^sha256:[0-9a-f]{64}$/.test(key)) return Buffer.from(key.slice('sha256:'.length), 'hex')
  if (/^gw_./.test(key)) return hash('sha256', key, 'buffer')
  throw new TypeError(`the key "${id}" is neither "sha256:<64 hex digits>" nor "gw_…"`)
}
