// The vectors and the table of mutations are those of https://github.com/slice-so/ERCs/blob/0f738bf/ERCS/erc-8128.md,
// "Test Cases", read in November 2026.
import {
  createAccountVerifier,
  createApiKeys,
  createAuthenticator,
  createErc8128,
  createWallets,
  describeErc8128,
  generateApiKey,
  hashMessage,
  recoverAddress,
  SignatureError,
  type AccountReader,
  type AuthRequest,
  type Caller,
  type Erc8128Options,
  type Scheme,
} from '@mcp-gateway/auth'
import { createMemoryReplayStore } from '@mcp-gateway/auth/stores/memory'
import fc from 'fast-check'
import { hexToBytes, serializeErc6492Signature, toHex, type Hex } from 'viem'
import { describe, expect, test } from 'vitest'
import { change, CREATED, sign, signer, stranger, type Draft, type SignedRequest } from './support/sign.ts'

const OPERATOR = { address: signer.address, consumerId: 'ops', name: 'Ops', roles: ['operator'] }

function schemeOf(options: Partial<Erc8128Options> = {}, now = (CREATED + 1) * 1000): Scheme {
  return createErc8128({
    wallets: createWallets({ operators: [OPERATOR] }),
    accounts: createAccountVerifier({ chains: [{ id: 1 }] }),
    replay: createMemoryReplayStore({ clock: () => now }),
    clock: () => now,
    ...options,
  })
}

/** The caller's id, or why not. */
async function ask(request: AuthRequest, scheme: Scheme = schemeOf()): Promise<string> {
  try {
    const caller = await scheme.authenticate(request)
    return caller === undefined ? 'not asked' : `let in: ${caller.id}`
  } catch (error) {
    if (error instanceof SignatureError) return error.reason
    throw error
  }
}

const DIGEST = 'sha-256=:k6I5cakU5erL8KjSUVTNownDwccvu5kU1Hxg88toFYg=:'
const INPUT =
  'request=("@scheme" "@authority" "@method" "@path" "@query" "content-digest" "content-type");created=1700000000;expires=1700000060;nonce="EjRWeJCrze8BI0VniavN7w";keyid="eip155:1:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf";tag="erc8128"'
const SIGNATURE = 'request=:/BpEToskxkMJ65uRmaNUPiBwbwwg6z3CxEDJJwEYREIx1Hwn85Z1L8XlRpILGx4q80yeiNugYzaUsVPWiPcB0Bs=:'
const bytes = Buffer.from('{"hello":"world"}')
const positive: SignedRequest = {
  method: 'POST',
  url: 'https://api.example/items?view=full',
  headers: {
    'content-type': 'application/json',
    'content-length': '17',
    'content-digest': DIGEST,
    'signature-input': INPUT,
    signature: SIGNATURE,
  },
  bytes,
  body: async () => bytes,
}
const withInput = (replace: (input: string) => string): SignedRequest =>
  change(positive, { headers: { 'signature-input': replace(INPUT) } })

