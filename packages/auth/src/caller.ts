/** Who is calling. Only a scheme makes one from credentials; whoever holds a `Caller` need not check again. Frozen. */
export type Caller = {
  /** The consumer. Several keys may belong to one; unique within its tenant. */
  readonly id: string
  /** What a person calls the credential. */
  readonly name: string
  /** Which credential it was: a key's id, a token's `jti`, a certificate's fingerprint. */
  readonly keyId: string
  /** Nothing crosses tenants. */
  readonly tenantId: string
  readonly roles: readonly string[]
  /** What policies may name besides: claims and configured attributes, e.g. `{ customerId: 'c-1' }`. */
  readonly attributes: Readonly<Record<string, unknown>>
  /** OAuth scopes of the token; undefined for credentials that know no scopes, and these are not held back by any. */
  readonly scopes?: readonly string[] | undefined
  /** Epoch milliseconds; the caller must not be remembered for longer. */
  readonly expiresAt?: number | undefined
  readonly scheme: SchemeName
}

export type SchemeName = 'api-key' | 'jwt' | 'session' | 'wallet-token' | 'erc8128' | 'mtls' | 'none'

/** Whose everything is that names no tenant. */
export const DEFAULT_TENANT = 'default'
