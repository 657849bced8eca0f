/** The `auth` section of gateway.yaml: who is let in, and by what. */
import { DEFAULT_TENANT } from '@mcp-gateway/auth'
import { z } from 'zod'
import type { AuthFile, KeyFile } from './auth-config.ts'
import { digits, flag, text, texts } from './config-values.ts'

const names = 'Letters, digits, "-", "_" and "."; at most 64.'
export const identifier: z.ZodString = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, { error: `must be a short name. ${names}` })

/** What is said of a caller, whatever shows who it is. */
const identity = {
  roles: z.array(identifier).default([]).describe('Roles of the caller.'),
  tenantId: identifier.default(DEFAULT_TENANT).describe('Whose caller it is. Nothing crosses tenants.'),
}
const attributes = z
  .record(z.string().min(1).max(256), z.unknown())
  .default({})
  .describe('What policies may name as `attributes.…` of the caller, and `tier` for limits.')
const moment = z.union([z.iso.datetime({ offset: true }), z.iso.date(), z.int().min(0).max(8.64e15)], {
  error: 'must be a time such as 2027-01-31T00:00:00Z, a date, or epoch milliseconds',
})
const milliseconds = (max: number) => z.preprocess(digits, z.int().min(0).max(max)).optional()

const keySchema: z.ZodType<KeyFile> = z.strictObject({
  id: identifier.describe('Names the key in logs and in `mcp-gateway keys revoke`.'),
  key: text('`sha256:<64 hex digits>` (what `mcp-gateway keys create` writes) or a plain `gw_…` key.'),
  name: text('What a person calls this key, such as "My Agent".').optional(),
  consumerId: identifier.describe('Who is behind the key. Several keys may belong to one consumer.'),
  ...identity,
  attributes,
  enabled: flag(true, 'false refuses the key without forgetting it.'),
  expiresAt: moment
    .optional()
    .describe('After this moment the key is refused. ISO 8601 with a zone, a date (00:00 UTC), or epoch milliseconds.'),
  rateLimit: z
    .preprocess(digits, z.int().min(1).max(600_000))
    .optional()
    .describe('Calls of its consumer in a minute, besides what `rateLimit` says.'),
  previous: z
    .strictObject({ key: text('The key before, as `key`.'), expiresAt: moment.describe('Until when it is good.') })
    .optional()
    .describe('The secret before the last rotation, which stays good for a while.'),
})

const issuerSchema = z.strictObject({
  issuer: text('Its URL, exactly as in the tokens’ `iss`.'),
  audience: z.union([z.string(), z.array(z.string()).min(1)]).optional().describe('What `aud` must name, instead of the gateway’s own resources.'), // prettier-ignore
  algorithms: z.array(z.string()).min(1).optional().describe('Signature algorithms. Never `none`, never HMAC.'),
  clockSkewMs: milliseconds(300_000).describe('How far its clock may be from ours.'),
  claims: z
    .strictObject({
      id: text('Claim with the consumer’s id. Default `sub`.').optional(),
      name: text('Claim with the name.').optional(),
      roles: text('Claim with the roles; a dot goes one object deeper.').optional(),
      tenantId: text('Claim with the tenant. A token without it is refused then.').optional(),
      scopes: text('Claim with the scopes. Default `scope`.').optional(),
      attributes: z.record(z.string(), z.string()).optional().describe('Attribute to claim.'),
    })
    .optional()
    .describe('Which claims say what.'),
  idPrefix: text('What its callers’ ids begin with. Default `<issuer>|`.').optional(),
  tenantId: identifier.optional().describe('The tenant of all its callers.'),
  tenants: z
    .union([z.literal('any'), z.array(identifier).min(1)])
    .optional()
    .describe('The tenants it may speak for.'),
  jwksUri: text('URL of its keys, instead of discovery.').optional(),
  allowLoopback: flag(false, 'Plain http to this machine, for tests.'),
})

