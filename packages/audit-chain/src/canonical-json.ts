/**
 * JSON in exactly one spelling (RFC 8785): members sorted by UTF-16 code units, no white space, ECMAScript numbers, and
 * nothing that I-JSON (RFC 7493) forbids. Whoever hashes it and whoever checks the hash get the same bytes.
 */
import { AuditError } from './errors.ts'

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject
export type JsonObject = { readonly [name: string]: JsonValue }

/** Deeper values are refused: writing and reading recurse. */
const MAX_DEPTH = 32

/** @throws AuditError AUDIT_ENTRY_INVALID for what has no canonical form: NaN, lone surrogates, undefined, cycles */
export function canonicalize(value: JsonValue): string {
  return write(value, finiteNumber, 0)
}

/** The same, for entries: integers below 2^53 only, because readers in other languages round the rest differently. */
export function canonicalizeExact(value: JsonValue): string {
  // Most values are in order already, and then the native writer gives the same bytes at a third of the time.
  if (!isExact(value, 0)) return write(value, exactInteger, 0)
  const text = JSON.stringify(value)
  // It writes a lone surrogate as an escape, which is otherwise found in texts that contain a backslash and "ud" only.
  return text.includes('\\ud') ? write(value, exactInteger, 0) : text
}

/** Whether `JSON.stringify` writes it canonically, lone surrogates apart. */
function isExact(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return Number.isSafeInteger(value)
  if (typeof value !== 'object' || depth === MAX_DEPTH) return false
  if (Array.isArray(value)) return value.every((item) => isExact(item, depth + 1)) && !value.includes(undefined)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  let previous = ''
  for (const name in value) {
    if (name < previous || !isExact((value as Record<string, unknown>)[name], depth + 1)) return false
    previous = name
  }
  return true
}

/** A string in quotes, as RFC 8785 §3.2.2.2 spells it, which is how `JSON.stringify` does. */
export function quote(text: string): string {
  if (!text.isWellFormed()) throw invalid('a lone surrogate is no Unicode text')
  return JSON.stringify(text)
}

function write(value: unknown, number: (value: number) => string, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'number':
      return number(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (depth === MAX_DEPTH) throw invalid(`more than ${MAX_DEPTH} levels`)
      if (Array.isArray(value)) return `[${Array.from(value, (item) => write(item, number, depth + 1)).join(',')}]`
      return writeObject(value as Record<string, unknown>, number, depth)
    default:
      throw invalid(`${typeof value} is not JSON`)
  }
}

function writeObject(value: Record<string, unknown>, number: (value: number) => string, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw invalid('only plain objects are JSON')
  let text = '{'
  // Array.prototype.sort compares UTF-16 code units, as RFC 8785 §3.2.3 demands.
  for (const name of Object.keys(value).sort()) {
    const member = write(value[name], number, depth + 1)
    text += text.length === 1 ? `${quote(name)}:${member}` : `,${quote(name)}:${member}`
  }
  return `${text}}`
}

function finiteNumber(value: number): string {
  if (!Number.isFinite(value)) throw invalid(`${value} is not JSON`)
  return JSON.stringify(value)
}

function exactInteger(value: number): string {
  if (!Number.isSafeInteger(value)) throw invalid(`${value} is not an integer below 2^53; write it as a string`)
  return JSON.stringify(value)
}

function invalid(message: string): AuditError {
  return new AuditError('AUDIT_ENTRY_INVALID', message)
}

/** Whether `text`, from which `parsed` was parsed, is the canonical spelling of it. */
export function isCanonical(text: string, parsed: JsonValue): boolean {
  try {
    // The native writer gives the same bytes but for the order of members and lone surrogates, so most texts need no
    // second writing.
    const isPlain = !text.includes('\\ud') && isSorted(parsed) && JSON.stringify(parsed) === text
    return isPlain || canonicalize(parsed) === text
  } catch {
    return false // Too deep, or no Unicode text: nothing that has a canonical form.
  }
}

function isSorted(value: JsonValue): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every(isSorted)
  let previous = ''
  const members = value as JsonObject
  for (const name in members) {
    if (name < previous || !isSorted(members[name] as JsonValue)) return false
    previous = name
  }
  return true
}
