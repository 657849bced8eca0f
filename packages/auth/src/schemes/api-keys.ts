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
  /** During a rotation: the key before this one, let in until its own end, so that its holders can change in peace. */
  readonly previous?: { readonly key: string; readonly expiresAt: number } | undefined
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
  /**
   * Told that a key was let in, at most once a minute for each. It runs on the request's path, so it takes a note and
   * returns; what it throws is dropped, since nobody should be locked out because a note could not be taken.
   */
  readonly onUse?: ((keyId: string, atMs: number) => void) | undefined
}

type Entry = {
  readonly digest: Buffer
  readonly caller: Caller
  readonly enabled: boolean
  readonly expiresAt: number
}

const USE_INTERVAL_MS = 60_000

/** @throws TypeError when two keys share an id or a secret, or a key has no known form: nobody calls with such a list. */
export function createApiKeys({ keys, clock = Date.now, onUse }: ApiKeysOptions): Scheme {
  const entries = indexByPrefix(keys)
  const noteUse = onUse === undefined ? undefined : throttle(onUse, clock)
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
      noteUse?.(entry.caller.keyId)
      return entry.caller
    },
  }
}

function throttle(onUse: (keyId: string, atMs: number) => void, clock: () => number): (keyId: string) => void {
  // Grows to the number of configured keys.
  const notedAt = new Map<string, number>()
  return (keyId) => {
    const now = clock()
    if (now - (notedAt.get(keyId) ?? -Infinity) < USE_INTERVAL_MS) return
    notedAt.set(keyId, now)
    try {
      onUse(keyId, now)
    } catch {
      // See `onUse`.
    }
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
    for (const entry of entriesOf(key)) {
      const prefix = entry.digest.readUInt32BE(0)
      const neighbours = byPrefix.get(prefix) ?? []
      const twin = neighbours.find(({ digest }) => digest.equals(entry.digest))
      if (twin !== undefined) throw new TypeError(`the keys "${twin.caller.keyId}" and "${key.id}" are the same secret`)
      byPrefix.set(prefix, [...neighbours, entry])
    }
  }
  return byPrefix
}

function entriesOf(key: ApiKey): Entry[] {
  const { id, previous, enabled = true, expiresAt = Infinity } = key
  const caller: Caller = Object.freeze({
    id: key.consumerId,
    name: key.name,
    keyId: id,
    tenantId: key.tenantId ?? DEFAULT_TENANT,
    roles: Object.freeze([...key.roles]),
    attributes: Object.freeze({ ...key.attributes }),
    scheme: 'api-key',
  })
  const current = { digest: digestOf(key), caller, enabled, expiresAt }
  if (previous === undefined) return [current]
  const digest = digestOf({ id, ...previous })
  return [current, { digest, caller, enabled, expiresAt: Math.min(expiresAt, previous.expiresAt) }]
}

function digestOf({ id, key, expiresAt }: Pick<ApiKey, 'id' | 'key' | 'expiresAt'>): Buffer {
  // NaN compares as "not yet": a date nobody could read must not make a key immortal.
  if (expiresAt !== undefined && !Number.isFinite(expiresAt))
    throw new TypeError(`the key "${id}" has no readable expiresAt`)
  if (/^sha256:[0-9a-f]{64}$/.test(key)) return Buffer.from(key.slice('sha256:'.length), 'hex')
  if (/^gw_./.test(key)) return hash('sha256', key, 'buffer')
  throw new TypeError(`the key "${id}" is neither "sha256:<64 hex digits>" nor "gw_…"`)
}
