/**
 * Whose request it is, behind proxies. Anybody can send `X-Forwarded-For`, and every proxy appends the address it saw,
 * so the list is read from its end, for as long as the machine that wrote the entry is one of ours. Whoever forges
 * entries only adds to the front, which is never reached.
 */
import { compileAddresses, parseAddress } from './cidr.ts'

export type ClientAddressOptions = {
  /** Addresses and networks of our own proxies. An empty list trusts nobody: the client is the peer. */
  readonly trustedProxies: readonly string[]
  /** The one header that these proxies write. The other one could be anybody's. @default 'x-forwarded-for' */
  readonly header?: 'x-forwarded-for' | 'forwarded'
}

export type RequestAddress = {
  /** The other end of the connection. */
  readonly peer: string | undefined
  /** Lower-case names, as `node:http` gives them. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

/** Longer chains are not ours; what is beyond is not read. */
const MAX_HOPS = 32
const MAX_HEADER_CHARS = 4096

/**
 * A function from a request to its client's address in canonical form, or `undefined` when it cannot be known: then
 * address lists refuse.
 * @throws SyntaxError for a list that cannot be read
 */
export function createClientAddress({
  trustedProxies,
  header = 'x-forwarded-for',
}: ClientAddressOptions): (request: RequestAddress) => string | undefined {
  const isTrusted = compileAddresses(trustedProxies)
  return ({ peer, headers }) => {
    let client = peer === undefined ? undefined : parseAddress(peer)?.text
    if (client === undefined || isTrusted(client) !== true) return client
    const hops = readHops(headers[header], header)
    if (hops === undefined) return undefined
    for (const hop of hops.toReversed()) {
      // What a trusted proxy wrote and nobody can read hides who is behind it.
      client = parseAddress(hop)?.text
      if (client === undefined || isTrusted(client) !== true) return client
    }
    return client
  }
}

/** The addresses in the order they were appended, without ports; `undefined` when there is more than anybody reads. */
function readHops(value: string | readonly string[] | undefined, header: string): string[] | undefined {
  const line = typeof value === 'string' ? value : (value ?? []).join(',')
  if (line.length > MAX_HEADER_CHARS) return undefined
  if (line.trim() === '') return []
  const entries = line.split(',')
  if (entries.length > MAX_HOPS) return undefined
  return entries.map((entry) => withoutPort(header === 'forwarded' ? forOf(entry) : entry.trim()))
}

/** RFC 7239 section 4: `for="[2001:db8::17]:4711";proto=https`; `unknown` and `_hidden` are nobody's address. */
function forOf(entry: string): string {
  const [, quoted, plain] = /(?:^|;)\s*for\s*=\s*(?:"([^"\\]{0,128})"|([^\s;,"]{0,128}))\s*(?:;|$)/i.exec(entry) ?? []
  return quoted ?? plain ?? ''
}

/** `203.0.113.9:4711`, `[2001:db8::17]:4711`, `[2001:db8::17]`. */
function withoutPort(text: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)
  if (bracketed !== null) return bracketed[1] ?? ''
  return text.replace(/^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/, '$1')
}
