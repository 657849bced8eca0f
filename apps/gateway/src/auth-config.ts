/** Who is let in, as the configuration says it. */
import type { CertificateMatch, CertificateProxies, OidcIssuer } from '@mcp-gateway/auth'

type Identity = { readonly roles: readonly string[]; readonly tenantId: string }
type Known = Identity & {
  readonly consumerId: string
  readonly name?: string | undefined
  readonly attributes: Readonly<Record<string, unknown>>
}

export type KeyConfig = Identity & {
  readonly id: string
  readonly key: string
  readonly name: string
  readonly consumerId: string
  /** What policies may name: `caller.attributes.…`. */
  readonly attributes: Readonly<Record<string, unknown>>
  readonly enabled: boolean
  /** Epoch milliseconds. */
  readonly expiresAt?: number
  readonly previous?: { readonly key: string; readonly expiresAt: number }
}

type Moment = string | number

/** As the file has it: times are texts still, and names may be missing. */
export type KeyFile = Omit<KeyConfig, 'name' | 'expiresAt' | 'previous'> & {
  readonly name?: string | undefined
  readonly expiresAt?: Moment | undefined
  readonly rateLimit?: number | undefined
  readonly previous?: { readonly key: string; readonly expiresAt: Moment } | undefined
}

export type WalletsConfig = {
  readonly chains: readonly { readonly id: number; readonly rpc?: string | undefined }[]
  readonly operators: readonly (Known & {
    readonly address: string
    readonly chainIds?: readonly number[] | undefined
  })[]
  readonly others?: Identity | undefined
  readonly enforceSignatures: boolean
  readonly maxValidityMs?: number | undefined
}

export type CertificatesConfig = {
  readonly identities: readonly (Known & { readonly match: CertificateMatch })[]
  readonly trustDomains: readonly {
    readonly trustDomain: string
    readonly bundle?: readonly string[] | undefined
    readonly workloads?: Identity | undefined
  }[]
  readonly proxies?:
    | (Pick<CertificateProxies, 'addresses'> & {
        readonly header?: string | undefined
        readonly format?: CertificateProxies['format'] | undefined
      })
    | undefined
  readonly trust?: readonly string[] | undefined
}

type Common = {
  readonly type: 'api-key' | 'none'
  readonly oidc: readonly OidcIssuer[]
  /** That every access token must have. */
  readonly scopes: readonly string[]
  readonly wallets?: WalletsConfig | undefined
  readonly sessionSecret?: string | undefined
  readonly certificates?: CertificatesConfig | undefined
  /** Where all replicas remember used nonces. */
  readonly redis?: string | undefined
}

export type AuthFile = Common & { readonly keys: readonly KeyFile[] }
export type AuthConfig = Common & { readonly keys: readonly KeyConfig[] }

export function toAuth({ keys, ...rest }: AuthFile): AuthConfig {
  return { ...rest, keys: keys.map(toKey) }
}

function toKey({ attributes, expiresAt, name, previous, rateLimit, ...key }: KeyFile): KeyConfig {
  return {
    ...key,
    attributes: rateLimit === undefined ? attributes : { ...attributes, rateLimit },
    name: name ?? key.id,
    ...(expiresAt !== undefined && { expiresAt: timeOf(expiresAt) }),
    ...(previous && { previous: { key: previous.key, expiresAt: timeOf(previous.expiresAt) } }),
  }
}

function timeOf(moment: Moment): number {
  return new Date(moment).getTime()
}
