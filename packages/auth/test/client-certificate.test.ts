import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { text } from 'node:stream/consumers'
import {
  AuthError,
  createAuthenticator,
  createApiKeys,
  createClientCertificates,
  generateApiKey,
  parseSpiffeId,
  type AuthRequest,
  type CertificateIdentity,
  type ClientCertificatesOptions,
  type RequestHeaders,
} from '@mcp-gateway/auth'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CLIENT_AUTH, issue, SERVER_AUTH, type Issued } from './support/certificates.ts'

const authority = issue({ commonName: 'Acme Root', isAuthority: true })
const otherAuthority = issue({ commonName: 'Other Root', isAuthority: true })
const agent = issue({
  commonName: 'agent-1',
  organization: 'Acme, Inc',
  issuer: authority,
  names: [['DNS', 'Agent.acme.example']],
})
const SPIFFE_ID = 'spiffe://acme.example/ns/prod/sa/agent'
const workload = issue({
  commonName: 'w',
  issuer: authority,
  names: [
    ['URI', SPIFFE_ID],
    ['DNS', 'agent.acme.example'],
  ],
})

const fingerprintOf = ({ der }: Issued): string => `sha256:${createHash('sha256').update(der).digest('hex')}`
const PROXY = '10.1.2.3'

const ask = (options: ClientCertificatesOptions, request: Partial<AuthRequest>): unknown => {
  try {
    const scheme = createClientCertificates(options)
    return scheme.authenticate({ method: 'POST', url: 'https://gateway.test/mcp', headers: {}, ...request })
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    return error.code
  }
}
const direct = (options: ClientCertificatesOptions, { der }: { der: Uint8Array }): unknown =>
  ask(options, { peer: { address: '203.0.113.1', certificate: der } })
const as = (match: CertificateIdentity['match']): ClientCertificatesOptions => ({
  identities: [{ match, consumerId: 'agent', name: 'Agent', roles: ['reader'], attributes: { customerId: 'c' } }],
})

describe('a certificate of the own listener', () => {
  test.each<[string, CertificateIdentity['match'], Issued]>([
    ['its fingerprint', { fingerprint: fingerprintOf(agent) }, agent],
    ['its subject', { subject: 'O=Acme\\, Inc,CN=agent-1' }, agent],
    ['a DNS name', { dnsName: 'agent.ACME.example' }, agent],
  ])('is known by %s', (_, match, certificate) => {
    expect(direct(as(match), certificate)).toEqual({
      id: 'agent',
      name: 'Agent',
      keyId: fingerprintOf(certificate),
      tenantId: 'default',
      roles: ['reader'],
      attributes: { customerId: 'c' },
      expiresAt: Date.parse('2049-01-01'),
      scheme: 'mtls',
    })
  })

  test('is nobody when no identity matches, also with a name that only looks like it', () => {
    expect(direct(as({ dnsName: 'acme.example' }), agent)).toBe('AUTH_CERTIFICATE_UNKNOWN')
    expect(direct(as({ subject: 'CN=agent-1' }), agent)).toBe('AUTH_CERTIFICATE_UNKNOWN')
    const forged = issue({ commonName: 'x,O=Acme', issuer: authority })
    expect(direct(as({ subject: 'CN=x,O=Acme' }), forged)).toBe('AUTH_CERTIFICATE_UNKNOWN')
    const lines = issue({ commonName: 'x\nO=Acme', issuer: authority })
    expect(direct(as({ subject: 'CN=x,O=Acme' }), lines)).toBe('AUTH_CERTIFICATE_UNKNOWN')
    const quoted = issue({ commonName: 'x', issuer: authority, names: [['DNS', 'a, DNS:agent.acme.example']] })
    expect(direct(as({ dnsName: 'agent.acme.example' }), quoted)).toBe('AUTH_CERTIFICATE_UNKNOWN')
  })

  test('is refused before and after its time, to the second', () => {
    const dates = { notBefore: new Date('2026-01-01T00:00:00Z'), notAfter: new Date('2026-02-01T00:00:00Z') }
    const certificate = issue({ commonName: 'short', ...dates })
    const at = (time: string): unknown =>
      direct({ ...as({ subject: 'CN=short' }), clock: () => Date.parse(time) }, certificate)
    expect(at('2025-12-31T23:59:59Z')).toBe('AUTH_CERTIFICATE_EXPIRED')
    expect(at('2026-01-01T00:00:00Z')).toMatchObject({ id: 'agent' })
    expect(at('2026-02-01T00:00:00Z')).toMatchObject({ id: 'agent' })
    expect(at('2026-02-01T00:00:01Z')).toBe('AUTH_CERTIFICATE_EXPIRED')
  })

  test.each<[string, Uint8Array]>([
    ['no bytes', new Uint8Array()],
    ['PEM', Buffer.from(agent.pem)],
    ['something behind it', Buffer.concat([agent.der, Buffer.of(0)])],
    ['two of them', Buffer.concat([agent.der, agent.der])],
    ['half of it', agent.der.subarray(0, 100)],
  ])('is malformed: %s', (_, der) => {
    expect(direct(as({ dnsName: 'agent.acme.example' }), { der })).toBe('AUTH_CERTIFICATE_MALFORMED')
  })

  test('none at all is asked of the next scheme', () => {
    expect(ask({}, { peer: { address: '203.0.113.1' } })).toBe(undefined)
    expect(ask({}, {})).toBe(undefined)
  })

  test('a certificate that is nobody does not fall back to an API key', () => {
    const { key, hash } = generateApiKey()
    const keys = createApiKeys({ keys: [{ id: 'k', key: hash, name: 'K', consumerId: 'bearer', roles: [] }] })
    const { authenticate } = createAuthenticator({ schemes: [createClientCertificates({}), keys] })
    const request = { method: 'GET', url: 'https://x/', headers: { 'x-api-key': key } }
    expect(authenticate(request)).toMatchObject({ id: 'bearer' })
    expect(() => authenticate({ ...request, peer: { certificate: agent.der } })).toThrow(AuthError)
  })
})

