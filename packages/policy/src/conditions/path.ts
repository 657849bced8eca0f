/**
 * `args.order.items.*.price`, `caller.attributes.customerId`, `caller["odd.key"]`, `address`: where a condition looks.
 * Only own members are read, so that `args.constructor` is what the caller sent or nothing.
 */
import type { Subject, ToolCall } from '../subject.ts'

export type Root = 'args' | 'caller' | 'server' | 'tool' | 'address' | 'tenant'

export type ValuePath = {
  /** As it was written. */
  readonly source: string
  readonly root: Root
  readonly segments: readonly string[]
  /** `*` as a segment looks at every element or member. */
  readonly isWild: boolean
}

const ROOTS: readonly Root[] = ['args', 'caller', 'server', 'tool', 'address', 'tenant']
const MAX_SEGMENTS = 32
/** Values that one `*` path looks at; a longer list is unknown as a whole. */
const MAX_WILD_VALUES = 10_000

const SEGMENT = /\.(?<name>[A-Za-z0-9_$@-]+|\*)|\[(?<quoted>"(?:[^"\\]|\\.)*")\]/y

/** What is not there. */
export const MISSING: unique symbol = Symbol('missing')

/** @throws SyntaxError with a message for the writer */
export function parsePath(source: string): ValuePath {
  const root = ROOTS.find((one) => source === one || source.startsWith(`${one}.`) || source.startsWith(`${one}[`))
  if (root === undefined) throw new SyntaxError(`"${source}" must begin with ${ROOTS.map((r) => `"${r}"`).join(', ')}`)
  const segments: string[] = []
  SEGMENT.lastIndex = root.length
  while (SEGMENT.lastIndex < source.length) {
    const { lastIndex } = SEGMENT
    const found = SEGMENT.exec(source)
    if (found === null) throw new SyntaxError(`"${source}" cannot be read from "${source.slice(lastIndex)}" on`)
    segments.push(found.groups?.['name'] ?? unquote(found.groups?.['quoted'] ?? '""'))
  }
  if (segments.length > MAX_SEGMENTS) throw new SyntaxError(`a path has at most ${MAX_SEGMENTS} segments`)
  if (segments.length > 0 !== (root === 'args' || root === 'caller')) {
    throw new SyntaxError(
      root === 'args' || root === 'caller' ? `"${root}" needs a member` : `"${root}" has no members`,
    )
  }
  return { source, root, segments, isWild: segments.includes('*') }
}

/** The one value at a path without `*`. */
export function readOne({ root, segments }: ValuePath, subject: Subject, call: ToolCall): unknown {
  let value = readRoot(root, subject, call)
  for (const segment of segments) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return MISSING
    value = (value as Readonly<Record<string, unknown>>)[segment]
  }
  return value === undefined ? MISSING : value
}

/** Every value at a path with `*`; `undefined` when there are too many, or one of them is missing. */
export function readAll(
  { root, segments }: ValuePath,
  subject: Subject,
  call: ToolCall,
): readonly unknown[] | undefined {
  let values: unknown[] = [readRoot(root, subject, call)]
  for (const segment of segments) {
    const next: unknown[] = []
    for (const value of values) {
      if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) return undefined
      if (segment === '*') {
        const own: unknown[] = Array.isArray(value) ? value : Object.values(value)
        if (next.length + own.length > MAX_WILD_VALUES) return undefined
        for (const one of own) next.push(one)
      } else if (Object.hasOwn(value, segment)) next.push((value as Readonly<Record<string, unknown>>)[segment])
      else return undefined
    }
    values = next
  }
  return values
}

function readRoot(root: Root, subject: Subject, call: ToolCall): unknown {
  switch (root) {
    case 'args':
      return call.args
    case 'caller':
      return subject
    case 'server':
      return call.server
    case 'tool':
      return call.tool
    case 'address':
      return call.address
    default:
      return subject.tenantId
  }
}

function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch (cause) {
    throw new SyntaxError(`${quoted} is no quoted text`, { cause })
  }
}
