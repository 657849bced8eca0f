/**
 * `x-mcp-header`: a property of a tool's inputSchema that the client mirrors into `Mcp-Param-{Name}`
 * (MCP 2026-07-28, server/tools; SEP-2243). A stdio server never sees headers, so the gateway compares them for it.
 */
import { WireError } from './errors.ts'
import { decodeHeaderValue, encodeHeaderValue, single, type Headers } from './headers.ts'
import { isObject } from './json-rpc.ts'

export type ParamHeader = { readonly header: string; readonly path: readonly string[]; readonly type: string }

const MAX_SCHEMA_DEPTH = 32

/** The declarations of one input schema, or undefined when any of them breaks the rules (such a tool is not for HTTP). */
export function paramHeadersOf(inputSchema: unknown): readonly ParamHeader[] | undefined {
  const found: ParamHeader[] = []
  const names = new Set<string>()
  const walk = (schema: unknown, path: readonly string[]): boolean => {
    if (!isObject(schema) || !isObject(schema['properties']) || path.length >= MAX_SCHEMA_DEPTH) return true
    return Object.entries(schema['properties']).every(([key, property]) => {
      if (!isObject(property)) return true
      const name = property['x-mcp-header']
      if (name === undefined) return walk(property, [...path, key])
      if (typeof name !== 'string' || !isToken(name) || !isPrimitive(property['type'])) return false
      const header = `mcp-param-${name.toLowerCase()}`
      if (names.has(header)) return false
      names.add(header)
      found.push({ header, path: [...path, key], type: property['type'] })
      return true
    })
  }
  return walk(inputSchema, []) ? found : undefined
}

/** Throws WIRE_HEADER_MISMATCH when a mirrored argument and its header differ or the header is missing. */
export function checkParamHeaders(declared: readonly ParamHeader[], args: unknown, headers: Headers): void {
  for (const { header, path, type } of declared) {
    const expected = textOf(valueAt(args, path))
    if (expected === undefined) continue
    const sent = single(headers, header)
    const decoded = sent === undefined ? undefined : decodeHeaderValue(sent)
    const same =
      decoded === expected || (type === 'integer' && isDecimal(decoded) && Number(decoded) === Number(expected))
    if (!same) throw new WireError('WIRE_HEADER_MISMATCH', `${header} does not mirror the argument ${path.join('.')}`)
  }
}

/** The headers for one call, made from its arguments: what a gateway sends when its own client could not. */
export function mirrorParamHeaders(declared: readonly ParamHeader[], args: unknown): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const { header, path } of declared) {
    const text = textOf(valueAt(args, path))
    if (text !== undefined) headers[header] = encodeHeaderValue(text)
  }
  return headers
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  let node = root
  for (const key of path) node = isObject(node) && Object.hasOwn(node, key) ? node[key] : undefined
  return node
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : undefined
}

function isToken(name: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/.test(name)
}

function isPrimitive(type: unknown): type is string {
  return type === 'string' || type === 'integer' || type === 'boolean'
}

function isDecimal(text: string | undefined): text is string {
  return text !== undefined && /^-?\d+(?:\.\d+)?$/.test(text)
}

/** The `Mcp-Param-*` of a request: intermediaries must pass on those they don't know. Nothing else of a client's headers goes on. */
export function onlyParamHeaders(headers: Headers | undefined): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name in headers) {
    if (!name.startsWith('mcp-param-')) continue
    const value = single(headers, name)
    if (value !== undefined) found[name] = value
  }
  return found
}