describe('SPIFFE', () => {
  const domain = { trustDomain: 'acme.example', workloads: { roles: ['agent'], tenantId: 'acme' } }

  test('a workload is its SPIFFE ID', () => {
    expect(direct({ trustDomains: [domain] }, workload)).toMatchObject({
      id: SPIFFE_ID,
      roles: ['agent'],
      tenantId: 'acme',
      attributes: { spiffeId: SPIFFE_ID },
    })
  })

  test('an identity names one of them', () => {
    const options = { ...as({ spiffeId: SPIFFE_ID }), trustDomains: [domain] }
    expect(direct(options, workload)).toMatchObject({
      id: 'agent',
      attributes: { customerId: 'c', spiffeId: SPIFFE_ID },
    })
  })

  test('without workloads, only those that are named are let in', () => {
    const trustDomains = [{ trustDomain: 'acme.example' }]
    expect(direct({ trustDomains }, workload)).toBe('AUTH_CERTIFICATE_UNKNOWN')
    expect(direct({ ...as({ spiffeId: SPIFFE_ID }), trustDomains }, workload)).toMatchObject({ id: 'agent' })
  })

  test('another trust domain is nobody, and the other names of an SVID do not count', () => {
    expect(direct({ trustDomains: [{ ...domain, trustDomain: 'other.example' }] }, workload)).toBe(
      'AUTH_CERTIFICATE_UNKNOWN',
    )
    expect(direct(as({ dnsName: 'agent.acme.example' }), workload)).toBe('AUTH_CERTIFICATE_UNKNOWN')
    expect(direct(as({ spiffeId: SPIFFE_ID }), workload)).toBe('AUTH_CERTIFICATE_UNKNOWN')
  })

  test("a domain's authority cannot speak for another domain", () => {
    const bundles = [
      { ...domain, bundle: [authority.pem] },
      { trustDomain: 'other.example', bundle: [otherAuthority.pem], workloads: { roles: [] } },
    ]
    expect(direct({ trustDomains: bundles }, workload)).toMatchObject({ id: SPIFFE_ID })
    const forged = issue({ commonName: 'w', issuer: otherAuthority, names: [['URI', SPIFFE_ID]] })
    expect(direct({ trustDomains: bundles }, forged)).toBe('AUTH_CERTIFICATE_UNTRUSTED')
    expect(() => createClientCertificates({ trustDomains: [domain, { trustDomain: 'other.example' }] })).toThrow(
      /needs its bundle/,
    )
  })

  test.each<[string, Parameters<typeof issue>[0]]>([
    [
      'two URIs',
      {
        commonName: 'w',
        names: [
          ['URI', SPIFFE_ID],
          ['URI', 'https://x.example/'],
        ],
      },
    ],
    [
      'two SPIFFE IDs',
      {
        commonName: 'w',
        names: [
          ['URI', SPIFFE_ID],
          ['URI', `${SPIFFE_ID}2`],
        ],
      },
    ],
    [
      'a second URI that Node puts in quotes',
      {
        commonName: 'w',
        names: [
          ['URI', SPIFFE_ID],
          ['URI', 'a, b'],
        ],
      },
    ],
    ['capitals in the scheme', { commonName: 'w', names: [['URI', SPIFFE_ID.replace('spiffe', 'SPIFFE')]] }],
    ['an authority', { commonName: 'w', isAuthority: true, names: [['URI', SPIFFE_ID]] }],
    ['a dot segment', { commonName: 'w', names: [['URI', 'spiffe://acme.example/a/../b']] }],
  ])('an SVID with %s is malformed', (_, wish) => {
    expect(direct({ trustDomains: [domain] }, issue({ issuer: authority, ...wish }))).toBe('AUTH_CERTIFICATE_MALFORMED')
  })

  // https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md §2.1, §2.2
  test.each([
    'spiffe://Acme.example/a',
    'spiffe://acme.example/a/',
    'spiffe://acme.example//a',
    'spiffe://acme.example/./a',
    'spiffe://acme.example/a?b',
    'spiffe://acme.example/a#b',
    'spiffe://acme.example:80/a',
    'spiffe://u@acme.example/a',
    'spiffe://acme.example/a%20b',
    'spiffe:///a',
    'spiffe://',
    'spiffe:/acme.example/a',
    'https://acme.example/a',
    `spiffe://${'a'.repeat(256)}`,
    `spiffe://a/${'a'.repeat(2048)}`,
  ])('%.40s is no SPIFFE ID', (id) => expect(parseSpiffeId(id)).toBe(undefined))

  test('spiffe://acme.example is one, and so is what has a path', () => {
    expect(parseSpiffeId('spiffe://acme.example')).toEqual({ trustDomain: 'acme.example', path: '' })
    expect(parseSpiffeId(SPIFFE_ID)).toEqual({ trustDomain: 'acme.example', path: '/ns/prod/sa/agent' })
  })
})

