/** `ERC8128_ENFORCE_OPERATOR_MCP`: an operator's wallet signs each of its requests, or is not let in. */
import type { Caller } from '../caller.ts'
import { AuthError } from '../errors.ts'
import type { Scheme } from '../scheme.ts'
import type { Wallets } from './directory.ts'

export type OperatorEnforcementOptions = {
  /** What gives out callers for something that can be copied: wallet tokens, session tokens. */
  readonly scheme: Scheme
  readonly wallets: Wallets
}

/**
 * The scheme, but that it turns operators' wallets away: an operator's bearer token is worth more than others', and whoever
 * copies it needs nothing else. Goes around each bearer scheme that wallets may use.
 * @throws AuthError, from `authenticate`: AUTH_SIGNATURE_REQUIRED
 */
export function enforceOperatorSignatures({ scheme, wallets }: OperatorEnforcementOptions): Scheme {
  const check = (caller: Caller | undefined): Caller | undefined => {
    const wallet = caller?.attributes['wallet']
    if (typeof wallet !== 'string' || !wallets.isOperator(wallet)) return caller
    throw new AuthError('AUTH_SIGNATURE_REQUIRED', "an operator's requests have to be signed (ERC-8128)")
  }
  return {
    name: scheme.name,
    authenticate(request) {
      const answer = scheme.authenticate(request)
      return answer instanceof Promise ? answer.then(check) : check(answer)
    },
  }
}