const walletsSchema = z.strictObject({
  chains: z
    .array(
      z.strictObject({
        id: z.preprocess(digits, z.int().min(1)).describe('Chain id, 8453 for Base.'),
        rpc: text('URL of its RPC server. Without one, only accounts with a key of their own are let in.').optional(),
      }),
    )
    .min(1)
    .describe('The chains that accounts may be on.'),
  operators: z
    .array(
      z.strictObject({
        address: z.string().regex(/^0x[0-9a-fA-F]{40}$/, { error: 'must be 0x and 40 hex digits' }).describe('Of the wallet.'), // prettier-ignore
        chainIds: z.array(z.int().min(1)).min(1).optional().describe('Chains it is meant on. Contracts need it.'),
        consumerId: identifier.describe('Who is behind the wallet.'),
        name: text('What a person calls it.').optional(),
        ...identity,
        attributes,
      }),
    )
    .default([])
    .describe('Wallets that are known.'),
  others: z.strictObject(identity).optional().describe('What wallets are that are not listed. Without it they are refused.'), // prettier-ignore
  enforceSignatures: flag(false, 'Operators’ wallets have to sign each request (`ERC8128_ENFORCE_OPERATOR_MCP=true`).'),
  maxValidityMs: milliseconds(3_600_000).describe('The longest time a signed request may be valid. Default 60000.'),
})

const certificatesSchema = z.strictObject({
  identities: z
    .array(
      z.strictObject({
        match: z
          .union([
            z.strictObject({ spiffeId: z.string() }),
            z.strictObject({ fingerprint: z.string() }),
            z.strictObject({ subject: z.string() }),
            z.strictObject({ dnsName: z.string() }),
          ])
          .describe('One of spiffeId, fingerprint (`sha256:…`), subject and dnsName.'),
        consumerId: identifier.describe('Who is behind the certificate.'),
        name: text('What a person calls it.').optional(),
        ...identity,
        attributes,
      }),
    )
    .default([])
    .describe('Certificates that are known.'),
  trustDomains: z
    .array(
      z.strictObject({
        trustDomain: text('SPIFFE trust domain, such as acme.example.'),
        bundle: z.array(z.string()).optional().describe('Its authorities, PEM.'),
        workloads: z.strictObject(identity).optional().describe('What workloads are that no identity names.'),
      }),
    )
    .default([])
    .describe('SPIFFE trust domains whose workloads are callers.'),
  proxies: z
    .strictObject({
      addresses: texts('Networks of the proxies that pass certificates on, and of nothing else.'),
      header: text('The header they use. Default client-cert.').optional(),
      format: z.enum(['rfc9440', 'pem-url-encoded', 'xfcc']).optional().describe('How it is written. Default rfc9440.'),
    })
    .optional()
    .describe('Whose header with a client certificate is believed.'),
  trust: z.array(z.string()).optional().describe('Authorities, PEM, that must have signed what a proxy passes on.'),
})

export const authSchema: z.ZodType<AuthFile> = z
  .strictObject({
    type: z
      .enum(['api-key', 'none'])
      .default('api-key')
      .describe('none: everybody who reaches the port may call. Otherwise all that follows is asked for.'),
    keys: z.array(keySchema).default([]).describe('API keys. `mcp-gateway keys create` adds one.'),
    oidc: z.array(issuerSchema).default([]).describe('Issuers of access tokens (OpenID Connect, OAuth 2.1). Needs `publicUrl`.'), // prettier-ignore
    scopes: texts('Scopes that every access token must have. Keys, wallets and certificates know no scopes.'),
    wallets: walletsSchema
      .optional()
      .describe('Ethereum wallets: sign-in, tokens and signed requests. Needs `publicUrl`.'),
    sessionSecret: text('At least 32 random bytes that sign the sessions of wallets; the same on all replicas. Without it, one is made beside gateway.db.').optional(), // prettier-ignore
    certificates: certificatesSchema.optional().describe('Client certificates (mTLS).'),
    redis: text('redis:// URL where all replicas remember used nonces. Without it, gateway.db does.').optional(),
  })
  .prefault({})
  .describe('Who may call.')