const rfc9440 = ({ der }: Issued): string => `:${der.toString('base64')}:`
const escaped = ({ pem }: Issued): string => encodeURIComponent(pem)

describe('a certificate that a proxy passes on', () => {
  const options = (more: Partial<ClientCertificatesOptions> = {}): ClientCertificatesOptions => ({
    ...as({ dnsName: 'agent.acme.example' }),
    proxies: { addresses: ['10.0.0.0/8', 'fd00::1'] },
    ...more,
  })
  const from = (
    address: string | undefined,
    headers: RequestHeaders,
    more: Partial<ClientCertificatesOptions> = {},
  ): unknown => ask(options(more), { peer: { address }, headers })
  const header = { 'client-cert': rfc9440(agent) }

  test.each(['10.1.2.3', '::ffff:10.1.2.3', '::FFFF:10.1.2.3', 'fd00::1', 'fd00:0::0:1'])(
    'is taken from %s',
    (address) => {
      expect(from(address, header)).toMatchObject({ id: 'agent' })
    },
  )

  test.each(['11.1.2.3', '::ffff:11.1.2.3', 'fd00::2', '', 'localhost', undefined])(
    'is refused, not ignored, from %s',
    (address) => {
      expect(from(address, header)).toBe('AUTH_CERTIFICATE_HEADER_REFUSED')
    },
  )

  test('without any proxy it is refused, also beside a certificate of the handshake', () => {
    const request = { peer: { address: PROXY, certificate: agent.der }, headers: { 'client-cert': rfc9440(workload) } }
    expect(ask(as({ dnsName: 'agent.acme.example' }), request)).toBe('AUTH_CERTIFICATE_HEADER_REFUSED')
    expect(ask({ ...as({ dnsName: 'agent.acme.example' }), proxies: { addresses: [] } }, request)).toBe(
      'AUTH_CERTIFICATE_HEADER_REFUSED',
    )
  })

  test('Client-Cert is refused where another header is configured', () => {
    const proxies = { addresses: ['10.0.0.0/8'], header: 'X-SSL-Cert', format: 'pem-url-encoded' } as const
    expect(from(PROXY, header, { proxies })).toBe('AUTH_CERTIFICATE_HEADER_REFUSED')
    expect(from(PROXY, { 'x-ssl-cert': escaped(agent) }, { proxies })).toMatchObject({ id: 'agent' })
    expect(from('11.0.0.1', { 'x-ssl-cert': escaped(agent) }, { proxies })).toBe('AUTH_CERTIFICATE_HEADER_REFUSED')
  })

  test("a proxy's own certificate is nobody's", () => {
    const peer = { address: PROXY, certificate: workload.der }
    expect(ask(options(), { peer, headers: header })).toMatchObject({ id: 'agent' })
    expect(ask(options(), { peer, headers: {} })).toBe(undefined)
    expect(ask(options(), { peer, headers: { 'client-cert': '' } })).toBe(undefined)
  })

  test.each<[string, string | readonly string[]]>([
    ['not in colons', agent.der.toString('base64')],
    ['two of them', `${rfc9440(agent)}, ${rfc9440(workload)}`],
    ['twice', [rfc9440(agent), rfc9440(workload)]],
    ['base64url', rfc9440(agent).replaceAll('+', '-').replaceAll('/', '_')],
    ['stray bits', ':QQ=:'],
    ['no certificate', ':QUFBQQ==:'],
    ['a very long one', `:${'A'.repeat(20_000)}:`],
    ['PEM', agent.pem],
  ])('is malformed: %s', (_, value) => {
    expect(from(PROXY, { 'client-cert': value })).toBe('AUTH_CERTIFICATE_MALFORMED')
  })

  test.each<[string, string, unknown]>([
    ['one element', `Hash=abc;Cert="${escaped(agent)}";Subject="CN=a;b,c";URI=`, { id: 'agent' }],
    ['without quotes', `Cert=${escaped(agent)}`, { id: 'agent' }],
    ['two hops', `Cert="${escaped(agent)}",Cert="${escaped(workload)}"`, 'AUTH_CERTIFICATE_MALFORMED'],
    ['two certificates', `Cert="${escaped(agent)}";Cert="${escaped(workload)}"`, 'AUTH_CERTIFICATE_MALFORMED'],
    ['a certificate within a subject', `Subject="x\\";Cert=${escaped(agent)};y="`, 'AUTH_CERTIFICATE_MALFORMED'],
    ['only a hash', 'Hash=abc', 'AUTH_CERTIFICATE_MALFORMED'],
    ['an open quote', `Cert="${escaped(agent)}`, 'AUTH_CERTIFICATE_MALFORMED'],
  ])("in Envoy's header: %s", (_, value, outcome) => {
    const proxies = { addresses: [PROXY], header: 'x-forwarded-client-cert', format: 'xfcc' } as const
    const answer = from(PROXY, { 'x-forwarded-client-cert': value }, { proxies })
    if (typeof outcome === 'string') expect(answer).toBe(outcome)
    else expect(answer).toMatchObject(outcome as object)
  })

  test('is checked against the authorities that are configured', () => {
    const trust = [authority.pem]
    const like = (wish: Partial<Parameters<typeof issue>[0]>): RequestHeaders => ({
      'client-cert': rfc9440(
        issue({ commonName: 'x', names: [['DNS', 'agent.acme.example']], issuer: authority, ...wish }),
      ),
    })
    expect(from(PROXY, like({}), { trust })).toMatchObject({ id: 'agent' })
    expect(from(PROXY, like({ uses: [SERVER_AUTH, CLIENT_AUTH] }), { trust })).toMatchObject({ id: 'agent' })
    expect(from(PROXY, like({ uses: [SERVER_AUTH] }), { trust })).toBe('AUTH_CERTIFICATE_UNTRUSTED')
    expect(from(PROXY, like({ issuer: otherAuthority }), { trust })).toBe('AUTH_CERTIFICATE_UNTRUSTED')
    // The name of the authority, but not its key.
    const namesake = { ...otherAuthority, name: authority.name }
    expect(from(PROXY, like({ issuer: namesake }), { trust })).toBe('AUTH_CERTIFICATE_UNTRUSTED')
    expect(from(PROXY, like({ issuer: otherAuthority }))).toMatchObject({ id: 'agent' })
    expect(from(PROXY, like({}), { trust: [] })).toBe('AUTH_CERTIFICATE_UNTRUSTED')
  })

  test('an authority that is not valid any more vouches for nobody', () => {
    const old = issue({ commonName: 'Old Root', isAuthority: true, notAfter: new Date('2021-01-01') })
    const certificate = issue({ commonName: 'x', names: [['DNS', 'agent.acme.example']], issuer: old })
    expect(from(PROXY, { 'client-cert': rfc9440(certificate) }, { trust: [old.pem] })).toBe(
      'AUTH_CERTIFICATE_UNTRUSTED',
    )
  })
})

