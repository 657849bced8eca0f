/**
 * Callers of tokens that were verified a moment ago: checking a signature takes some ten thousand times as long as
 * looking one up. Kept under the token's SHA-256, so that a dump of this memory holds no usable token.
 */
import { hash } from 'node:crypto'
import type { Caller } from './caller.ts'

export type TokenCache = {
  readonly get: (token: string) => Caller | undefined
  readonly set: (token: string, caller: Caller) => void
}

export type TokenCacheOptions = {
  readonly clock: () => number
  /** For this long a token counts although its key may have been withdrawn meanwhile; never longer than it is valid. */
  readonly rememberMs: number
  /** When there are more, the oldest is forgotten. */
  readonly maxTokens: number
}

export function createTokenCache({ clock, rememberMs, maxTokens }: TokenCacheOptions): TokenCache {
  if (rememberMs <= 0 || maxTokens <= 0) return { get: () => undefined, set: () => undefined }
  const entries = new Map<string, { readonly caller: Caller; readonly until: number }>()
  return {
    get(token) {
      const key = digest(token)
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      if (clock() < entry.until) return entry.caller
      entries.delete(key)
      return undefined
    },
    set(token, caller) {
      if (entries.size >= maxTokens) {
        const [oldest] = entries.keys()
        if (oldest !== undefined) entries.delete(oldest)
      }
      entries.set(digest(token), { caller, until: Math.min(clock() + rememberMs, caller.expiresAt ?? Infinity) })
    },
  }
}

function digest(token: string): string {
  return hash('sha256', token, 'base64')
}
