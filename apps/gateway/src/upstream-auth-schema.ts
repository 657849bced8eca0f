/** The `auth` section of a server in gateway.yaml: how the gateway gets access tokens for it (OAuth 2.1). */
import { z } from 'zod'
import { text } from './config-values.ts'

export type UpstreamAuthConfig = {
  /** With the gateway's own token, or each call with one that was got for its caller's (RFC 8693). */
  readonly type: 'client-credentials' | 'token-exchange'
  /** @default found by the metadata of `issuer`, or of the server's own authorization server */
  readonly tokenEndpoint?: string | undefined
  readonly issuer?: string | undefined
  readonly clientId: string
  readonly clientSecret?: string | undefined
  /** PEM, PKCS #8: for `private_key_jwt` (RFC 7523). */
  readonly privateKey?: string | undefined
  readonly algorithm?: string | undefined
  readonly keyId?: string | undefined
  readonly tokenEndpointAuthMethod?:
    | 'client_secret_basic'
    | 'client_secret_post'
    | 'private_key_jwt'
    | 'none'
    | undefined
  readonly scopes?: readonly string[] | undefined
  /** RFC 8707. @default the server's url */
  readonly resource?: string | undefined
  readonly audience?: string | undefined
}

export const upstreamAuthSchema: z.ZodType<UpstreamAuthConfig> = z.strictObject({
  type: z
    .enum(['client-credentials', 'token-exchange'])
    .describe(
      'client-credentials: the gateway’s own token. token-exchange: one for each caller, got for the caller’s.',
    ),
  tokenEndpoint: text('Where tokens are given out. Otherwise the metadata of `issuer` says it.').optional(),
  issuer: text('The authorization server. Without it, client-credentials asks the server’s own metadata.').optional(),
  clientId: text('How the gateway is registered there.'),
  clientSecret: text('Its secret; from the environment: ${NAME}.').optional(),
  privateKey: text('PEM (PKCS #8) of the key it signs with, instead of a secret.').optional(),
  algorithm: z.enum(['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA']).optional().describe('Of `privateKey`.'),
  keyId: text('The name of `privateKey` at the authorization server.').optional(),
  tokenEndpointAuthMethod: z
    .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])
    .optional()
    .describe('How the secret is shown (RFC 7591). Default client_secret_basic, with a key private_key_jwt.'),
  // RFC 6749 §3.3: a space or quote in one would make others of it.
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, { error: 'is not a scope' }))
    .optional()
    .describe('What the token is to allow.'),
  resource: text('What the token is for (RFC 8707). Default `url`.')
    .refine((value) => URL.canParse(value) && !value.includes('#'), { error: 'must be a URI without a fragment' })
    .optional(),
  audience: text('The same, for authorization servers that want it so.').optional(),
})