describe('createClientCertificates refuses', () => {
  const identity = { consumerId: 'a', name: 'A', roles: [] }
  test.each<[string, ClientCertificatesOptions]>([
    ['a proxy that is no address', { proxies: { addresses: ['proxy.local'] } }],
    ['a network that is none', { proxies: { addresses: ['10.0.0.0/33'] } }],
    ['half a network', { proxies: { addresses: ['10.0.0.0/'] } }],
    ['a fingerprint with colons', { identities: [{ ...identity, match: { fingerprint: 'AA:BB' } }] }],
    ['a SPIFFE ID that is none', { identities: [{ ...identity, match: { spiffeId: 'spiffe://A' } }] }],
    ['an empty subject', { identities: [{ ...identity, match: { subject: '' } }] }],
    ['a wildcard', { identities: [{ ...identity, match: { dnsName: '*.acme.example' } }] }],
    [
      'two alike',
      {
        identities: [
          { ...identity, match: { dnsName: 'a' } },
          { ...identity, match: { dnsName: 'A' } },
        ],
      },
    ],
    ['a trust domain with a path', { trustDomains: [{ trustDomain: 'a/b' }] }],
    ['an authority that is none', { trust: [agent.pem] }],
    ['an authority that is no PEM', { trust: ['abc'] }],
  ])('%s', (_, options) => {
    expect(() => createClientCertificates(options)).toThrow(TypeError)
  })
})

