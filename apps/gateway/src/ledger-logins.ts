/**
 * Refused logins. The adversary floods: of each minute the first {@link MAX_PER_MINUTE} have an entry of their own, and the
 * others one entry together that says how many they were.
 */
import type { EntryInput } from '@mcp-gateway/audit-chain'

export type RefusedLogins = Disposable & { add(code: string, address: string | undefined): void }

const MAX_PER_MINUTE = 60
const WINDOW_MS = 60_000

export function createRefusedLogins(note: (input: EntryInput) => void): RefusedLogins {
  let seen = 0
  let timer: NodeJS.Timeout | undefined

  const endWindow = (): void => {
    clearTimeout(timer)
    timer = undefined
    const more = seen - MAX_PER_MINUTE
    seen = 0
    if (more > 0) note({ type: 'login.refused.more', facts: { count: more, withinMs: WINDOW_MS } })
  }
  return {
    add(code, address) {
      timer ??= setTimeout(endWindow, WINDOW_MS).unref()
      seen += 1
      if (seen > MAX_PER_MINUTE) return
      note({ type: 'login.refused', facts: { code }, ...(address !== undefined && { fields: { address } }) })
    },
    [Symbol.dispose]: endWindow,
  }
}
