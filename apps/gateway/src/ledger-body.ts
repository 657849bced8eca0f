/**
 * What is kept of arguments and results. The adversary reads the log, or a copy of it: by default what looks like a secret or
 * a person is cut out before it is written.
 */
import { createHash } from 'node:crypto'
import { PolicyError, type Redactor } from '@mcp-gateway/policy'

export type Keeping = 'full' | 'redacted' | 'hash'
export type BodyRules = {
  readonly arguments: Keeping
  readonly responses: Keeping
  readonly maxBodyBytes: number
  /** Read for every entry: a new configuration may bring another. */
  readonly redactor: () => Redactor
}

export type Kept = { readonly facts: Record<string, number>; readonly fields: Record<string, string | Uint8Array> }

/** Past a cut nothing tells a secret from its first half, so this much before it goes as well. */
const MARGIN_CHARS = 1024

/** Writes the fields `arguments` or `response`, or their hash, and the facts about their size. */
export function keepBody(
  field: 'arguments' | 'response',
  value: unknown,
  at: { readonly server: string; readonly tool: string },
  rules: BodyRules,
  { facts, fields }: Kept,
): void {
  const how = field === 'arguments' ? rules.arguments : rules.responses
  const text = JSON.stringify(value)
  const sizeBytes = Buffer.byteLength(text)
  facts[field === 'arguments' ? 'requestBytes' : 'responseBytes'] = sizeBytes
  const max = rules.maxBodyBytes
  const kept =
    how === 'redacted' ? redacted(value, text, sizeBytes > max ? max : undefined, rules.redactor(), at) : text
  if (how === 'hash' || kept === undefined) {
    fields[`${field}Hash`] = `sha256:${createHash('sha256').update(text).digest('hex')}`
    return
  }
  if (kept === text && sizeBytes <= max) {
    fields[field] = text
    return
  }
  // Cut before it is copied: a result may have 16 MiB.
  const bytes = Buffer.from(kept.slice(0, max))
  fields[field] = bytes.subarray(0, max)
  if (sizeBytes > max) facts[`${field}CutAt`] = max
}

/** Undefined for what cannot be looked through. */
function redacted(
  value: unknown,
  text: string,
  max: number | undefined,
  redactor: Redactor,
  { server, tool }: { readonly server: string; readonly tool: string },
): string | undefined {
  const rules = redactor.forCall(server, tool).logs
  if (!rules.isActive) return text
  try {
    if (max === undefined) {
      const rest = rules.value(value).value
      return rest === value ? text : JSON.stringify(rest)
    }
    const cut = JSON.stringify(rules.value(clip(value, { left: max + MARGIN_CHARS })).value)
    return cut.slice(0, -MARGIN_CHARS)
  } catch (error) {
    if (error instanceof PolicyError) return undefined
    throw error
  }
}

/** The beginning of a value, so that only as much is looked through as is kept. */
function clip(value: unknown, budget: { left: number }): unknown {
  if (budget.left <= 0) return null
  if (typeof value === 'string') {
    const part = value.slice(0, budget.left)
    budget.left -= part.length + 2
    return part
  }
  if (typeof value !== 'object' || value === null) {
    budget.left -= 8
    return value
  }
  const members = Array.isArray(value) ? value.entries() : Object.entries(value)
  const kept: (readonly [string | number, unknown])[] = []
  for (const [key, member] of members) {
    if (budget.left <= 0) break
    budget.left -= typeof key === 'string' ? key.length + 4 : 1
    kept.push([key, clip(member, budget)])
  }
  return Array.isArray(value) ? kept.map(([, member]) => member) : Object.fromEntries(kept)
}
