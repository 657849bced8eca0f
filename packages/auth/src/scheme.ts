import type { Caller } from './caller.ts'
import type { AuthRequest } from './request.ts'

/** One way to show who one is. */
export interface Scheme {
  readonly name: Caller['scheme']
  /**
   * Undefined when the request holds no credentials of this scheme: the next one is asked. Anything else is final.
   * A promise only when it takes one.
   * @throws AuthError when there are credentials of this scheme and they are not good: no other scheme is asked then.
   */
  readonly authenticate: (request: AuthRequest) => Caller | undefined | Promise<Caller | undefined>
}
