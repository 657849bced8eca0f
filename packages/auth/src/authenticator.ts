/** From a request to a `Caller`: the schemes are asked in their order, and the first that has credentials decides alone. */
import type { Caller } from './caller.ts'
import { readCredentials } from './credentials.ts'
import { AuthError } from './errors.ts'
import type { AuthRequest } from './request.ts'
import type { Scheme } from './scheme.ts'

export type AuthenticatorOptions = {
  /**
   * In order of precedence. ERC-8128 and client certificates come before bearer tokens, so that a request which holds both
   * is never let in by the weaker one.
   */
  readonly schemes: readonly Scheme[]
}

export type Authenticator = {
  /**
   * A promise only when the deciding scheme needs one.
   * @throws AuthError whatever the scheme says; AUTH_CREDENTIALS_MISSING, AUTH_KEY_UNKNOWN when none knows the credentials
   */
  readonly authenticate: (request: AuthRequest) => Caller | Promise<Caller>
}

export function createAuthenticator({ schemes }: AuthenticatorOptions): Authenticator {
  const ask = (request: AuthRequest, from: number): Caller | Promise<Caller> => {
    const scheme = schemes[from]
    if (scheme === undefined) return refuse(request)
    const answer = scheme.authenticate(request)
    if (answer instanceof Promise) return answer.then((caller) => caller ?? ask(request, from + 1))
    return answer ?? ask(request, from + 1)
  }
  return { authenticate: (request) => ask(request, 0) }
}

function refuse({ headers }: AuthRequest): never {
  if (readCredentials(headers).scheme === 'none') {
    throw new AuthError('AUTH_CREDENTIALS_MISSING', 'send an API key: "Authorization: Bearer <key>" or "X-API-Key"')
  }
  throw new AuthError('AUTH_KEY_UNKNOWN', 'these credentials are not known here')
}