describe('the test cases of August 2026', () => {
  test('H and S', () => {
    const base = `"@scheme": https
"@authority": api.example
"@method": POST
"@path": /items
"@query": ?view=full
"content-digest": ${DIGEST}
"content-type": application/json
"@signature-params": ${INPUT.slice('request='.length)}`
    expect(Buffer.byteLength(base)).toBe(449)
    expect(toHex(hashMessage(base))).toBe('0xa7a6074cd2ab23379c04a8839a3566e98689326367a0ad9cd8ef389a961f96de')
    const S =
      '0xfc1a444e8b24c64309eb9b9199a3543e20706f0c20eb3dc2c440c9270118444231d47c27f396752fc5e546920b1b1e2af34c9e88dba0633694b153d688f701d01b'
    expect(recoverAddress(hashMessage(base), hexToBytes(S))).toBe('0x7e5f4552091a69125d5dfcb7b8c2659029395bdf')
  })

  test('the positive vector is let in, as the operator', async () => {
    expect(await schemeOf().authenticate(positive)).toEqual({
      id: 'ops',
      name: 'Ops',
      keyId: 'eip155:1:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf',
      tenantId: 'default',
      roles: ['operator'],
      attributes: { wallet: '0x7e5f4552091a69125d5dfcb7b8c2659029395bdf', chainId: 1, account: 'key' },
      expiresAt: 1_700_000_090_000,
      scheme: 'erc8128',
    } satisfies Caller)
  })

  const header = (name: string, value: string | undefined): SignedRequest =>
    change(positive, { headers: { [name]: value } })
  const at = (seconds: number): Scheme => schemeOf({}, seconds * 1000)
  test.each<[string, SignedRequest, string, Scheme?]>([
    ['no Signature', header('signature', undefined), 'signature_missing'],
    ['no Signature-Input', header('signature-input', undefined), 'signature_missing'],
    ['Signature-Input of another syntax', withInput((input) => `${input},`), 'signature_input_invalid'],
    ['Signature of another syntax', header('signature', 'request=:AA=A:'), 'signature_input_invalid'],
    [
      'a Signature under another label',
      header('signature', SIGNATURE.replace('request', 'other')),
      'signature_input_invalid',
    ],
    ['a field that is too long', withInput((input) => `${input};a="${'x'.repeat(17_000)}"`), 'signature_too_large'],
    ['a signature that is too long', header('signature', `request=:${'AAAA'.repeat(2731)}:`), 'signature_too_large'],
    [
      '33 components',
      withInput((input) => input.replace(' "@path"', ` ${'"@path" '.repeat(27)}"@path"`)),
      'signature_too_large',
    ],
    [
      '17 parameters',
      withInput((input) => input + Array.from('abcdefghijkl', (key) => `;${key}`).join('')),
      'signature_too_large',
    ],
    [
      '9 candidates',
      withInput((input) => Array.from('abcdefghi', (label) => input.replace('request', label)).join(', ')),
      'signature_too_large',
    ],
    [
      'an unknown tag',
      withInput((input) => input.replace('"erc8128"', '"erc8128-delegated"')),
      'no_acceptable_signature',
    ],
    ['a tag that is a token', withInput((input) => input.replace('"erc8128"', 'erc8128')), 'no_acceptable_signature'],
    ['a keyid in capitals', withInput((input) => input.replace('0x7e5f', '0x7E5F')), 'invalid_keyid'],
    ['a chain with a leading zero', withInput((input) => input.replace('eip155:1:', 'eip155:01:')), 'invalid_keyid'],
    ['the keyid of January', withInput((input) => input.replace('eip155:1:', 'erc8128:1:')), 'invalid_keyid'],
    ['no keyid', withInput((input) => input.replace(/keyid="[^"]*";/, '')), 'invalid_keyid'],
    ['another chain', withInput((input) => input.replace('eip155:1:', 'eip155:10:')), 'unsupported_chain'],
    ['no created', withInput((input) => input.replace('created=1700000000;', '')), 'invalid_time'],
    ['created as a string', withInput((input) => input.replace('=1700000000', '="1700000000"')), 'invalid_time'],
    ['created as a decimal', withInput((input) => input.replace('=1700000000', '=1700000000.0')), 'invalid_time'],
    [
      'expires that is not after created',
      withInput((input) => input.replace('1700000060', '1700000000')),
      'invalid_time',
    ],
    ['a clock at 1699999969', positive, 'request_not_yet_valid', at(1_699_999_969)],
    ['a clock at 1699999970', positive, 'let in: ops', at(1_699_999_970)],
    ['a clock at 1700000090', positive, 'let in: ops', at(1_700_000_090)],
    ['a clock at 1700000091', positive, 'request_expired', at(1_700_000_091)],
    ['61 seconds', withInput((input) => input.replace('1700000060', '1700000061')), 'request_validity_too_long'],
    [
      'a nonce that is a token',
      withInput((input) => input.replace('"EjRWeJCrze8BI0VniavN7w"', 'EjRWe')),
      'invalid_nonce',
    ],
    [
      'a nonce of 129 characters',
      withInput((input) => input.replace('EjRWeJCrze8BI0VniavN7w', 'x'.repeat(129))),
      'invalid_nonce',
    ],
    ['@query not covered', withInput((input) => input.replace(' "@query"', '')), 'insufficient_coverage'],
    ['content-type not covered', withInput((input) => input.replace(' "content-type"', '')), 'insufficient_coverage'],
    [
      'content-digest not covered',
      withInput((input) => input.replace(' "content-digest"', '')),
      'insufficient_coverage',
    ],
    [
      'a component with a parameter',
      withInput((input) => input.replace('"@query"', '"@query";req')),
      'insufficient_coverage',
    ],
    [
      'a component twice',
      withInput((input) => input.replace('"@query"', '"@query" "@query"')),
      'signature_input_invalid',
    ],
    ['content without Content-Digest', header('content-digest', undefined), 'content_digest_required'],
    ['other content', change(positive, { body: '{"hello":"w0rld"}' }), 'bad_content_digest'],
    ['a digest of another syntax', header('content-digest', DIGEST.slice(1, -1)), 'bad_content_digest'],
    ['a digest of no known kind', header('content-digest', DIGEST.replace('sha-256', 'md5')), 'bad_content_digest'],
    [
      'a second digest that does not match',
      header('content-digest', `${DIGEST}, sha-512=:${'A'.repeat(86)}==:`),
      'bad_content_digest',
    ],
    ['no nonce', withInput((input) => input.replace(/nonce="[^"]*";/, '')), 'nonce_required'],
    ['alg', withInput((input) => `${input};alg="ecdsa-secp256k1"`), 'unsupported_algorithm'],
    ['another query', change(positive, { url: 'https://api.example/items?view=fulL' }), 'bad_signature'],
    ['no query', change(positive, { url: 'https://api.example/items' }), 'bad_signature'],
    ['another path', change(positive, { url: 'https://api.example/item?view=full' }), 'bad_signature'],
    [
      'a path that only normalizes to it',
      change(positive, { url: 'https://api.example/x/../items?view=full' }),
      'bad_signature',
    ],
    ['another authority', change(positive, { url: 'https://api.example:444/items?view=full' }), 'bad_signature'],
    ['another scheme', change(positive, { url: 'http://api.example/items?view=full' }), 'bad_signature'],
    ['another method', change(positive, { method: 'PUT' }), 'bad_signature'],
    ['another content type', header('content-type', 'application/json;a=b'), 'bad_signature'],
    [
      'the authority with its default port',
      change(positive, { url: 'https://API.example:443/items?view=full' }),
      'let in: ops',
    ],
    [
      'a wallet that is nobody',
      positive,
      'principal_not_allowed',
      schemeOf({ wallets: createWallets({ operators: [] }) }),
    ],
    ['August not accepted', positive, 'no_acceptable_signature', schemeOf({ texts: ['january-2026'] })],
  ])('%s', async (_, request, outcome, scheme) => {
    expect(await ask(request, scheme)).toBe(outcome)
  })

  test('the second time is refused', async () => {
    const scheme = schemeOf()
    expect([await ask(positive, scheme), await ask(positive, scheme)]).toEqual(['let in: ops', 'nonce_reused'])
  })

  test('of ten at once, one passes', async () => {
    const scheme = schemeOf()
    const outcomes = await Promise.all(Array.from({ length: 10 }, async () => ask(positive, scheme)))
    expect(outcomes.filter((outcome) => outcome === 'let in: ops')).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome === 'nonce_reused')).toHaveLength(9)
  })

  test('a candidate that fails does not hide a good one, whatever is wrong with it', async () => {
    const failing = INPUT.replace('request', 'first').replace('1700000060', '1700000061')
    const both = { 'signature-input': `${failing}, ${INPUT}`, signature: `first=:AAAA:, ${SIGNATURE}` }
    expect(await ask(change(positive, { headers: both }))).toBe('let in: ops')
    const uncorrelated = { ...both, signature: SIGNATURE }
    expect(await ask(change(positive, { headers: uncorrelated }))).toBe('let in: ops')
    const flag = { 'signature-input': `first;tag="erc8128", ${INPUT}` }
    expect(await ask(change(positive, { headers: flag }))).toBe('let in: ops')
  })

  test('of several failures the first is told, an unavailable one before it', async () => {
    const failing = INPUT.replace('request', 'first').replace('1700000060', '1700000061')
    const headers = { 'signature-input': `${failing}, ${INPUT}`, signature: `first=:AAAA:, ${SIGNATURE}` }
    const request = change(positive, { headers, url: 'https://api.example/' })
    expect(await ask(request)).toBe('request_validity_too_long')
    const accounts = createAccountVerifier({ chains: [{ id: 1, accounts: unreachable }] })
    expect(await ask(request, schemeOf({ accounts }))).toBe('signature_verification_unavailable')
  })

  test('a refused request leaves its nonce unused', async () => {
    const scheme = schemeOf()
    for (const url of ['https://api.example/', 'http://api.example/items?view=full']) {
      expect(await ask(change(positive, { url }), scheme)).toBe('bad_signature')
    }
    expect(await ask(positive, scheme)).toBe('let in: ops')
  })

  test('the order in which components and parameters come is the order that is signed', async () => {
    const components = ['content-type', '@query', '@path', '@method', 'content-digest', '@authority', '@scheme']
    const parameters = `tag="erc8128";x=1.50;nonce="n";y;expires=${CREATED + 60};keyid="eip155:1:${signer.address.toLowerCase()}";created=${CREATED}`
    // A decimal has one text: 1.5.
    const request = await sign({ components, parameters: parameters.replace('1.50', '1.5') })
    expect(await ask(request)).toBe('let in: ops')
    const spaced = request.headers['signature-input']?.replaceAll(';', ';  ').replaceAll('" "', '"   "') ?? ''
    expect(await ask(change(request, { headers: { 'signature-input': spaced } }))).toBe('let in: ops')
    const swapped = request.headers['signature-input']?.replace('"@query" "@path"', '"@path" "@query"')
    expect(await ask(change(request, { headers: { 'signature-input': swapped } }))).toBe('bad_signature')
  })
})

// The January text has no test cases of its own. These are what `@slicekit/erc8128` 0.2.0 makes of the same key, request,
// times and nonce; ECDSA in it is deterministic (RFC 6979).
describe('requests of @slicekit/erc8128 0.2.0, written down', () => {
  const times = 'created=1700000000;expires=1700000060;nonce="EjRWeJCrze8BI0VniavN7w"'
  const keyid = 'keyid="erc8128:1:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"'
  const post = change(positive, {
    headers: {
      'signature-input': `eth=("@authority" "@method" "@path" "@query" "content-digest");${times};${keyid}`,
      signature: 'eth=:E+3eUDvZgdTa4a7DAjs4BUgTSzxvGQWf+c/MP8WKpbU7dpsG6UJa1IN/hrhPYmOXJxljc/OM0T1Hs20g1nFFeBw=:',
    },
  })
  const get: AuthRequest = {
    method: 'GET',
    url: 'https://api.example/',
    headers: {
      'signature-input': `sig1=("@authority" "@method" "@path");${times};${keyid}`,
      signature: 'sig1=:Y312DIwM4bRzk0FQLDDxEYFAng3syCFSoobP7d7/RokHDMMhbUysY7KCOLBXxCwAEAWOfKqgHuau4EUuq0uR5xs=:',
    },
  }

  test('are let in', async () => {
    expect([await ask(post), await ask(get)]).toEqual(['let in: ops', 'let in: ops'])
  })

  test('share their nonces, also with the August text, since the account is the same', async () => {
    const scheme = schemeOf()
    expect([await ask(post, scheme), await ask(get, scheme), await ask(positive, scheme)]).toEqual([
      'let in: ops',
      'nonce_reused',
      'nonce_reused',
    ])
  })

  test('are nobody where only the August text is accepted', async () => {
    expect(await ask(post, schemeOf({ texts: ['august-2026'] }))).toBe('no_acceptable_signature')
  })

  test('address hex has no case in January, but the text that is signed has', async () => {
    const checksummed = await sign({ text: 'january-2026', keyid: `erc8128:1:${signer.address}` })
    expect(await ask(checksummed)).toBe('let in: ops')
    const lower = checksummed.headers['signature-input']?.replace(signer.address, signer.address.toLowerCase())
    expect(await ask(change(checksummed, { headers: { 'signature-input': lower } }))).toBe('bad_signature')
  })
})

const unreachable: AccountReader = {
  hasCode: async () => Promise.reject(new Error('connect ECONNREFUSED')),
  isValidSignature: async () => Promise.reject(new Error('connect ECONNREFUSED')),
  isValidWrapped: async () => Promise.reject(new Error('connect ECONNREFUSED')),
}

describe.each(['january-2026', 'august-2026'] as const)('the text of %s', (text) => {
  const signed = async (draft: Draft = {}): Promise<SignedRequest> => sign({ text, ...draft })

  test.each<[string, Draft]>([
    ['a POST with a query', {}],
    ['a POST without one', { url: 'https://api.example/mcp' }],
    ['a GET', { method: 'GET', body: '', headers: {} }],
    ['a root path', { url: 'https://api.example/' }],
    ['a path with percent signs', { url: 'https://api.example/a%2Fb/%C3%A9?q=%20' }],
    ['any label', { label: 'whatever*1' }],
  ])('lets %s in', async (_, draft) => {
    expect(await ask(await signed(draft))).toBe('let in: ops')
  })

  test.each<[string, Draft, (request: SignedRequest) => SignedRequest, string]>([
    ['a tampered body', {}, (request) => change(request, { body: '{"hello":"w0rld"}' }), 'bad_content_digest'],
    ['another path', {}, (request) => change(request, { url: 'https://api.example/other?view=full' }), 'bad_signature'],
    ['another method', {}, (request) => change(request, { method: 'DELETE' }), 'bad_signature'],
    [
      'a query that was not there',
      { url: 'https://api.example/a' },
      (request) => change(request, { url: 'https://api.example/a?b' }),
      text === 'january-2026' ? 'insufficient_coverage' : 'bad_signature',
    ],
    [
      'a body that was not there',
      { method: 'GET', body: '', headers: {} },
      (request) => change(request, { body: 'x' }),
      'content_digest_required',
    ],
    ['an hour', { expires: CREATED + 3600 }, (request) => request, 'request_validity_too_long'],
    ['one that has expired', { created: CREATED - 300 }, (request) => request, 'request_expired'],
    ['one of the future', { created: CREATED + 300 }, (request) => request, 'request_not_yet_valid'],
    ['one that can be replayed', { nonce: undefined }, (request) => request, 'nonce_required'],
    ['one for a class of requests', { components: ['@authority'] }, (request) => request, 'insufficient_coverage'],
    [
      'one that covers a field that is not there',
      {
        components: [
          '@scheme',
          '@authority',
          '@method',
          '@path',
          '@query',
          'content-digest',
          'content-type',
          'x-absent',
        ],
      },
      (request) => request,
      'bad_signature',
    ],
    [
      'another chain',
      { keyid: text === 'january-2026' ? `erc8128:5:${signer.address}` : `eip155:5:${signer.address.toLowerCase()}` },
      (request) => request,
      'unsupported_chain',
    ],
    ['a wallet that is not known', { account: stranger }, (request) => request, 'principal_not_allowed'],
    [
      "somebody else's keyid",
      { sign: async (base) => stranger.signMessage({ message: { raw: toHex(base) } }) },
      (request) => request,
      'bad_signature',
    ],
  ])('refuses %s', async (_, draft, tamper, reason) => {
    expect(await ask(tamper(await signed(draft)))).toBe(reason)
  })

  const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
  const word = (value: bigint): string => value.toString(16).padStart(64, '0')
  const highS = (hex: Hex): Hex =>
    `0x${hex.slice(2, 66)}${word(N - BigInt(`0x${hex.slice(66, 130)}`))}${hex.endsWith('1b') ? '1c' : '1b'}`
  test.each<[string, (hex: Hex) => Hex]>([
    ['the other s', highS],
    ['v of 0 or 1', (hex) => `${hex.slice(0, -2)}${hex.endsWith('1b') ? '00' : '01'}` as Hex],
    ['an EIP-155 v', (hex) => `${hex.slice(0, -2)}${hex.endsWith('1b') ? '25' : '26'}` as Hex],
    ['64 bytes', (hex) => hex.slice(0, -2) as Hex],
    ['66 bytes', (hex) => `${hex}00`],
    ['no bytes', () => '0x'],
    ['r of 0', (hex) => `0x${word(0n)}${hex.slice(66)}`],
    ['s of 0', (hex) => `${hex.slice(0, 66)}${word(0n)}${hex.slice(130)}` as Hex],
    ['r of n', (hex) => `0x${word(N)}${hex.slice(66)}`],
    ['an r without a point', (hex) => `0x${word(5n)}${hex.slice(66)}`],
  ])('refuses a signature with %s', async (_, tamper) => {
    const request = await signed({
      sign: async (base) => tamper(await signer.signMessage({ message: { raw: toHex(base) } })),
    })
    expect(await ask(request)).toBe('bad_signature')
  })

  test('a 6492 wrapper where no chain can be asked is unsupported, not bad', async () => {
    const wrap = async (base: Uint8Array): Promise<Hex> =>
      serializeErc6492Signature({
        address: signer.address,
        data: '0x',
        signature: await signer.signMessage({ message: { raw: toHex(base) } }),
      })
    const error = await Promise.resolve(schemeOf().authenticate(await signed({ sign: wrap }))).catch(
      (error: unknown) => error,
    )
    expect(error).toMatchObject({
      reason: 'unsupported_account',
      wwwAuthenticate: 'ERC8128 error="unsupported_account", account="eoa-only"',
    })
  })

  test('a chain that does not answer is a 503, and the nonce is still good', async () => {
    const request = await signed()
    const replay = createMemoryReplayStore({ clock: () => CREATED * 1000 })
    const hanging: AccountReader = { ...unreachable, hasCode: async () => new Promise<boolean>(() => {}) }
    for (const accounts of [unreachable, hanging]) {
      const verifier = createAccountVerifier({ chains: [{ id: 1, accounts }], timeoutMs: 30 })
      const error = await Promise.resolve(schemeOf({ accounts: verifier, replay }).authenticate(request)).catch(
        (error: unknown) => error,
      )
      expect(error).toMatchObject({ code: 'AUTH_SIGNATURE_UNVERIFIABLE', wwwAuthenticate: undefined })
    }
    expect(await ask(request, schemeOf({ replay }))).toBe('let in: ops')
  })

  test('any one changed byte of method, path, body, signature or a covered header ≡ refused', async () => {
    const original = await signed()
    const places = fc.constantFrom(
      'method',
      'url',
      'body',
      'signature',
      'signature-input',
      'content-type',
      'content-digest',
    )
    await fc.assert(
      fc.asyncProperty(places, fc.nat(), fc.integer({ min: 0x21, max: 0x7e }), async (place, position, byte) => {
        const text_ =
          place === 'method'
            ? original.method
            : place === 'url'
              ? original.url
              : place === 'body'
                ? original.bytes.toString()
                : (original.headers[place] ?? '')
        const at = position % text_.length
        const character = String.fromCharCode(byte)
        fc.pre(text_.charAt(at) !== character)
        const changed = text_.slice(0, at) + character + text_.slice(at + 1)
        // Names of hosts and schemes have no case; January covers neither the content type nor the scheme; a label is no part of what is signed.
        fc.pre(!(place === 'url' && changed.toLowerCase() === text_.toLowerCase() && at < 'https://api.example'.length))
        fc.pre(!(text === 'january-2026' && (place === 'content-type' || (place === 'url' && at < 5))))
        const request = ['method', 'url', 'body'].includes(place)
          ? change(original, { [place]: changed })
          : change(original, { headers: { [place]: changed } })
        const outcome = await ask(request).catch((error: unknown) =>
          error instanceof TypeError ? 'no URL' : Promise.reject(error as Error),
        )
        // `Signature-Input` may become one that is nobody's: then nobody is let in either.
        expect(outcome).not.toContain('let in')
      }),
      { numRuns: 600 },
    )
  })
})

describe('in front of other schemes', () => {
  const { key, hash } = generateApiKey()
  const keys = createApiKeys({ keys: [{ id: 'k', key: hash, name: 'Key', consumerId: 'bearer', roles: ['admin'] }] })
  const bearer = { authorization: `Bearer ${key}` }
  const through = async (request: AuthRequest): Promise<unknown> => {
    const { authenticate } = createAuthenticator({ schemes: [schemeOf(), keys] })
    try {
      return (await authenticate(request)).id
    } catch (error) {
      return (error as SignatureError).reason
    }
  }

  test('a signature beats a bearer token', async () => {
    expect(await through(change(positive, { headers: bearer }))).toBe('ops')
  })

  test.each<[string, Record<string, string | undefined>, string]>([
    ['a bad signature', { 'content-type': 'text/plain' }, 'bad_signature'],
    ['no Signature', { signature: undefined }, 'signature_missing'],
    ['no Signature-Input', { 'signature-input': undefined }, 'signature_missing'],
    ['an empty Signature-Input', { 'signature-input': '' }, 'signature_missing'],
    ['a broken Signature-Input', { 'signature-input': `${INPUT},,` }, 'signature_input_invalid'],
    ['only the tag', { 'signature-input': 'a=();tag="erc8128"' }, 'signature_input_invalid'],
    [
      'a delegated one',
      { 'signature-input': 'a=();tag="erc8128-delegated"', signature: 'a=:AAAA:' },
      'no_acceptable_signature',
    ],
    [
      'only the keyid of January',
      { 'signature-input': 'a=();keyid="erc8128:1:0x"', signature: 'a=:AAAA:' },
      'invalid_keyid',
    ],
    [
      'only the keyid of August',
      { 'signature-input': 'a=();keyid="eip155:1:0x"', signature: 'a=:AAAA:' },
      'no_acceptable_signature',
    ],
    ['only the label', { 'signature-input': 'eth=()', signature: 'eth=:AAAA:' }, 'invalid_keyid'],
  ])('%s does not fall back to the bearer token', async (_, headers, reason) => {
    expect(await through(change(positive, { headers: { ...headers, ...bearer } }))).toBe(reason)
  })

  test('a signature of another kind is none of its business', async () => {
    const headers = {
      'signature-input': 'sig1=("@authority");keyid="abc";tag="web-bot-auth"',
      signature: 'sig1=:AAAA:',
    }
    expect(await through(change(positive, { headers: { ...headers, ...bearer } }))).toBe('bearer')
    expect(await through({ method: 'GET', url: 'https://api.example/', headers: bearer })).toBe('bearer')
  })
})

describe('what a refusal says', () => {
  test.each<[SignedRequest, string, string | undefined]>([
    [change(positive, { method: 'PUT' }), 'AUTH_SIGNATURE_REFUSED', 'ERC8128 error="bad_signature"'],
    [
      withInput((input) => input.replace('eip155:1:', 'eip155:9:')),
      'AUTH_SIGNATURE_REFUSED',
      'ERC8128 error="unsupported_chain", chains="eip155:1"',
    ],
    [withInput((input) => `${input},`), 'AUTH_SIGNATURE_MALFORMED', undefined],
  ])('%#', async (request, code, wwwAuthenticate) => {
    const error = await (async () => schemeOf().authenticate(request))().catch((error: unknown) => error)
    expect(error).toMatchObject({ code, wwwAuthenticate })
  })
})

describe('createErc8128', () => {
  test('does not take less than the minute that everybody may count on', () => {
    expect(() => schemeOf({ maxValidityMs: 59_999 })).toThrow(RangeError)
    expect(() => schemeOf({ maxValidityMs: Number.NaN })).toThrow(RangeError)
  })

  test('takes five minutes when it is told so', async () => {
    expect(await ask(await sign({ expires: CREATED + 300 }), schemeOf({ maxValidityMs: 300_000 }))).toBe('let in: ops')
  })

  test('asks for the components that are configured', async () => {
    const scheme = schemeOf({ requiredComponents: ['mcp-session-id'] })
    expect(await ask(await sign({ headers: { 'mcp-session-id': 's' } }), scheme)).toBe('insufficient_coverage')
    const components = [
      '@scheme',
      '@authority',
      '@method',
      '@path',
      '@query',
      'content-digest',
      'content-type',
      'mcp-session-id',
    ]
    expect(await ask(await sign({ components, headers: { 'mcp-session-id': 's' } }), scheme)).toBe('let in: ops')
  })

  test('content without a way to read it is a mistake of the server, never empty', async () => {
    const { body: _, ...unread } = await sign()
    await expect(schemeOf().authenticate(unread)).rejects.toThrow(TypeError)
  })

  test('any wallet, as a caller of its own on each chain, when that is configured', async () => {
    const wallets = createWallets({ operators: [OPERATOR], others: { roles: ['guest'], tenantId: 'public' } })
    expect(await schemeOf({ wallets }).authenticate(await sign({ account: stranger }))).toMatchObject({
      id: `eip155:1:${stranger.address.toLowerCase()}`,
      tenantId: 'public',
      roles: ['guest'],
    })
    expect(await ask(await sign(), schemeOf({ wallets }))).toBe('let in: ops')
  })

  test('an operator only on his chains', async () => {
    const wallets = createWallets({ operators: [{ ...OPERATOR, chainIds: [10] }] })
    const accounts = createAccountVerifier({ chains: [{ id: 1 }, { id: 10 }] })
    expect(await ask(await sign(), schemeOf({ wallets, accounts }))).toBe('principal_not_allowed')
    const keyid = `eip155:10:${signer.address.toLowerCase()}`
    expect(await ask(await sign({ keyid }), schemeOf({ wallets, accounts }))).toBe('let in: ops')
  })
})

test('what too little covers, a refusal proposes, and that is let in', async () => {
  const scheme = schemeOf({ requiredComponents: ['mcp-session-id'] })
  const headers = { 'mcp-session-id': 's' }
  const error = await Promise.resolve(scheme.authenticate(await sign({ headers }))).catch((error: unknown) => error)
  const { reason, acceptSignature = '' } = error as SignatureError
  expect([reason, acceptSignature]).toEqual([
    'insufficient_coverage',
    'request=("@scheme" "@authority" "@method" "@path" "@query" "content-digest" "content-type" "mcp-session-id");created;expires;tag="erc8128"',
  ])
  const components = [...acceptSignature.matchAll(/"([^"]+)"(?=[ )])/g)].map(([, name = '']) => name)
  expect(await ask(await sign({ headers, components }), scheme)).toBe('let in: ops')
})

test('describes itself for /.well-known/erc8128', () => {
  const accounts = createAccountVerifier({ chains: [{ id: 1, accounts: unreachable }, { id: 8453 }] })
  expect(describeErc8128({ accounts, maxValidityMs: 300_000, requiredComponents: ['mcp-session-id'] })).toEqual({
    max_validity_sec: 300,
    chains: ['eip155:1', 'eip155:8453'],
    account_verification: 'eoa-only',
    route_policies: { default: { replay: 'non-replayable', required_components: ['mcp-session-id'] } },
  })
})
