/** Why a server could not be started, in one line for its caller and the log. */
import { WireError } from '@mcp-gateway/wire'

/** How `Upstream.closed` begins when there was no process at all. */
const NOT_STARTED = 'it could not be started'

export type StartFailure = {
  readonly error: WireError
  /** It ended while it was asked for its era: perhaps because it was. */
  readonly mayBeProbe: boolean
}

/** @param lateMs the limit, when it had passed */
export async function startError(
  serverId: string,
  cause: unknown,
  ended: Promise<string> | undefined,
  lateMs: number | undefined,
): Promise<StartFailure> {
  const closed = cause instanceof WireError && (cause.code === 'WIRE_UPSTREAM_CLOSED' || cause.code === 'WIRE_NOT_SENT')
  const reason = closed && ended !== undefined ? await ended : undefined
  const late = lateMs === undefined ? undefined : `no answer within ${lateMs / 1000} s`
  const detail = reason ?? late ?? (cause instanceof Error ? cause.message : String(cause))
  const data = cause instanceof WireError ? cause.data : undefined
  const error = new WireError('WIRE_UPSTREAM_START_FAILED', `server ${serverId} could not be started: ${detail}`, {
    cause,
    ...(data !== undefined && { data }),
  })
  return { error, mayBeProbe: reason !== undefined && !reason.startsWith(NOT_STARTED) }
}