test('a real handshake: the certificate of the socket is the caller, and none is nobody', async () => {
  const server = issue({ commonName: 'localhost', names: [['DNS', 'localhost']], issuer: authority })
  const scheme = createClientCertificates({ trustDomains: [{ trustDomain: 'acme.example', workloads: { roles: [] } }] })
  const listener = createServer(
    { cert: server.pem, key: server.keyPem, ca: [authority.pem], requestCert: true, rejectUnauthorized: false },
    (incoming, response) => {
      const socket = incoming.socket as TLSSocket
      const certificate = socket.authorized ? socket.getPeerX509Certificate()?.raw : undefined
      const peer = { address: socket.remoteAddress, certificate }
      const caller = scheme.authenticate({ method: 'GET', url: 'https://localhost/', headers: incoming.headers, peer })
      response.end(caller === undefined ? 'nobody' : 'id' in caller ? caller.id : 'later')
    },
  ).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const get = async (client?: Issued): Promise<string> => {
    const credentials = client === undefined ? {} : { cert: client.pem, key: client.keyPem }
    const request = httpsRequest({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: [authority.pem],
      agent: false,
      ...credentials,
    })
    request.end()
    const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream]
    return text(response)
  }
  try {
    expect(await get(workload)).toBe(SPIFFE_ID)
    expect(await get()).toBe('nobody')
    const forged = issue({ commonName: 'w', issuer: otherAuthority, names: [['URI', SPIFFE_ID]] })
    expect(await get(forged)).toBe('nobody')
  } finally {
    listener.closeAllConnections()
    listener.close()
  }
})

test('any one changed byte of a certificate that is known by its fingerprint ≡ refused', () => {
  const options = { ...as({ fingerprint: fingerprintOf(agent) }) }
  fc.assert(
    fc.property(fc.nat(agent.der.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const der = Buffer.from(agent.der)
      der[at] = (der[at] ?? 0) ^ change
      expect(direct(options, { der })).toMatch(/^AUTH_CERTIFICATE_/)
    }),
    { numRuns: 500 },
  )
})
