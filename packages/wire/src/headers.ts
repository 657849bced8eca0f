/**
 * The mirrored headers of Streamable HTTP (MCP 2026-07-28, basic/transports/streamable-http; SEP-2243).
 *
 * Clients copy method, name and version from the body into headers so that intermediaries can route without parsing.
 * The adversary is a client whose header says one thing and whose body says another: both are compared here, and
 * nothing in this product ever decides on a header alone.
 */
import { META_VERSION } from './era.ts'
import { WireError } from './errors.ts'
import { metaOf, type JsonRpcNotification, type JsonRpcRequest } from './json-rpc.ts'

/** Header names in lower case, as node:http gives them. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** Where `Mcp-Name` comes from. */
const NAME_SOURCE: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
}

const PREFIX = '=?base64?'
const SUFFIX = '?='

/** A header value, in the base64 sentinel when the text itself is not safe in a header. */
export function encodeHeaderValue(text: string): string {
  const safe = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/.test(text)
  if (safe && !(text.startsWith(PREFIX) && text.endsWith(SUFFIX))) return text
  return `${PREFIX}${Buffer.from(text, 'utf8').toString('base64')}${SUFFIX}`
}

/** The text of a header value, or undefined when the sentinel holds anything but canonical base64 of valid UTF-8. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!value.startsWith(PREFIX) || !value.endsWith(SUFFIX) || value.length < PREFIX.length + SUFFIX.length) return value
  const base64 = value.slice(PREFIX.length, -SUFFIX.length)
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.toString('base64') !== base64) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Throws WIRE_HEADER_MISMATCH (-32020) unless the mirrored headers of a modern request say what its body says. */
export function checkHeaders(message: JsonRpcRequest, headers: Headers): void {
  if (single(headers, 'mcp-protocol-version') === undefined) throw mismatch('MCP-Protocol-Version is missing')
  const method = single(headers, 'mcp-method')
  if (method === undefined) throw mismatch('Mcp-Method is missing')
  if (method !== message.method) throw mismatch(`Mcp-Method is ${method}, the body says ${message.method}`)
  const name = nameOf(message)
  const mirrored = single(headers, 'mcp-name')
  if (name === undefined) return
  if (mirrored === undefined) throw mismatch('Mcp-Name is missing')
  if (decodeHeaderValue(mirrored) !== name) throw mismatch(`Mcp-Name does not name ${name}`)
}

/** A modern notification may come without the headers; those it has must agree with it. */
export function checkNotificationHeaders(message: JsonRpcNotification, headers: Headers): void {
  const method = single(headers, 'mcp-method')
  if (method !== undefined && method !== message.method) {
    throw mismatch(`Mcp-Method is ${method}, the body says ${message.method}`)
  }
}

/** The headers a modern request needs on its way to a server, made from its body. */
export function mirrorHeaders(message: JsonRpcRequest | JsonRpcNotification): Record<string, string> {
  const headers: Record<string, string> = { 'mcp-method': encodeHeaderValue(message.method) }
  const version = metaOf(message)?.[META_VERSION]
  if (typeof version === 'string') headers['mcp-protocol-version'] = encodeHeaderValue(version)
  const name = nameOf(message)
  if (name !== undefined) headers['mcp-name'] = encodeHeaderValue(name)
  return headers
}

/** One value of a header without its surrounding white space; a repeated header is refused rather than guessed at. */
export function single(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  if (value === undefined) return undefined
  if (typeof value !== 'string') throw mismatch(`${name} was sent more than once`)
  return value.trim()
}

function nameOf(message: JsonRpcRequest | JsonRpcNotification): string | undefined {
  const field = NAME_SOURCE[message.method]
  const value = field === undefined ? undefined : message.params?.[field]
  return typeof value === 'string' ? value : undefined
}

function mismatch(message: string): WireError {
  return new WireError('WIRE_HEADER_MISMATCH', message)
}
