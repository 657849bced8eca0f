import {
  addressRefusal,
  compileAddresses,
  createAddressPolicy,
  createClientAddress,
  parseAddress,
} from '@mcp-gateway/policy'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

describe('addresses', () => {
  test.each([
    ['10.1.2.3', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::FFFF:0a01:0203', '10.1.2.3'],
    ['0:0:0:0:0:ffff:10.1.2.3', '10.1.2.3'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
  ])('%s is %s', (source, canonical) => expect(parseAddress(source)?.text).toBe(canonical))

  test.each([
    '',
    '10.1.2',
    '10.1.2.256',
    '010.1.2.3',
    '0x0a.1.2.3',
    '167838211',
    '10.1.2.3 ',
    '::g',
    '1::2::3',
    'localhost',
    ':'.repeat(100),
  ])('%j is none', (source) => expect(parseAddress(source)).toBeUndefined())

  test.each([
    ['10.0.0.0/8', ['10.255.0.1', '::ffff:10.0.0.1'], ['11.0.0.1', '::10.0.0.1']],
    ['0.0.0.0/0', ['1.2.3.4', '::ffff:1.2.3.4'], ['::1']],
    ['::/0', ['::1', '2001:db8::1'], ['1.2.3.4', '::ffff:1.2.3.4']],
    ['::ffff:10.0.0.0/104', ['10.1.1.1'], ['11.1.1.1']],
    ['2001:db8::/33', ['2001:db8:7fff::1'], ['2001:db8:8000::1']],
    ['192.168.*.*', ['192.168.3.4'], ['192.169.3.4']],
    ['10.*', [], []],
    ['203.0.113.9', ['203.0.113.9'], ['203.0.113.8']],
    ['64:ff9b::192.0.2.0/120', ['64:ff9b::c000:2ff'], ['64:ff9b::c000:300']],
  ])('%s', (network, inside, outside) => {
    if (inside.length === 0) {
      expect(() => compileAddresses([network])).toThrow(SyntaxError)
      return
    }
    const has = compileAddresses([network])
    for (const address of inside) expect([address, has(address)]).toEqual([address, true])
    for (const address of outside) expect([address, has(address)]).toEqual([address, false])
  })

  test.each([
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '/8',
    '*',
    '*.*.*.*',
    '10.*.1.*',
    '2001:db8::1/32',
    '::ffff:10.0.0.0/95',
    'fe80::1%eth0',
    'example.com',
  ])('%j is refused', (source) => expect(() => compileAddresses([source])).toThrow(SyntaxError))

  test('IPv4 in a network ≡ its first bits are the network’s', () => {
    const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
    const toNumber = (parts: readonly number[]): number => parts.reduce((sum, part) => sum * 256 + part, 0)
    fc.assert(
      fc.property(
        octets,
        octets,
        fc.integer({ min: 0, max: 32 }),
        fc.boolean(),
        (network, address, prefix, isMapped) => {
          const size = 2 ** (32 - prefix)
          const first = Math.floor(toNumber(network) / size) * size
          const text = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.')
          const has = compileAddresses([`${text}/${prefix}`])
          const expected = Math.floor(toNumber(address) / size) * size === first
          return has(`${isMapped ? '::ffff:' : ''}${address.join('.')}`) === expected
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe('lists', () => {
  const ask = (rules: Parameters<typeof createAddressPolicy>[0], address: string | undefined): [boolean, string] => {
    const { allowed, rule } = createAddressPolicy(rules).decide(address)
    return [allowed, rule]
  }
  test('an empty allow list allows nobody, an empty deny list denies nobody', () => {
    expect(ask({ allow: [] }, '10.0.0.1')).toEqual([false, 'addresses/allow'])
    expect(ask({ deny: [] }, '10.0.0.1')).toEqual([true, 'addresses/default'])
    expect(ask({}, undefined)).toEqual([true, 'addresses/default'])
  })
  test('deny wins', () => {
    const rules = { allow: ['10.0.0.0/8'], deny: ['10.6.6.0/24'] }
    expect(ask(rules, '10.0.0.1')).toEqual([true, 'addresses/allow'])
    expect(ask(rules, '::ffff:10.6.6.6')).toEqual([false, 'addresses/deny'])
    expect(ask(rules, '11.0.0.1')).toEqual([false, 'addresses/allow'])
  })
  test('who has no readable address is refused as soon as there is a list', () => {
    for (const address of [undefined, '', 'unknown', '10.0.0']) {
      expect(ask({ deny: ['10.0.0.1'] }, address)).toEqual([false, 'addresses/unreadable'])
      expect(ask({ allow: ['0.0.0.0/0'] }, address)).toEqual([false, 'addresses/unreadable'])
      expect(ask({ deny: [] }, address)).toEqual([false, 'addresses/unreadable'])
    }
    expect(addressRefusal(createAddressPolicy({ allow: [] }).decide(undefined)).code).toBe('POLICY_ADDRESS_UNREADABLE')
    expect(addressRefusal(createAddressPolicy({ allow: [] }).decide('::1')).code).toBe('POLICY_ADDRESS_DENIED')
  })
})

describe('the client behind proxies', () => {
  const proxies = ['127.0.0.1', '10.0.0.0/8', 'fd00::/8']
  const find = createClientAddress({ trustedProxies: proxies })
  const of = (peer: string | undefined, forwarded?: string | string[]): string | undefined =>
    find({ peer, headers: { 'x-forwarded-for': forwarded, forwarded: 'for=6.6.6.6' } })

  test.each([
    ['nobody is trusted but the proxies', '203.0.113.1', '1.1.1.1', '203.0.113.1'],
    ['the last entry is what our proxy saw', '127.0.0.1', '6.6.6.6, 203.0.113.1', '203.0.113.1'],
    ['through two of ours', '127.0.0.1', '6.6.6.6, 203.0.113.1, 10.1.1.1', '203.0.113.1'],
    ['a forged chain of ours in front is not reached', '127.0.0.1', '10.9.9.9, 203.0.113.1', '203.0.113.1'],
    ['with ports', '::ffff:127.0.0.1', '203.0.113.1:4711', '203.0.113.1'],
    ['IPv6 in brackets', '127.0.0.1', '[2001:db8::1]:4711', '2001:db8::1'],
    ['everybody is ours', '127.0.0.1', '10.1.1.1', '10.1.1.1'],
    ['no header', '127.0.0.1', undefined, '127.0.0.1'],
    ['several header lines', '127.0.0.1', ['6.6.6.6', '203.0.113.1'], '203.0.113.1'],
    ['an entry that nobody can read hides the client', '127.0.0.1', '203.0.113.1, unknown', undefined],
    ['an empty entry too', '127.0.0.1', '203.0.113.1,', undefined],
    ['a chain that is too long', '127.0.0.1', Array(40).fill('10.1.1.1').join(', '), undefined],
    ['a header that is too long', '127.0.0.1', `${'1'.repeat(5000)}, 203.0.113.1`, undefined],
    ['no peer', undefined, '1.1.1.1', undefined],
  ])('%s', (_, peer, header, client) => expect(of(peer, header)).toBe(client))

  test('Forwarded (RFC 7239) only when the proxies write it', () => {
    const own = createClientAddress({ trustedProxies: proxies, header: 'forwarded' })
    const headers = {
      forwarded: 'for=6.6.6.6, for="[2001:db8::17]:4711";proto=https;by=10.0.0.1',
      'x-forwarded-for': '7.7.7.7',
    }
    expect(own({ peer: '127.0.0.1', headers })).toBe('2001:db8::17')
    expect(own({ peer: '127.0.0.1', headers: { forwarded: 'for=_hidden' } })).toBeUndefined()
    expect(own({ peer: '127.0.0.1', headers: { forwarded: 'proto=https;For=192.0.2.60' } })).toBe('192.0.2.60')
  })

  test('an empty list of proxies trusts nobody', () => {
    const own = createClientAddress({ trustedProxies: [] })
    expect(own({ peer: '127.0.0.1', headers: { 'x-forwarded-for': '1.1.1.1' } })).toBe('127.0.0.1')
  })
})
