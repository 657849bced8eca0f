/** Reading `redaction: [{ id: pii, on: [results], detectors: [email, ssn], fields: ['**.password'] }]`. */
import { items, members, oneOf, report, required, text, type Field } from '../document/reader.ts'
import { readGlobs } from '../rule.ts'
import { parseFieldPath } from './fields.ts'
import { compilePattern, type NamedPattern } from './patterns.ts'
import type { Passage, RedactionRule } from './redactor.ts'
import { DETECTORS } from './span.ts'

const MAX_RULES = 200
const MAX_FIELDS = 200
const MAX_PATTERNS = 50
const PASSAGES: readonly Passage[] = ['arguments', 'results', 'logs']

export function readRedaction(field: Field): readonly RedactionRule[] | undefined {
  const read = items(field, MAX_RULES)?.map(readRule)
  if (!read?.every((one) => one !== undefined)) return undefined
  const ids = read.map(({ id }) => id)
  const twin = ids.find((id, index) => ids.indexOf(id) !== index)
  return twin === undefined ? read : report(field, `two rules have the id "${twin}"`)
}

function readRule(field: Field): RedactionRule | undefined {
  const known = ['id', 'server', 'tool', 'on', 'detectors', 'fields', 'patterns', 'applies'] as const
  const found = members(field, known)
  const idField = found && required(field, found, 'id')
  if (found === undefined || idField === undefined) return undefined
  const id = text(idField, 100)
  const server = found.server ? readGlobs(found.server) : ['*']
  const tool = found.tool ? readGlobs(found.tool) : ['*']
  const on = found.on ? readNonEmpty(found.on, (one) => oneOf(one, PASSAGES), PASSAGES.length) : PASSAGES
  const detectors = found.detectors ? readDetectors(found.detectors) : []
  const fields = found.fields ? readNonEmpty(found.fields, readField, MAX_FIELDS) : []
  const patterns = found.patterns ? readNonEmpty(found.patterns, readPattern, MAX_PATTERNS) : []
  const applies = found.applies ? oneOf(found.applies, ['always', 'named']) : 'always'
  if (id === undefined || server === undefined || tool === undefined || on === undefined) return undefined
  if (detectors === undefined || fields === undefined || patterns === undefined || applies === undefined)
    return undefined
  if (detectors.length + fields.length + patterns.length === 0) {
    return report(field, 'redacts nothing: it needs "detectors", "fields" or "patterns"')
  }
  return { id, server, tool, on, detectors, fields, patterns, applies }
}

function readDetectors(field: Field): RedactionRule['detectors'] | undefined {
  if (field.value === 'all') return DETECTORS
  return readNonEmpty(field, (one) => oneOf(one, DETECTORS), DETECTORS.length)
}

function readNonEmpty<T>(field: Field, read: (one: Field) => T | undefined, max: number): readonly T[] | undefined {
  const list = items(field, max)?.map(read)
  if (list?.length === 0) return report(field, 'is empty')
  return list?.every((one) => one !== undefined) ? list : undefined
}

function readField(field: Field): string | undefined {
  const source = text(field, 500)
  return source === undefined ? undefined : tryTo(field, source, parseFieldPath)
}

function readPattern(field: Field): NamedPattern | undefined {
  const found = members(field, ['name', 'pattern'])
  const [nameField, patternField] = [
    found && required(field, found, 'name'),
    found && required(field, found, 'pattern'),
  ]
  const name = nameField && text(nameField, 40)
  const pattern = patternField && text(patternField, 1000)
  if (name === undefined || pattern === undefined) return undefined
  if (!/^[\w-]+$/.test(name)) return report(field, 'a name has letters, digits, "_" and "-": it stands in what is left')
  return tryTo(field, { name, pattern }, compilePattern)
}

/** The source, when it can be compiled. */
function tryTo<T>(field: Field, source: T, compile: (source: T) => unknown): T | undefined {
  try {
    compile(source)
    return source
  } catch (error) {
    if (error instanceof SyntaxError) return report(field, error.message)
    throw error
  }
}
