import {
  AuthError,
  createAccountVerifier,
  createHttpRpc,
  createRpcAccountReader,
  createWalletLogin,
  createWallets,
  formatLoginMessage,
  parseLoginMessage,
  type LoginMessage,
  type WalletLogin,
  type WalletLoginOptions,
} from '@mcp-gateway/auth'
import { createMemoryReplayStore } from '@mcp-gateway/auth/stores/memory'
import fc from 'fast-check'
import { serializeErc6492Signature } from 'viem'
import { createSiweMessage, parseSiweMessage } from 'viem/siwe'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestClient, http, type Hex } from 'viem'
import { foundry } from 'viem/chains'
import { startAnvil, type Anvil } from './support/anvil.ts'
import { signer, stranger } from './support/sign.ts'
import { walletRuntime } from './support/wallet-contract.ts'

const NOW = 1_700_000_000_000
const SECRET = new Uint8Array(32).fill(7)

function loginOf(options: Partial<WalletLoginOptions> = {}): WalletLogin {
  const clock = options.clock ?? (() => NOW)
  return createWalletLogin({
    wallets: createWallets({
      operators: [{ address: signer.address, consumerId: 'ops', name: 'Ops', roles: ['operator'] }],
    }),
    accounts: createAccountVerifier({ chains: [{ id: 1 }, { id: 8453 }] }),
    replay: createMemoryReplayStore({ clock }),
    secret: SECRET,
    domain: 'gateway.example',
    uri: 'https://gateway.example/mcp',
    clock,
    ...options,
  })
}

const codeOf = async (answer: Promise<unknown>): Promise<unknown> =>
  answer.then(
    () => 'let in',
    (error: unknown) => (error instanceof AuthError ? error.code : Promise.reject(error as Error)),
  )

