export { generateApiKey, hashApiKey, type ApiKeyHash } from './api-key.ts'
export { createAuthenticator, type Authenticator, type AuthenticatorOptions } from './authenticator.ts'
export { DEFAULT_TENANT, type Caller, type SchemeName } from './caller.ts'
export { challengeFor, type ChallengeOptions } from './challenge.ts'
export type { ClaimNames } from './claims.ts'
export { readBearer, readCredentials, type Credentials } from './credentials.ts'
export { AuthError, authStatuses, statusOf, type AuthErrorCode, type AuthErrorOptions } from './errors.ts'
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
export type {
  ClientAuthentication,
  TokenEndpoint,
  TokenEndpointOptions,
  UpstreamToken,
} from './upstream/token-endpoint.ts'
export { discoverTokenEndpoint, type TokenEndpointDiscoveryOptions } from './upstream/token-endpoint-discovery.ts'
export { createTokenExchange, type TokenExchangeOptions } from './upstream/token-exchange.ts'
export {
  createTokenSource,
  type TokenRequest,
  type TokenSource,
  type TokenSourceOptions,
  type TokenSubject,
} from './upstream/token-source.ts'
export { createApiKeys, type ApiKey, type ApiKeysOptions } from './schemes/api-keys.ts'
export { consumeOnce, replayKey, type ReplayStore } from './replay-store.ts'
export type { Erc8128Text } from './erc8128/candidate.ts'
export { describeErc8128, type Erc8128Discovery } from './erc8128/discovery.ts'
export { SignatureError, type SignatureErrorOptions, type Erc8128Reason } from './erc8128/failure.ts'
export { parseDictionary } from './erc8128/structured-fields.ts'
export { formatAccountId, parseAccountId, type Address, type Wallet } from './ethereum/account-id.ts'
export {
  createAccountVerifier,
  type AccountReader,
  type AccountVerdict,
  type AccountVerifier,
  type AccountVerifierOptions,
  type Chain,
} from './ethereum/account-verifier.ts'
export { createHttpRpc, type HttpRpcOptions } from './ethereum/http-rpc.ts'
export { createRpcAccountReader, type RpcAccountReaderOptions, type RpcRequest } from './ethereum/rpc.ts'
export { hashMessage, recoverAddress, type PublicKeyRecovery } from './ethereum/recover.ts'
export { createErc8128, type Erc8128Options } from './schemes/erc8128.ts'
export {
  createWallets,
  type Operator,
  type WalletAttributes,
  type Wallets,
  type WalletsOptions,
} from './wallet/directory.ts'
export { enforceOperatorSignatures, type OperatorEnforcementOptions } from './wallet/enforcement.ts'
export { createWalletLogin, type Challenge, type WalletLogin, type WalletLoginOptions } from './wallet/login.ts'
export { formatLoginMessage, parseLoginMessage, type LoginMessage } from './wallet/message.ts'
export type { WalletTokenRecord, WalletTokenStore } from './wallet/token-store.ts'
export { createWalletTokens, type WalletToken, type WalletTokens, type WalletTokensOptions } from './wallet/tokens.ts'
export { parseSpiffeId, type SpiffeId } from './certificates/spiffe-id.ts'
export type { CertificateHeaderFormat } from './certificates/proxy-header.ts'
export {
  createClientCertificates,
  type CertificateIdentity,
  type CertificateMatch,
  type CertificateProxies,
  type ClientCertificatesOptions,
  type SpiffeTrustDomain,
} from './schemes/client-certificate.ts'
