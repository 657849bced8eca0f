// Reading a parsed document: each function takes a field, gives its value in a type, or reports what is wrong with it
// and gives undefined, so that one pass finds everything. Unknown keys are errors: a misspelt `conditons` would
// otherwise turn a narrow rule into a wide one.
import { nearest } from './nearest.ts'

export type Path = readonly (string | number)[]

/** One thing that is wrong, before it has a line. `at: 'key'` points at the key of a map instead of at its value. */
export type Problem = { readonly path: Path; readonly message: string; readonly at?: 'key' }

export type Field = { readonly value: unknown; readonly path: Path; readonly problems: Problem[] }

export function report({ path, problems }: Field, message: string): undefined {
  problems.push({ path, message })
  return undefined
}

/** A map's members that are there, under keys that are known; `undefined` when it is no map. */
export function members<K extends string>(field: Field, known: readonly K[]): Partial<Record<K, Field>> | undefined {
  const { value, path, problems } = field
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return report(field, `must be a map of ${known.map((key) => `"${key}"`).join(', ')}`)
  }
  const found: Partial<Record<K, Field>> = {}
  for (const [key, member] of Object.entries(value)) {
    const own = known.find((one) => one === key)
    if (own === undefined) problems.push({ path: [...path, key], message: unknownKey(key, known), at: 'key' })
    // A key without a value is an unfinished line, and treated as one that is not there only when it may be.
    else if (member === null) problems.push({ path: [...path, key], message: 'has no value', at: 'key' })
    else found[own] = { value: member, path: [...path, key], problems }
  }
  return found
}

/** A member that has to be there. */
export function required<K extends string>(field: Field, found: Partial<Record<K, Field>>, key: K): Field | undefined {
  return found[key] ?? report(field, `needs "${key}"`)
}

/** The elements of a list. */
export function items(field: Field, max: number): readonly Field[] | undefined {
  const { value, path, problems } = field
  if (!Array.isArray(value)) return report(field, 'must be a list')
  if (value.length > max) return report(field, `has ${value.length} elements; at most ${max} are read`)
  return value.map((element: unknown, index) => ({ value: element, path: [...path, index], problems }))
}

/** The members of a map whose keys are names of the writer's own. */
export function entries(field: Field, max: number): readonly (readonly [string, Field])[] | undefined {
  const { value, path, problems } = field
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return report(field, 'must be a map')
  const all = Object.entries(value)
  if (all.length > max) return report(field, `has ${all.length} members; at most ${max} are read`)
  return all.map(([key, member]) => [key, { value: member as unknown, path: [...path, key], problems }] as const)
}

export function text(field: Field, maxChars = 1000): string | undefined {
  if (typeof field.value !== 'string') return report(field, 'must be a text')
  if (field.value.length === 0) return report(field, 'must not be empty')
  if (field.value.length > maxChars) return report(field, `is longer than ${maxChars} characters`)
  return field.value
}

/** One text, or a list of them. */
export function texts(field: Field, maxItems: number, maxChars?: number): readonly string[] | undefined {
  const fields = Array.isArray(field.value) ? items(field, maxItems) : [field]
  const read = fields?.map((one) => text(one, maxChars))
  return read?.every((one) => one !== undefined) ? read : undefined
}

export function oneOf<T extends string>(field: Field, choices: readonly T[]): T | undefined {
  const choice = choices.find((one) => one === field.value)
  if (choice !== undefined) return choice
  const meant = typeof field.value === 'string' ? nearest(field.value, choices) : undefined
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`
  return report(field, `must be one of ${choices.map((one) => `"${one}"`).join(', ')}${hint}`)
}

export function integer(field: Field, min: number, max: number): number | undefined {
  const { value } = field
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  return report(field, `must be a whole number from ${min} to ${max}`)
}

export function flag(field: Field): boolean | undefined {
  return typeof field.value === 'boolean' ? field.value : report(field, 'must be true or false')
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearest(key, known)
  return meant === undefined ? 'unknown key' : `unknown key; did you mean "${meant}"?`
}
