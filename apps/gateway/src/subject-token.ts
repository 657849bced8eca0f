/**
 * The access token a caller came with, for the exchange at a server's authorization server (RFC 8693), and for nothing else.
 * It is no member of anything: what is logged, recorded or turned into JSON cannot have it, whoever writes the next line there.
 */
import { readBearer, type Caller, type Scheme, type TokenSubject } from '@mcp-gateway/auth'

const tokens = new WeakMap<Caller, string>()

/** Remembers the token of everybody whom this scheme lets in by one. */
export function withSubjectTokens(scheme: Scheme): Scheme {
  return {
    name: scheme.name,
    authenticate(request) {
      const remember = (caller: Caller | undefined): Caller | undefined => {
        const token = readBearer(request.headers)
        if (caller !== undefined && token !== undefined) tokens.set(caller, token)
        return caller
      }
      const answer = scheme.authenticate(request)
      return answer instanceof Promise ? answer.then(remember) : remember(answer)
    },
  }
}

/** Undefined for callers who showed by something else who they are. */
export function subjectOf(caller: Caller): TokenSubject | undefined {
  const token = tokens.get(caller)
  return token === undefined ? undefined : { caller, token }
}
