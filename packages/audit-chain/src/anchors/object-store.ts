/**
 * Every checkpoint as an object of its own in a bucket: with object lock (write once) not even its owner takes one back.
 * The two operations are the caller's, so that any S3 client, or another kind of storage, will do.
 */
import type { CheckpointPlace } from '../anchor.ts'
import { AuditError } from '../errors.ts'
import { sha256 } from '../hash.ts'

export type ObjectStoreOptions = {
  /** For messages. */
  readonly name: string
  /** Writes an object that was not there. Durable when it resolves. */
  readonly put: (key: string, body: Uint8Array, signal?: AbortSignal) => Promise<void>
  /** The object whose key comes first of those that begin so, in the order of UTF-8 bytes, as S3 lists them. */
  readonly first: (prefix: string, signal?: AbortSignal) => Promise<Uint8Array | undefined>
}

const DIGITS = 16

export function createObjectStorePlace({ name, put, first }: ObjectStoreOptions): CheckpointPlace {
  const prefixOf = (origin: string): string => `checkpoints/${sha256(origin).toString('hex', 0, 16)}/`
  return {
    name,
    async last(origin, signal) {
      const body = await attempt(name, () => first(prefixOf(origin), signal))
      return body && Buffer.from(body).toString()
    },
    async keep({ origin, size, note }, signal) {
      // Listings begin with the smallest key, and the largest size is wanted. A cosigned note is another object.
      const key = `${String(Number.MAX_SAFE_INTEGER - size).padStart(DIGITS, '0')}-${sha256(note).toString('hex', 0, 8)}`
      await attempt(name, () => put(`${prefixOf(origin)}${key}`, Buffer.from(note), signal))
    },
  }
}

async function attempt<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new AuditError('AUDIT_ANCHOR_FAILED', `${name} failed`, { cause: error })
  }
}
