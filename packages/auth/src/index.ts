// DRAFT by the lead so that the gateway compiles; helper B: overwrite this file.
import { hash, timingSafeEqual } from 'node:crypto'
export type AuthErrorCode = 'AUTH_CREDENTIALS_MISSING' | 'AUTH_CREDENTIALS_MALFORMED' | 'AUTH_AMBIGUOUS_CREDENTIALS' | 'AUTH_KEY_UNKNOWN' | 'AUTH_KEY_EXPIRED' | 'AUTH_KEY_DISABLED'
export class AuthError extends Error {
  readonly code: AuthErrorCode
  constructor(code: AuthErrorCode, message: string) { super(message); this.code = code }
}
export type Caller = { readonly id: string; readonly name: string; readonly keyId: string; readonly roles: readonly string[]; readonly scheme: 'api-key' | 'none' }
export type Credentials = string | undefined
export function readCredentials(headers: Readonly<Record<string, string | string[] | undefined>>): Credentials {
  const a = headers['authorization']
  return typeof a === 'string' ? a.slice(7) : (headers['x-api-key'] as string | undefined)
}
export type Authenticator = { authenticate(credentials: Credentials): Caller }
export function createAuthenticator({ keys }: { keys: readonly { id: string; key: string; name: string; consumerId: string; roles: readonly string[] }[] }): Authenticator {
  const all = keys.map((k) => ({ digest: k.key.startsWith('sha256:') ? Buffer.from(k.key.slice(7), 'hex') : hash('sha256', k.key, 'buffer'), caller: { id: k.consumerId, name: k.name, keyId: k.id, roles: k.roles, scheme: 'api-key' as const } }))
  return { authenticate(c) {
    if (c === undefined) throw new AuthError('AUTH_CREDENTIALS_MISSING', 'no credentials')
    const d = hash('sha256', c, 'buffer')
    for (const k of all) if (timingSafeEqual(k.digest, d)) return k.caller
    throw new AuthError('AUTH_KEY_UNKNOWN', 'unknown key')
  } }
}
