/** The two limits on a call's time: how long it may be silent, and how long it may take at all. */
export type CallClock = {
  /** It gave a sign of life. */
  touch(): void
  /** It waits for its client, whose time doesn't count; until the next `touch`. */
  hold(): void
  stop(): void
}

export type CallTimes = { readonly idleMs?: number | undefined; readonly maxMs?: number | undefined }

/** `onOver` is told which of the two limits it was. */
export function createCallClock({ idleMs, maxMs }: CallTimes, onOver: (ms: number) => void): CallClock {
  const after = (ms: number | undefined): NodeJS.Timeout | undefined =>
    ms === undefined ? undefined : setTimeout(() => onOver(ms), ms).unref()
  const life = after(maxMs)
  let silence = after(idleMs)
  return {
    touch() {
      if (silence === undefined) return
      clearTimeout(silence)
      silence = after(idleMs)
    },
    hold: () => clearTimeout(silence),
    stop() {
      clearTimeout(silence)
      silence = undefined
      clearTimeout(life)
    },
  }
}
