/**
 * `customer.ssn`, `items.*.price`, `**.password`: members whose value is taken out, whatever it is. Letter case does not
 * count, because servers do not agree on it, and because a member too many hurts less than one too few.
 */

/** A segment is a name in lower case, `*` for any one, or `**` for any number of them. */
export type FieldPath = readonly string[]

/** How far each path has come on the way down: pairs of a path and how many of its segments are behind. */
export type FieldState = readonly (readonly [path: FieldPath, at: number])[]

const MAX_SEGMENTS = 32
const SEGMENT = /(?:^|\.)(?<name>[^.[\]"*]+|\*\*?)|\[(?<quoted>"(?:[^"\\]|\\.)*")\]/y

/** @throws SyntaxError with a message for the writer */
export function parseFieldPath(source: string): FieldPath {
  const path: string[] = []
  SEGMENT.lastIndex = 0
  while (SEGMENT.lastIndex < source.length) {
    const found = SEGMENT.exec(source)
    if (found === null) throw new SyntaxError(`"${source}" is no path like customer.ssn, items.*.price or **.password`)
    path.push(found.groups?.['name']?.toLowerCase() ?? unquote(found.groups?.['quoted'] ?? '""').toLowerCase())
  }
  if (path.length > MAX_SEGMENTS) throw new SyntaxError(`a path has at most ${MAX_SEGMENTS} segments`)
  if (path.at(-1) === '**') throw new SyntaxError(`"${source}" must end with a name or "*"`)
  return path
}

export function startFields(paths: readonly FieldPath[]): FieldState {
  return paths.map((path) => [path, 0] as const)
}

/** Below the member `key`: `hit` when a path ends here. */
export function descend(state: FieldState, key: string): { readonly hit: boolean; readonly next: FieldState } {
  if (state.length === 0) return { hit: false, next: state }
  const lower = key.toLowerCase()
  const next: (readonly [FieldPath, number])[] = []
  let hit = false
  const add = (path: FieldPath, at: number): void => {
    if (at === path.length) hit = true
    else if (!next.some(([other, index]) => other === path && index === at)) next.push([path, at])
  }
  for (const [path, from] of state) {
    let at = from
    // `**` may stand for nothing, and then the segment behind it is the one that is asked.
    while (path[at] === '**') add(path, at++)
    if (path[at] === '*' || path[at] === lower) add(path, at + 1)
  }
  return { hit, next }
}

/** Whether a JSON text could have a member that one of the paths ends with: most texts have none, and are not parsed. */
export function createMention(paths: readonly FieldPath[]): (text: string) => boolean {
  const names = new Set(paths.map((path) => path.at(-1) ?? '*'))
  if (names.size === 0) return () => false
  if (names.has('*')) return () => true
  return (text) => {
    const lower = text.toLowerCase()
    // An escaped letter could hide a name.
    return lower.includes('\\u') || names.values().some((name) => lower.includes(name))
  }
}

function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch (cause) {
    throw new SyntaxError(`${quoted} is no quoted text`, { cause })
  }
}