describe('a wallet login', () => {
  const wish = { address: signer.address, chainId: 1 }

  test('the message is what EIP-4361 and other libraries expect', () => {
    const random = (size: number): Uint8Array => new Uint8Array(size).fill(0xab)
    const { message, nonce, expiresAt } = loginOf({ random }).challenge(wish)
    expect(expiresAt).toBe(NOW + 300_000)
    const fields = {
      address: signer.address,
      chainId: 1,
      domain: 'gateway.example',
      expirationTime: new Date(expiresAt),
      issuedAt: new Date(NOW),
      nonce,
      statement: 'Sign in to MCP Gateway.',
      uri: 'https://gateway.example/mcp',
      version: '1',
    } as const
    expect(message).toBe(createSiweMessage(fields))
    expect(parseSiweMessage(message)).toEqual(fields)
  })

  test('who signs it is let in, as the caller that a signed request would be', async () => {
    const login = loginOf()
    const { message } = login.challenge(wish)
    const caller = await login.verify({ message, signature: await signer.signMessage({ message }) })
    expect(caller).toEqual({
      id: 'ops',
      name: 'Ops',
      keyId: `eip155:1:${signer.address.toLowerCase()}`,
      tenantId: 'default',
      roles: ['operator'],
      attributes: { wallet: signer.address.toLowerCase(), chainId: 1, account: 'key' },
      scheme: 'session',
    })
  })

  test('a challenge is answered once, on whichever replica', async () => {
    const replay = createMemoryReplayStore({ clock: () => NOW })
    const [one, other] = [loginOf({ replay }), loginOf({ replay })]
    const { message } = one.challenge(wish)
    const signature = await signer.signMessage({ message })
    expect(await codeOf(other.verify({ message, signature }))).toBe('let in')
    expect(await codeOf(one.verify({ message, signature }))).toBe('AUTH_WALLET_LOGIN_REFUSED')
  })

  test('of ten at once, one passes', async () => {
    const login = loginOf()
    const { message } = login.challenge(wish)
    const signature = await signer.signMessage({ message })
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, async () => codeOf(login.verify({ message, signature }))),
    )
    expect(outcomes.filter((outcome) => outcome === 'let in')).toHaveLength(1)
  })

  test('a wrong signature does not use the challenge up', async () => {
    const login = loginOf()
    const { message } = login.challenge(wish)
    const wrong = await stranger.signMessage({ message })
    expect(await codeOf(login.verify({ message, signature: wrong }))).toBe('AUTH_WALLET_LOGIN_REFUSED')
    expect(await codeOf(login.verify({ message, signature: await signer.signMessage({ message }) }))).toBe('let in')
  })

  test.each<[string, (message: string) => string, string]>([
    [
      'another domain',
      (text) => text.replace('gateway.example wants', 'evil.example wants'),
      'AUTH_WALLET_LOGIN_REFUSED',
    ],
    ['another URI', (text) => text.replace('/mcp', '/admin'), 'AUTH_WALLET_LOGIN_REFUSED'],
    ['another statement', (text) => text.replace('Sign in to', 'Give away'), 'AUTH_WALLET_LOGIN_REFUSED'],
    ['another served chain', (text) => text.replace('Chain ID: 1', 'Chain ID: 8453'), 'AUTH_WALLET_LOGIN_REFUSED'],
    [
      "a nonce of one's own",
      (text) => text.replace(/Nonce: .*/, `Nonce: ${'0'.repeat(64)}`),
      'AUTH_WALLET_LOGIN_REFUSED',
    ],
    ['a short nonce', (text) => text.replace(/Nonce: .*/, 'Nonce: 12345678'), 'AUTH_WALLET_LOGIN_REFUSED'],
    [
      'a later end',
      (text) => text.replace(/Expiration Time: 2023/, 'Expiration Time: 2033'),
      'AUTH_WALLET_LOGIN_REFUSED',
    ],
    ['no end', (text) => text.replace(/\nExpiration Time: .*/, ''), 'AUTH_WALLET_MESSAGE_MALFORMED'],
    ['another version', (text) => text.replace('Version: 1', 'Version: 2'), 'AUTH_WALLET_MESSAGE_MALFORMED'],
    ['one more field', (text) => `${text}\nRequest ID: 1`, 'AUTH_WALLET_MESSAGE_MALFORMED'],
    ['a line break at the end', (text) => `${text}\n`, 'AUTH_WALLET_MESSAGE_MALFORMED'],
    ['other line ends', (text) => text.replaceAll('\n', '\r\n'), 'AUTH_WALLET_MESSAGE_MALFORMED'],
    [
      'an address in lower case',
      (text) => text.replace(signer.address, signer.address.toLowerCase()),
      'AUTH_WALLET_MESSAGE_MALFORMED',
    ],
    ['another text altogether', () => 'hello', 'AUTH_WALLET_MESSAGE_MALFORMED'],
  ])('refuses %s, though it is signed', async (_, change, code) => {
    const login = loginOf()
    const message = change(login.challenge(wish).message)
    expect(await codeOf(login.verify({ message, signature: await signer.signMessage({ message }) }))).toBe(code)
  })

  test("refuses another gateway's challenge", async () => {
    const { message } = loginOf({ secret: new Uint8Array(32).fill(8) }).challenge(wish)
    const signature = await signer.signMessage({ message })
    expect(await codeOf(loginOf().verify({ message, signature }))).toBe('AUTH_WALLET_LOGIN_REFUSED')
  })

  test('refuses a challenge after five minutes, and not before', async () => {
    let now = NOW
    const login = loginOf({ clock: () => now })
    const { message } = login.challenge(wish)
    const signature = await signer.signMessage({ message })
    now = NOW + 300_001
    expect(await codeOf(login.verify({ message, signature }))).toBe('AUTH_WALLET_LOGIN_REFUSED')
    now = NOW + 300_000
    expect(await codeOf(login.verify({ message, signature }))).toBe('let in')
  })

  test.each(['', '0x', '0xzz', '0x123', `0x${'00'.repeat(8193)}`, 'a'.repeat(130)])(
    'refuses a signature that is none: case %#',
    async (signature) => {
      const login = loginOf()
      const { message } = login.challenge(wish)
      expect(await codeOf(login.verify({ message, signature }))).toBe('AUTH_WALLET_MESSAGE_MALFORMED')
    },
  )

  test('refuses wallets that are not let in, and contracts where no chain can be asked', async () => {
    const login = loginOf()
    const { message } = login.challenge({ ...wish, address: stranger.address })
    expect(await codeOf(login.verify({ message, signature: await stranger.signMessage({ message }) }))).toBe(
      'AUTH_WALLET_LOGIN_REFUSED',
    )
    const own = login.challenge(wish).message
    const signature = serializeErc6492Signature({
      address: signer.address,
      data: '0x',
      signature: await signer.signMessage({ message: own }),
    })
    expect(await codeOf(login.verify({ message: own, signature }))).toBe('AUTH_WALLET_LOGIN_REFUSED')
  })

  test('gives no challenge for chains that are not served, or for what is no address', () => {
    expect(() => loginOf().challenge({ ...wish, chainId: 5 })).toThrow(
      expect.objectContaining({ code: 'AUTH_WALLET_LOGIN_REFUSED' }),
    )
    expect(() => loginOf().challenge({ ...wish, address: '0x1' })).toThrow(
      expect.objectContaining({ code: 'AUTH_WALLET_MESSAGE_MALFORMED' }),
    )
  })

  test('is not made with a short secret, or texts that would break the message', () => {
    expect(() => loginOf({ secret: new Uint8Array(31) })).toThrow(TypeError)
    expect(() => loginOf({ statement: 'one\ntwo' })).toThrow(TypeError)
    expect(() => loginOf({ domain: 'a b' })).toThrow(TypeError)
    expect(() => loginOf({ uri: '' })).toThrow(TypeError)
  })
})

