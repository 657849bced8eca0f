/** May this token do that: OAuth scopes, apart from what policies say of the caller. */
import type { Caller } from './caller.ts'
import { AuthError } from './errors.ts'

export type ScopeOptions = {
  /** Scope to those it contains: `{ 'mcp:admin': ['mcp:write'], 'mcp:write': ['mcp:read'] }`. */
  readonly implies?: Readonly<Record<string, readonly string[]>> | undefined
}

/**
 * Callers with credentials that know no scopes (API keys, certificates) are not held back: what they may is policy's.
 * @throws AuthError AUTH_INSUFFICIENT_SCOPE, naming all scopes of the operation, so that the client asks once
 */
export function requireScopes(
  { scopes }: Pick<Caller, 'scopes'>,
  required: readonly string[],
  { implies = {} }: ScopeOptions = {},
): void {
  if (scopes === undefined) return
  const held = new Set(scopes)
  // A Set goes on with what is added while it is walked through, and takes nothing twice: circles end.
  for (const scope of held) {
    if (Object.hasOwn(implies, scope)) for (const more of implies[scope] ?? []) held.add(more)
  }
  if (required.every((scope) => held.has(scope))) return
  throw new AuthError('AUTH_INSUFFICIENT_SCOPE', 'the token lacks a scope that this takes', {
    requiredScopes: required,
  })
}
