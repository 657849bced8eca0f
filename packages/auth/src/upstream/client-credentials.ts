/** The gateway's own token for a server (RFC 6749 §4.4): the same one for every caller. */
import { createTokenEndpoint, type TokenEndpointOptions } from './token-endpoint.ts'
import { createTokenSource, type TokenSource, type TokenSourceOptions } from './token-source.ts'

export type ClientCredentialsOptions = TokenEndpointOptions & Pick<TokenSourceOptions, 'marginMs' | 'retryAfterMs'>

/** @throws TypeError when the token endpoint is not https, or the client has nothing to show */
export function createClientCredentials(options: ClientCredentialsOptions): TokenSource {
  // RFC 6749 §4.4: "MUST only be used by confidential clients".
  if (options.client.method === 'none') throw new TypeError('client credentials take a client that has some')
  const endpoint = createTokenEndpoint(options)
  const source = createTokenSource({ ...options, request: () => endpoint({ grant_type: 'client_credentials' }) })
  return {
    token: ({ signal } = {}) => source.token({ signal }),
    forget: (refused) => source.forget(refused),
  }
}
