/** The sessions of one endpoint, within limits. The adversary opens sessions and leaves them. */
import { WireError } from '../errors.ts'

export type SessionLimits = {
  readonly maxSessions: number
  /** Of one principal, so that one caller can't take them all. */
  readonly maxSessionsPerCaller: number
  /** A session without a request or an open stream for this long is ended. */
  readonly sessionIdleMs: number
}

export const defaultSessionLimits: SessionLimits = {
  maxSessions: 1000,
  maxSessionsPerCaller: 100,
  sessionIdleMs: 30 * 60_000,
}

type Entry = {
  readonly id: string
  readonly principal: string
  readonly isBusy: () => boolean
  dispose(): Promise<void>
}

export type SessionTable<S extends Entry> = {
  readonly size: () => number
  /** Throws WIRE_SESSION_LIMIT when there is no room for one more. */
  reserve(principal: string): void
  add(session: S): void
  /** Undefined for an unknown id and for somebody else's. */
  find(id: string, principal: string): S | undefined
  remove(session: S): Promise<void>
  close(): Promise<void>
}

export function createSessionTable<S extends Entry>(
  limits: SessionLimits,
  onError: (error: unknown) => void,
  now: () => number = Date.now,
): SessionTable<S> {
  const sessions = new Map<string, { readonly session: S; usedAt: number }>()

  const remove = async (session: S): Promise<void> => {
    if (sessions.delete(session.id)) await session.dispose()
  }
  const sweep = (): void => {
    const oldest = now() - limits.sessionIdleMs
    for (const entry of sessions.values()) {
      if (entry.session.isBusy()) entry.usedAt = now()
      else if (entry.usedAt < oldest) remove(entry.session).catch(onError)
    }
  }
  const timer = setInterval(sweep, Math.min(30_000, limits.sessionIdleMs)).unref()

  return {
    size: () => sessions.size,
    reserve(principal) {
      let own = 0
      for (const { session } of sessions.values()) if (session.principal === principal) own += 1
      if (sessions.size >= limits.maxSessions || own >= limits.maxSessionsPerCaller) {
        throw new WireError('WIRE_SESSION_LIMIT', 'too many sessions are open; end one with DELETE or wait')
      }
    },
    add: (session) => void sessions.set(session.id, { session, usedAt: now() }),
    find(id, principal) {
      const entry = sessions.get(id)
      if (entry === undefined || entry.session.principal !== principal) return undefined
      entry.usedAt = now()
      return entry.session
    },
    remove,
    async close() {
      clearInterval(timer)
      await Promise.all(Array.from(sessions.values(), ({ session }) => remove(session)))
    },
  }
}
