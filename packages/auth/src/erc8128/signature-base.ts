/** What is signed: the signature base of RFC 9421 §2.5, rebuilt from the request as it was received. */
import type { AuthRequest, RequestHeaders } from '../request.ts'
import { serializeInnerList, serializeItem, type InnerList } from './structured-fields.ts'

export type Target = {
  readonly scheme: string
  readonly authority: string
  readonly path: string
  /** With its question mark, also when there is no query (RFC 9421 §2.2.7). */
  readonly query: string
  readonly hasQuery: boolean
  readonly uri: string
}

const ABSOLUTE = /^(https?):\/\/([^/?#]+)([^?]*)(\?.*)?$/is
const DEFAULT_PORT: Readonly<Record<string, RegExp>> = { http: /:80$/, https: /:443$/ }

/**
 * Takes a trusted URL apart as it stands. `new URL` would resolve `/a/../b`, and then a signature over `/b` would hold
 * for a path that something behind us may read differently.
 * @throws TypeError when it is not an absolute http or https URL: the one who makes requests from sockets made it
 */
export function readTarget(url: string): Target {
  const match = ABSOLUTE.exec(url)
  if (match === null) throw new TypeError('request.url has to be absolute, with scheme and authority')
  const [, scheme = '', authority = '', path = '', query] = match
  const lowerScheme = scheme.toLowerCase()
  const port = DEFAULT_PORT[lowerScheme]
  return {
    scheme: lowerScheme,
    authority: port === undefined ? authority.toLowerCase() : authority.toLowerCase().replace(port, ''),
    path: path === '' ? '/' : path,
    query: query ?? '?',
    hasQuery: query !== undefined,
    uri: url,
  }
}

/** Undefined when a component cannot be had from this request, or is one that this verifier does not know. */
export function createSignatureBase(request: AuthRequest, target: Target, input: InnerList): string | undefined {
  let base = ''
  for (const item of input.items) {
    // `;sf`, `;bs`, `;key`, `;req`, `;tr` and `@query-param;name` change what is signed; none of them is needed here.
    if (item.value.kind !== 'string' || item.parameters.size > 0) return undefined
    const value = componentOf(item.value.value, request, target)
    // RFC 9421 §2.5 7.3: a line break would let one component speak for another. Nothing but visible ASCII is signed.
    if (value === undefined || !/^[\t\x20-\x7e]*$/.test(value)) return undefined
    base += `${serializeItem(item)}: ${value}\n`
  }
  return `${base}"@signature-params": ${serializeInnerList(input)}`
}

function componentOf(name: string, { method, headers }: AuthRequest, target: Target): string | undefined {
  switch (name) {
    case '@method':
      return method
    case '@scheme':
      return target.scheme
    case '@authority':
      return target.authority
    case '@path':
      return target.path
    case '@query':
      return target.query
    case '@target-uri':
      return target.uri
    case '@request-target':
      return target.path + (target.hasQuery ? target.query : '')
    default:
      return /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) ? fieldOf(headers, name) : undefined
  }
}

/** All lines of a field, joined (RFC 9421 §2.1). */
export function fieldOf(headers: RequestHeaders, name: string): string | undefined {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined
  if (value === undefined) return undefined
  return typeof value === 'string' ? value.trim() : value.map((line) => line.trim()).join(', ')
}
