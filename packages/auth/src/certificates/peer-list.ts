/** Which peers are proxies of ours. */
import { BlockList, isIP, isIPv4 } from 'node:net'

/** Addresses and networks (`10.0.0.0/8`, `fd00::/8`). None means nobody. @throws TypeError when one cannot be read */
export function createPeerList(entries: readonly string[]): (address: string | undefined) => boolean {
  const list = new BlockList()
  for (const entry of entries) {
    const [base = '', prefix, ...rest] = entry.split('/')
    const family = isIP(base) === 6 ? 'ipv6' : 'ipv4'
    const bits = prefix === undefined ? (family === 'ipv6' ? 128 : 32) : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
    if (isIP(base) === 0 || rest.length > 0 || bits < 0 || bits > (family === 'ipv6' ? 128 : 32)) {
      throw new TypeError(`"${entry}" is neither an address nor a network`)
    }
    list.addSubnet(base, bits, family)
  }
  return (address) => {
    if (address === undefined) return false
    // A dual-stack socket names IPv4 peers like this (RFC 4291 §2.5.5.2).
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
    return isIP(plain) !== 0 && list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6')
  }
}
