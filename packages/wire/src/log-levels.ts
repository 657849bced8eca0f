/** Severities of `notifications/message`, least severe first (RFC 5424; MCP, server/utilities/logging). */
const LEVELS: readonly unknown[] = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

export function isLogLevel(level: unknown): level is string {
  return LEVELS.includes(level)
}

/** Whether a line of `level` is wanted by somebody who asked for `wanted`. An unknown level is. */
export function isAtLeast(level: unknown, wanted: string): boolean {
  const rank = LEVELS.indexOf(level)
  return rank === -1 || rank >= LEVELS.indexOf(wanted)
}

/** The level that includes all of the others. */
export function mostVerbose(levels: readonly string[]): string | undefined {
  return levels.toSorted((a, b) => LEVELS.indexOf(a) - LEVELS.indexOf(b))[0]
}
