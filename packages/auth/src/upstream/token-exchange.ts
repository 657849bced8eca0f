/**
 * A token for a server on the caller's behalf (RFC 8693): the caller's token is changed at the authorization server for
 * one that the server accepts. That endpoint, which an operator has configured, is the only place a client's token is
 * ever sent to: passing it on to the server itself is what the MCP specification forbids ("Token Passthrough").
 */
import { AuthError } from '../errors.ts'
import { createTokenEndpoint, type TokenEndpointOptions } from './token-endpoint.ts'
import { createTokenSource, type TokenSource, type TokenSourceOptions } from './token-source.ts'

export type TokenExchangeOptions = TokenEndpointOptions &
  Pick<TokenSourceOptions, 'marginMs' | 'maxSubjects' | 'retryAfterMs'> & {
    /** @default urn:ietf:params:oauth:token-type:access_token */
    readonly requestedTokenType?: string | undefined
  }

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

/** @throws TypeError when the token endpoint is not https */
export function createTokenExchange(options: TokenExchangeOptions): TokenSource {
  const { requestedTokenType = ACCESS_TOKEN, clock = Date.now } = options
  const endpoint = createTokenEndpoint(options)
  return createTokenSource({
    ...options,
    // Only an issuer's token means anything to the endpoint: an API key or a session of ours does not leave the house.
    request: async (subject) => {
      if (subject?.caller.scheme !== 'jwt') {
        throw new AuthError('AUTH_UPSTREAM_SUBJECT_MISSING', 'this server takes callers with a token of an issuer')
      }
      if ((subject.caller.expiresAt ?? Infinity) <= clock()) {
        throw new AuthError('AUTH_UPSTREAM_SUBJECT_MISSING', "the caller's token has ended meanwhile")
      }
      return endpoint({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: subject.token,
        subject_token_type: ACCESS_TOKEN,
        requested_token_type: requestedTokenType,
      })
    },
  })
}
