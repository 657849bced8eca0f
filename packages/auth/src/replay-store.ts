/**
 * What may be used once: nonces of signed requests and of wallet logins. An adapter keeps these guarantees, and
 * `@mcp-gateway/auth/testing` checks them:
 * 1. Of any number of `consume`s of one key, on any number of processes, exactly one is answered with true until the
 *    key expires.
 * 2. A key that was consumed is not forgotten before it expires, for whatever reason: a full store refuses new keys.
 * 3. A key that has expired goes away by itself.
 * 4. A store that cannot answer throws or rejects; it never guesses.
 */
import { hash } from 'node:crypto'
import { AuthError } from './errors.ts'
import { withDeadline } from './deadline.ts'

export interface ReplayStore {
  /**
   * True when this is the first use of the key; false when it was used, or when `expiresAtMs` has passed already.
   * One atomic step: a look-up followed by an insertion lets two through that come at once (ERC-8128 §3.1.2).
   */
  readonly consume: (key: string, expiresAtMs: number) => boolean | Promise<boolean>
}

const ENCODING = 'base64url'

/**
 * 43 characters for any tuple: a signer chooses how long his nonces are, but not how much room they take. JSON keeps the
 * parts apart, so that ("a", "bc") is not ("ab", "c").
 */
export function replayKey(...parts: readonly string[]): string {
  return hash('sha256', JSON.stringify(parts), ENCODING)
}

/** @throws AuthError AUTH_REPLAY_STORE_UNAVAILABLE: nobody is let in on a guess. */
export async function consumeOnce(
  store: ReplayStore,
  key: string,
  expiresAtMs: number,
  timeoutMs: number,
): Promise<boolean> {
  try {
    const work: Promise<unknown> = Promise.resolve(store.consume(key, expiresAtMs))
    const answer = await withDeadline(work, timeoutMs, () => new Error(`no answer within ${timeoutMs} ms`))
    return answer === true
  } catch (cause) {
    if (cause instanceof AuthError) throw cause
    throw new AuthError('AUTH_REPLAY_STORE_UNAVAILABLE', 'whether this was used before cannot be told now; try again', {
      cause,
    })
  }
}
