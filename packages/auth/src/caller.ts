/** Who is calling. Only an authenticator makes one from credentials; whoever holds a `Caller` need not check again. */
export type Caller = {
  /** The consumer. Several keys may belong to one. */
  readonly id: string
  /** What a person calls the key. */
  readonly name: string
  readonly keyId: string
  readonly roles: readonly string[]
  readonly scheme: 'api-key' | 'none'
}
