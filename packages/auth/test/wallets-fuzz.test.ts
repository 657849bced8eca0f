/**
 * Random inputs for everything that reads what strangers send: nothing may crash, hang or let in. AUTH_FUZZ_CASES is the
 * number of all inputs together; 1,000,000 take some minutes.
 */
import {
  AuthError,
  createAccountVerifier,
  createClientCertificates,
  createErc8128,
  createWalletLogin,
  createWallets,
  formatLoginMessage,
  parseDictionary,
  parseLoginMessage,
  parseSpiffeId,
  recoverAddress,
} from '@mcp-gateway/auth'
import { createMemoryReplayStore } from '@mcp-gateway/auth/stores/memory'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { issue } from './support/certificates.ts'
import { CREATED, signer } from './support/sign.ts'

const CASES = Number(process.env['AUTH_FUZZ_CASES'] ?? 20_000)
const share = (part: number): { numRuns: number } => ({ numRuns: Math.ceil(CASES * part) })
const HOUR_MS = 3_600_000

/** Texts that are nearly right: pieces of the grammar, in any order. */
const pieces = (...words: string[]): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: fc.constantFrom(...words), maxLength: 24 }),
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 60 }),
  )

const KEYID = `eip155:1:${signer.address.toLowerCase()}`
const WORDS =
  'a eth request = ( ) "@method" "@path" "@authority" "@scheme" "@query" , ; : AAAA ?1 ?0 @1 %" %c3 " \\ - 1 . 5 *'
const dictionary = pieces(
  ...WORDS.split(' '),
  ' ',
  '\t',
  ', ',
  ';created=1700000000',
  ';expires=1700000060',
  ';nonce="n"',
  `;keyid="${KEYID}"`,
  `;keyid="erc8128:1:${signer.address}"`,
  ';tag="erc8128"',
  ';alg="x"',
)

const isRefusal = (error: unknown): boolean => error instanceof AuthError

test(
  'signed requests: no random Signature-Input and Signature let anybody in',
  async () => {
    const clock = (): number => CREATED * 1000
    const scheme = createErc8128({
      wallets: createWallets({ operators: [], others: { roles: [] } }),
      accounts: createAccountVerifier({ chains: [{ id: 1 }] }),
      replay: createMemoryReplayStore({ clock }),
      clock,
    })
    const signature = fc
      .tuple(fc.uint8Array({ minLength: 63, maxLength: 65 }), fc.constantFrom('Gw', 'HA', 'AA'))
      .map(
        ([bytes, v]) =>
          `request=:${Buffer.concat([bytes.subarray(0, 64), Buffer.from(v, 'base64')]).toString('base64')}:`,
      )
    const covering = `("@method" "@path" "@authority" "@scheme" "@query");created=${CREATED};expires=${CREATED + 60}`
    const inputs = fc.oneof(
      { weight: 3, arbitrary: dictionary },
      {
        weight: 1,
        arbitrary: dictionary.map((tail) => `request=${covering};nonce="n";keyid="${KEYID}";tag="erc8128"${tail}`),
      },
      { weight: 1, arbitrary: fc.constant(`request=${covering};nonce="n";keyid="${KEYID}";tag="erc8128"`) },
    )
    await fc.assert(
      fc.asyncProperty(inputs, fc.oneof(dictionary, signature), async (input, value) => {
        try {
          const headers = { 'signature-input': input, signature: value }
          return (await scheme.authenticate({ method: 'GET', url: 'https://api.example/', headers })) === undefined
        } catch (error) {
          return isRefusal(error)
        }
      }),
      share(0.25),
    )
  },
  HOUR_MS,
)

test(
  'structured fields: a text is refused with a SyntaxError, or is a dictionary whose keys are keys',
  () => {
    fc.assert(
      fc.property(dictionary, (text) => {
        try {
          return [...parseDictionary(text).keys()].every((key) => /^[a-z*][a-z0-9_.*-]*$/.test(key))
        } catch (error) {
          // TypeError: a display string that is not UTF-8.
          return error instanceof SyntaxError || error instanceof TypeError
        }
      }),
      share(0.25),
    )
  },
  HOUR_MS,
)

test('structured fields: no 16 KiB of anything repeated are a hang', () => {
  for (const unit of ['(', 'a', 'a=', '"', '\\', ';', ';a', ',a', '(a ', '%"', ':', '=', '1', '-', '@', ' ', '("";']) {
    try {
      parseDictionary(`a=${unit.repeat(16_384 / unit.length)}`)
    } catch (error) {
      expect(error).toBeInstanceOf(SyntaxError)
    }
  }
})