describe('a contract signs in', () => {
  let anvil: Anvil | string = 'not started'
  beforeAll(async () => {
    anvil = await startAnvil(foundry.id)
  })
  afterAll(async () => {
    if (typeof anvil !== 'string') await anvil[Symbol.asyncDispose]()
  })

  test('through ERC-1271, and a dead RPC server is a 503 that leaves the challenge open', async (context) => {
    if (typeof anvil === 'string') {
      context.skip(anvil)
      return
    }
    const address: Hex = `0x${'c0'.repeat(20)}`
    const client = createTestClient({ chain: foundry, mode: 'anvil', transport: http(anvil.url, { retryCount: 0 }) })
    await client.setCode({ address, bytecode: walletRuntime(stranger.address) })
    const replay = createMemoryReplayStore({ clock: () => NOW })
    const wallets = createWallets({ operators: [], others: { roles: ['guest'] } })
    const [login, broken] = [anvil.url, 'http://127.0.0.1:1'].map((url) =>
      loginOf({
        wallets,
        replay,
        accounts: createAccountVerifier({
          chains: [
            {
              id: foundry.id,
              accounts: createRpcAccountReader({ request: createHttpRpc({ url }), chainId: foundry.id }),
            },
          ],
        }),
      }),
    )
    const { message } = login!.challenge({ address, chainId: foundry.id })
    const signature = await stranger.signMessage({ message })
    expect(await codeOf(broken!.verify({ message, signature }))).toBe('AUTH_SIGNATURE_UNVERIFIABLE')
    expect(await login!.verify({ message, signature })).toMatchObject({
      id: `eip155:${foundry.id}:${address}`,
      attributes: { account: 'contract' },
    })
  })
})

const message: fc.Arbitrary<LoginMessage> = fc.record({
  domain: fc.domain(),
  address: fc.stringMatching(/^0x[0-9a-f]{40}$/).map((text) => text as Hex),
  statement: fc.stringMatching(/^[\x20-\x7e]{1,100}$/),
  uri: fc.webUrl(),
  chainId: fc.integer({ min: 1, max: 2 ** 31 }),
  nonce: fc.stringMatching(/^[A-Za-z0-9]{8,64}$/),
  issuedAt: fc.integer({ min: 0, max: 4e12 }),
  expiresAt: fc.integer({ min: 0, max: 4e12 }),
})

test('parse(format(message)) ≡ message', () => {
  fc.assert(
    fc.property(message, (one) => {
      expect(parseLoginMessage(formatLoginMessage(one))).toEqual(one)
    }),
  )
})

test('any one changed character of message or signature ≡ refused', async () => {
  const login = loginOf()
  const { message } = login.challenge({ address: signer.address, chainId: 1 })
  const answer = { message, signature: await signer.signMessage({ message }) }
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('message', 'signature'),
      fc.nat(),
      fc.integer({ min: 0x20, max: 0x7e }),
      async (field, position, byte) => {
        const text = answer[field]
        const at = position % text.length
        const changed = text.slice(0, at) + String.fromCharCode(byte) + text.slice(at + 1)
        // Hex has no case.
        fc.pre(field === 'signature' ? changed.toLowerCase() !== text.toLowerCase() : changed !== text)
        expect(await codeOf(login.verify({ ...answer, [field]: changed }))).toMatch(/^AUTH_WALLET_/)
      },
    ),
    { numRuns: 400 },
  )
  expect(await codeOf(login.verify(answer))).toBe('let in')
})
