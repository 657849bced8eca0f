/** What erasure entries say: the positions that lost all fields, and those that lost certain ones. */
import type { Entry } from './entry.ts'
import { joinRanges, type Range } from './ranges.ts'

export type ErasedRange = { readonly range: Range; readonly names: readonly string[] | undefined }

/** What is not in the form that `erase` writes counts as nothing. */
export function erasedBy({ type, seq, facts = {} }: Entry): ErasedRange[] {
  const { entries, fields } = facts
  if (type !== 'erasure' || !Array.isArray(entries)) return []
  const names = Array.isArray(fields) ? fields.map(String) : undefined
  return entries.flatMap((range: unknown) => {
    const [from, to] = Array.isArray(range) ? (range as unknown[]) : []
    const isRange = Number.isSafeInteger(from) && Number.isSafeInteger(to)
    // An erasure that came before an entry cannot be why its fields are gone.
    return isRange ? [{ range: [from as number, Math.min(to as number, seq)] as const, names }] : []
  })
}

/** For each field name the ranges that lost it. */
export function createErased(erased: readonly ErasedRange[]): (name: string) => readonly Range[] {
  const byName = new Map<string | undefined, Range[]>([[undefined, []]])
  for (const { range, names } of erased) {
    for (const name of names ?? [undefined]) {
      const ranges = byName.get(name)
      if (ranges === undefined) byName.set(name, [range])
      else ranges.push(range)
    }
  }
  const everything = joinRanges(byName.get(undefined) ?? [])
  const joined = new Map<string, readonly Range[]>()
  return (name) => {
    const known = joined.get(name) ?? joinRanges([...everything, ...(byName.get(name) ?? [])])
    joined.set(name, known)
    return known
  }
}
