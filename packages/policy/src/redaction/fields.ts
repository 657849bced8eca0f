/**
 * `customer.ssn`, `items.*.price`, `**.password`: members whose value is taken out, whatever it is. Letter case does not
 * count, because servers do not agree on it, and because a member too many hurts less than one too few.
 */

/** A segment is a name in lower case, `*` for any one, or `**` for any number of them. */
export type FieldPath = readonly string[]

/** How far each path has come on the way down: which path, and how many of its segments are behind. */
type Progress = readonly (readonly [path: number, at: number])[]

/** A place on the way down. `steps` is where its members lead, as far as that is remembered. */
export type FieldState = { readonly progress: Progress; readonly steps: Map<string, FieldStep> | undefined }

export type FieldStep = {
  /** A path ends at this member. */
  readonly hit: boolean
  readonly next: FieldState
  /** Whether there is nothing to cut out of the name itself; undefined until somebody looked. */
  isClean: boolean | undefined
}

/** What is remembered of places and names. The adversary makes up names of members. */
const MAX_STATES = 100
const MAX_STEPS = 200
const MAX_NAME_CHARS = 64

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

/**
 * `step` is asked for every member of every value, and these have the same few names again and again: remembered, a step is
 * one look-up.
 */
export function createFields(paths: readonly FieldPath[]): {
  readonly start: FieldState
  readonly step: (state: FieldState, name: string) => FieldStep
} {
  const states = new Map<string, FieldState>()
  const stateOf = (progress: Progress): FieldState => {
    const key = progress.join(' ')
    const known = states.get(key)
    if (known !== undefined) return known
    if (states.size >= MAX_STATES) return { progress, steps: undefined }
    const state = { progress, steps: new Map<string, FieldStep>() }
    states.set(key, state)
    return state
  }
  const start = stateOf(paths.map((_, path) => [path, 0] as const))
  const compute = ({ progress }: FieldState, name: string): FieldStep => {
    const { hit, next } = descend(paths, progress, name.toLowerCase())
    return { hit, next: stateOf(next), isClean: undefined }
  }
  return {
    start,
    step(state, name) {
      const { steps } = state
      const known = steps?.get(name)
      if (known !== undefined) return known
      const step = compute(state, name)
      if (steps !== undefined && step.next.steps !== undefined && name.length <= MAX_NAME_CHARS) {
        if (steps.size >= MAX_STEPS) steps.clear()
        steps.set(name, step)
      }
      return step
    },
  }
}

function descend(paths: readonly FieldPath[], progress: Progress, name: string): { hit: boolean; next: Progress } {
  const next: (readonly [number, number])[] = []
  let hit = false
  const add = (path: number, at: number): void => {
    if (at === paths[path]?.length) hit = true
    else if (!next.some(([other, index]) => other === path && index === at)) next.push([path, at])
  }
  for (const [path, from] of progress) {
    const segments = paths[path] ?? []
    let at = from
    // `**` may stand for nothing, and then the segment behind it is the one that is asked.
    while (segments[at] === '**') add(path, at++)
    if (segments[at] === '*' || segments[at] === name) add(path, at + 1)
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
