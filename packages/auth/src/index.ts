export { generateApiKey, hashApiKey, type ApiKeyHash } from './api-key.ts'
export { createAuthenticator, type Authenticator, type AuthenticatorOptions } from './authenticator.ts'
export { DEFAULT_TENANT, type Caller, type SchemeName } from './caller.ts'
export { challengeFor, type ChallengeOptions } from './challenge.ts'
export type { ClaimNames } from './claims.ts'
export { readBearer, readCredentials, type Credentials } from './credentials.ts'
export { AuthError, statusOf, type AuthErrorCode, type AuthErrorOptions } from './errors.ts'
export type { Fetch } from './fetch-json.ts'
export {
  protectedResourceMetadata,
  protectedResourcePath,
  protectedResourceUrl,
  type ProtectedResource,
  type ProtectedResourceMetadata,
} from './protected-resource.ts'
export type { AuthRequest, Peer, RequestHeaders } from './request.ts'
export type { Scheme } from './scheme.ts'
export type { OidcIssuer } from './schemes/oidc-options.ts'
export { createOidc, type OidcOptions } from './schemes/oidc.ts'
export {
  createSessionTokens,
  type SessionSubject,
  type SessionToken,
  type SessionTokens,
  type SessionTokensOptions,
} from './schemes/session-token.ts'
export { requireScopes, type ScopeOptions } from './scopes.ts'
export { createClientCredentials, type ClientCredentialsOptions } from './upstream/client-credentials.ts'
export type { ClientAuthentication, TokenEndpointOptions, UpstreamToken } from './upstream/token-endpoint.ts'
export { createTokenExchange, type TokenExchangeOptions } from './upstream/token-exchange.ts'
export {
  createTokenSource,
  type TokenRequest,
  type TokenSource,
  type TokenSourceOptions,
  type TokenSubject,
} from './upstream/token-source.ts'
export { createApiKeys, type ApiKey, type ApiKeysOptions } from './schemes/api-keys.ts'
