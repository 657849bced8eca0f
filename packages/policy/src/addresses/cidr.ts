/**
 * Lists of addresses and networks. `node:net` does the arithmetic; what it leaves to its user is done here: an IPv4
 * address that arrives as IPv6 (`::ffff:10.0.0.1`, as a dual-stack socket reports it) is the same address, and
 * `BlockList` alone answers that it is not.
 */
import { BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net'

/** What `compileAddresses` makes: `undefined` for a text that is no address. */
export type AddressSet = (address: string) => boolean | undefined

/** The longest text of an IPv6 address with a zone. */
const MAX_ADDRESS_CHARS = 64

export type Address = { readonly text: string; readonly family: 'ipv4' | 'ipv6' }

/** The canonical form; mapped IPv4 as IPv4, without a zone. `undefined` when it is no address. */
export function parseAddress(source: string): Address | undefined {
  if (source.length > MAX_ADDRESS_CHARS) return undefined
  if (isIPv4(source)) return { text: source, family: 'ipv4' }
  const withoutZone = source.includes('%') ? source.slice(0, source.indexOf('%')) : source
  if (!isIPv6(withoutZone)) return undefined
  const { address } = new SocketAddress({ address: withoutZone, family: 'ipv6' })
  const mapped = /^::ffff:(?<v4>\d+\.\d+\.\d+\.\d+)$/.exec(address)?.groups?.['v4']
  return mapped === undefined ? { text: address, family: 'ipv6' } : { text: mapped, family: 'ipv4' }
}

/**
 * `203.0.113.9`, `10.0.0.0/8`, `10.1.*.*`, `2001:db8::/32`. An empty list holds nothing.
 * @throws SyntaxError with a message for the writer, e.g. for `10.1.2.3/8`, which is a typing error more often than not
 */
export function compileAddresses(sources: readonly string[]): AddressSet {
  // Two lists, because in one of both families ::/0 holds every IPv4 address as well.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const source of sources) {
    const { text, family, prefix } = parseNetwork(source)
    lists[family].addSubnet(text, prefix, family)
  }
  return (address) => {
    const parsed = parseAddress(address)
    return parsed === undefined ? undefined : lists[parsed.family].check(parsed.text, parsed.family)
  }
}

type Network = Address & { readonly prefix: number }

/** @throws SyntaxError */
function parseNetwork(source: string): Network {
  const wild = /^(?<fixed>(?:\d{1,3}\.){1,3})\*(?:\.\*)*$/.exec(source)
  if (wild !== null) return fromWildcard(source, wild.groups?.['fixed'] ?? '')
  const [base = '', bits, ...rest] = source.split('/')
  const address = base.includes('%') ? undefined : parseAddress(base)
  if (address === undefined || rest.length > 0) throw new SyntaxError(`"${source}" is no address and no network`)
  const width = address.family === 'ipv4' ? 32 : 128
  if (bits === undefined) return { ...address, prefix: width }
  if (!/^(?:0|[1-9]\d{0,2})$/.test(bits)) throw new SyntaxError(`"/${bits}" in "${source}" is no prefix length`)
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
  const prefix = address.family === 'ipv4' && isIPv6(base) ? Number(bits) - 96 : Number(bits)
  if (prefix < 0 || prefix > width) throw new SyntaxError(`"/${bits}" in "${source}" is no prefix length here`)
  const network = firstAddress(address, prefix)
  if (network !== address.text) {
    throw new SyntaxError(`"${source}" has bits behind its prefix; write "${network}/${bits}" or "${base}"`)
  }
  return { ...address, prefix }
}

function fromWildcard(source: string, fixed: string): Network {
  const octets = fixed.split('.').slice(0, -1)
  const stars = source.slice(fixed.length).split('.').length
  const text = [...octets, '0', '0', '0'].slice(0, 4).join('.')
  if (octets.length + stars !== 4 || !isIPv4(text)) throw new SyntaxError(`"${source}" is no address and no network`)
  return { text, family: 'ipv4', prefix: octets.length * 8 }
}

/** The address with every bit behind the prefix cleared, in canonical form. */
function firstAddress({ text, family }: Address, prefix: number): string {
  const [groupBits, groups] = family === 'ipv4' ? [8, text.split('.').map(Number)] : [16, ipv6Groups(text)]
  const cleared = groups.map((group, index) => {
    const kept = Math.min(Math.max(prefix - index * groupBits, 0), groupBits)
    return group & ~((1 << (groupBits - kept)) - 1)
  })
  if (family === 'ipv4') return cleared.join('.')
  const address = cleared.map((group) => group.toString(16)).join(':')
  return new SocketAddress({ address, family: 'ipv6' }).address
}

/** The eight groups of a canonical address. Only the unassigned ::/96 and 64:ff9b::/96 spell their end with dots. */
function ipv6Groups(text: string): number[] {
  const dotted = /(?<a>\d+)\.(?<b>\d+)\.(?<c>\d+)\.(?<d>\d+)$/.exec(text)
  const hex = dotted === null ? text : text.slice(0, dotted.index) + dottedGroups(dotted)
  const [head = '', tail] = hex.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16))
}

function dottedGroups(match: RegExpExecArray): string {
  const [a = 0, b = 0, c = 0, d = 0] = match.slice(1).map(Number)
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}