test(
  'content digests: no random field matches',
  async () => {
    const clock = (): number => CREATED * 1000
    const scheme = createErc8128({
      wallets: createWallets({ operators: [], others: { roles: [] } }),
      accounts: createAccountVerifier({ chains: [{ id: 1 }] }),
      replay: createMemoryReplayStore({ clock }),
      clock,
    })
    const digest = pieces('sha-256', 'sha-512', 'md5', '=', ':', 'AAAA', '==', ', ', ';a', '"', '(', ')')
    const input = `request=("@method" "@path" "@authority" "@scheme" "@query" "content-digest");created=${CREATED};expires=${CREATED + 60};nonce="n";keyid="${KEYID}";tag="erc8128"`
    await fc.assert(
      fc.asyncProperty(digest, async (field) => {
        const headers = { 'signature-input': input, signature: 'request=:AAAA:', 'content-digest': field }
        const request = { method: 'GET', url: 'https://api.example/', headers }
        const error = await Promise.resolve(scheme.authenticate(request)).catch((error: unknown) => error)
        return (error as { reason?: string }).reason === 'bad_content_digest'
      }),
      share(0.1),
    )
  },
  HOUR_MS,
)

test(
  'signatures: no random bytes are the signature of a given account',
  () => {
    const address = signer.address.toLowerCase()
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 66 }), fc.constantFrom(0, 1, 27, 28, 37), (bytes, v) => {
        bytes[64] = v
        return recoverAddress(new Uint8Array(32).fill(1), bytes) !== address
      }),
      share(0.05),
    )
  },
  HOUR_MS,
)

test(
  'certificate headers: no random header is anybody',
  () => {
    const certificate = issue({ commonName: 'agent', names: [['DNS', 'agent.example']] })
    const encoded = encodeURIComponent(certificate.pem)
    const words = [
      ':',
      certificate.der.toString('base64').slice(0, 40),
      'MII',
      '=',
      ';',
      ',',
      '"',
      '\\',
      'Cert=',
      'Hash=',
      'URI=spiffe://a/b',
    ]
    const header = pieces(
      ...words,
      '%',
      '%2',
      '-----BEGIN CERTIFICATE-----',
      '-----END CERTIFICATE-----',
      '%0A',
      '\n',
      encoded.slice(0, 60),
    )
    for (const format of ['rfc9440', 'pem-url-encoded', 'xfcc'] as const) {
      const scheme = createClientCertificates({
        identities: [{ match: { dnsName: 'agent.example' }, consumerId: 'a', name: 'A', roles: [] }],
        proxies: { addresses: ['10.0.0.1'], format },
      })
      fc.assert(
        fc.property(header, (value) => {
          try {
            const request = {
              method: 'GET',
              url: 'https://x/',
              headers: { 'client-cert': value },
              peer: { address: '10.0.0.1' },
            }
            return scheme.authenticate(request) === undefined && value === ''
          } catch (error) {
            return isRefusal(error)
          }
        }),
        share(0.05),
      )
    }
  },
  HOUR_MS,
)

test(
  'certificates: one with any bytes changed is refused with a code, or says the same name',
  () => {
    const { der } = issue({ commonName: 'agent', names: [['URI', 'spiffe://acme.example/agent']] })
    const scheme = createClientCertificates({
      trustDomains: [{ trustDomain: 'acme.example', workloads: { roles: [] } }],
    })
    const changes = fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(changes, (places) => {
        const certificate = Buffer.from(der)
        for (const [at, byte] of places) certificate[at] = byte
        try {
          const caller = scheme.authenticate({ method: 'GET', url: 'https://x/', headers: {}, peer: { certificate } })
          // Who verified the handshake has seen these bytes; here they only must be a SPIFFE ID of this domain.
          return caller !== undefined && 'id' in caller && parseSpiffeId(caller.id)?.trustDomain === 'acme.example'
        } catch (error) {
          return isRefusal(error)
        }
      }),
      share(0.05),
    )
  },
  HOUR_MS,
)

test(
  'login messages: what is parsed is formatted to itself, and none is taken for a challenge of ours',
  async () => {
    const login = createWalletLogin({
      wallets: createWallets({ operators: [], others: { roles: [] } }),
      accounts: createAccountVerifier({ chains: [{ id: 1 }] }),
      replay: createMemoryReplayStore(),
      secret: new Uint8Array(32).fill(1),
      domain: 'gateway.example',
      uri: 'https://gateway.example/mcp',
    })
    const { message } = login.challenge({ address: signer.address, chainId: 1 })
    const lines = message.split('\n').flatMap((line) => [line, '\n'])
    const texts = fc.oneof(
      pieces(...lines, 'Resources:', '- https://x', 'Not Before: ', '\r\n', ' '),
      fc
        .tuple(fc.nat(message.length), fc.nat(4), fc.string({ maxLength: 4 }))
        .map(([at, length, text]) => message.slice(0, at) + text + message.slice(at + length)),
    )
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.oneof(fc.string({ maxLength: 20 }), fc.constant(`0x${'11'.repeat(65)}`)),
        async (text, signature) => {
          const parsed = parseLoginMessage(text)
          if (parsed !== undefined && formatLoginMessage(parsed) !== text) return false
          const error = await login.verify({ message: text, signature }).catch((error: unknown) => error)
          return isRefusal(error)
        },
      ),
      share(0.15),
    )
  },
  HOUR_MS,
)
