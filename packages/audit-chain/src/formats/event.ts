/** What security tools ask of an entry. This package knows no entry's meaning, so whoever wrote them describes them. */
import type { FollowedEntry } from '../follower.ts'

export type Severity = 'info' | 'low' | 'medium' | 'high'

export type SecurityEvent = {
  /** What was done, such as `tools/call search`. */
  readonly operation: string
  /** To what. */
  readonly service?: string
  /** By whom; left out when it is erased or withheld. */
  readonly actor?: string
  readonly outcome: 'success' | 'failure' | 'unknown'
  readonly severity: Severity
  /** Why it failed. */
  readonly code?: string
  readonly durationMs?: number
}

export type Product = { readonly vendor: string; readonly name: string; readonly version: string }

export type EventFormatOptions = {
  readonly product: Product
  readonly describe: (entry: FollowedEntry) => SecurityEvent
}

/** A field as text; what is no UTF-8 shows as U+FFFD. */
export function fieldText({ fields }: FollowedEntry, name: string): string | undefined {
  const field = fields.find((one) => one.name === name)
  return field && Buffer.from(field.value).toString('utf8')
}
