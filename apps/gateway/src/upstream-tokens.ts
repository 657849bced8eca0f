/** Access tokens for one server behind OAuth: who gets which, and which connections may be shared. */
import { createPrivateKey, hash, type KeyObject } from 'node:crypto'
import {
  AuthError,
  createClientCredentials,
  createTokenExchange,
  discoverTokenEndpoint,
  type ClientAuthentication,
  type TokenSource,
} from '@mcp-gateway/auth'
import type { Credentials } from '@mcp-gateway/wire'
import type { RemoteServerConfig, ServerConfig } from './config.ts'
import type { Asker } from './context.ts'
import { subjectOf } from './subject-token.ts'
import type { UpstreamAuthConfig } from './upstream-auth-schema.ts'

export type UpstreamTokens = {
  /**
   * Whose connections these are: a name of the token that a connection carries on behalf of its caller, undefined when it carries
   * nobody's. By the token and not by the caller: one that may less must not use what another may more.
   * @throws AuthError AUTH_UPSTREAM_SUBJECT_MISSING when the caller has no token to exchange
   */
  readonly owner: (asker: Asker) => string | undefined
  /** For one connection, opened for this asker. Undefined for a server that takes no tokens. */
  readonly open: (asker: Asker) => Credentials | undefined
}

/** Callers' tokens that are kept for one server; past them the one not used for the longest is fetched again. */
const MAX_SUBJECTS = 10_000

const NONE: UpstreamTokens = { owner: () => undefined, open: () => undefined }

/** @throws TypeError when the authorization server is not https, or the client has nothing to show */
export function createUpstreamTokens(config: ServerConfig): UpstreamTokens {
  if (config.transport === 'stdio' || config.auth === undefined) return NONE
  const { auth } = config
  const source = sourceOf(config, auth)
  if (auth.type === 'client-credentials') return { owner: () => undefined, open: () => credentialsOf(source) }
  const subject = ({ caller }: Asker) => {
    const found = caller && subjectOf(caller)
    if (found !== undefined) return found
    throw new AuthError(
      'AUTH_UPSTREAM_SUBJECT_MISSING',
      `server ${config.id} takes callers with an access token of an issuer, not those with a key, wallet or certificate`,
    )
  }
  return {
    owner: (asker) => hash('sha256', subject(asker).token, 'base64url'),
    open: (asker) => credentialsOf(source, subject(asker)),
  }
}

function credentialsOf(source: TokenSource, subject?: Parameters<TokenSource['forget']>[1]): Credentials {
  return {
    get: async (signal) => `Bearer ${(await source.token({ subject, signal })).token}`,
    refused: (value) => source.forget(value.slice('Bearer '.length), subject),
  }
}

function sourceOf({ url }: RemoteServerConfig, auth: UpstreamAuthConfig): TokenSource {
  const { type, tokenEndpoint, issuer, scopes, resource = url, audience } = auth
  // Where the operator says so. A server elsewhere must not have our client's secret sent to a port of this machine.
  const allowLoopback = (tokenEndpoint ?? issuer ?? url).startsWith('http:')
  const common = {
    tokenEndpoint: tokenEndpoint ?? discoverTokenEndpoint({ server: url, issuer, allowLoopback }),
    client: clientOf(auth),
    scopes,
    resource,
    audience,
    allowLoopback,
  }
  return type === 'token-exchange'
    ? createTokenExchange({ ...common, maxSubjects: MAX_SUBJECTS })
    : createClientCredentials(common)
}

function clientOf(auth: UpstreamAuthConfig): ClientAuthentication {
  const { clientId, clientSecret, privateKey, algorithm, keyId, issuer } = auth
  const method = auth.tokenEndpointAuthMethod ?? (privateKey === undefined ? 'client_secret_basic' : 'private_key_jwt')
  if (method === 'none') return { method, clientId }
  if (method === 'private_key_jwt') {
    if (privateKey === undefined || algorithm === undefined) throw new TypeError(`${method} needs privateKey and algorithm`) // prettier-ignore
    return { method, clientId, privateKey: readKey(privateKey, algorithm), algorithm, keyId, audience: issuer }
  }
  if (clientSecret === undefined) throw new TypeError('has neither clientSecret nor privateKey')
  return { method, clientId, clientSecret }
}

const KEY_TYPES: Readonly<Record<string, string>> = { ES: 'ec', RS: 'rsa', PS: 'rsa', Ed: 'ed25519' }

function readKey(pem: string, algorithm: string): KeyObject {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    // Its own message may quote what it could not read.
    throw new TypeError('privateKey is not a PEM private key (PKCS #8)')
  }
  if (key.asymmetricKeyType !== KEY_TYPES[algorithm.slice(0, 2)]) throw new TypeError(`privateKey is not a key for ${algorithm}`) // prettier-ignore
  return key
}
