import { DatabaseSync } from 'node:sqlite'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  AuthError,
  createAuthenticator,
  createWallets,
  createWalletTokens,
  enforceOperatorSignatures,
  type Caller,
  type Scheme,
  type WalletTokens,
  type WalletTokensOptions,
  type WalletTokenStore,
} from '@mcp-gateway/auth'
import { createMemoryWalletTokenStore } from '@mcp-gateway/auth/stores/memory'
import { createPostgresWalletTokenStore, migratePostgresWalletTokens } from '@mcp-gateway/auth/stores/postgres'
import { createSqliteWalletTokenStore } from '@mcp-gateway/auth/stores/sqlite'
import { walletTokenStoreCases } from '@mcp-gateway/auth/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostgres, type Server } from '../../audit-chain/test/support/postgres.ts'
import { signer, stranger } from './support/sign.ts'

describe('in memory', () => {
  for (const { title, run } of walletTokenStoreCases) {
    test(title, async () => {
      const store = createMemoryWalletTokenStore()
      await run(() => store)
    })
  }
})

test('a full store in memory refuses new tokens and forgets none', async () => {
  const store = createMemoryWalletTokenStore({ maxTokens: 1 })
  const tokens = make({ store })
  const { token } = await tokens.create(signedIn(), { name: 'first', lifetimeMs: 1000 })
  const second = tokens.create(signedIn(signer.address), { name: 'second', lifetimeMs: 1000 })
  await expect(second).rejects.toMatchObject({ code: 'AUTH_WALLET_TOKEN_STORE_UNAVAILABLE' })
  expect(await use(tokens.scheme, token)).toMatchObject({ scheme: 'wallet-token' })
})

describe('in SQLite', () => {
  const directory = mkdtempSync(join(tmpdir(), 'auth-tokens-'))
  const handles: DatabaseSync[] = []
  afterAll(() => {
    for (const handle of handles) handle.close()
    rmSync(directory, { recursive: true })
  })
  const open = (): WalletTokenStore => {
    const database = new DatabaseSync(join(directory, 'tokens.db'), { timeout: 2000 })
    handles.push(database)
    return createSqliteWalletTokenStore({ database })
  }
  for (const { title, run } of walletTokenStoreCases) test(title, async () => run(open))
})

describe('in PostgreSQL', () => {
  let server: Server | string = 'not started'
  let url = ''
  beforeAll(async () => {
    server = await startPostgres()
    if (typeof server === 'string') return
    url = await server.createDatabase('tokens')
    await migratePostgresWalletTokens(server.connect(url))
  })
  afterAll(async () => {
    if (typeof server !== 'string') await server[Symbol.asyncDispose]()
  })
  for (const { title, run } of walletTokenStoreCases) {
    test(title, async (context) => {
      const running = server
      if (typeof running === 'string') {
        context.skip(running)
        return
      }
      await run(() => createPostgresWalletTokenStore({ sql: running.connect(url) }))
    })
  }
})

const DAY_MS = 86_400_000
const OPERATOR = { address: signer.address, consumerId: 'ops', name: 'Ops', roles: ['operator'] }
const open = createWallets({ operators: [OPERATOR], others: { roles: ['guest'] } })

function signedIn(address: string = stranger.address, wallets = open): Caller {
  const wallet = { address: address.toLowerCase() as `0x${string}`, chainId: 1 }
  const caller = wallets.identify(wallet, false, { scheme: 'session', keyId: 'jti', expiresAt: undefined })
  if (caller === undefined) throw new TypeError('not let in')
  return caller
}

const make = (options: Partial<WalletTokensOptions> = {}): WalletTokens =>
  createWalletTokens({ store: createMemoryWalletTokenStore(), wallets: open, ...options })

const use = async (scheme: Scheme, token: string): Promise<unknown> => {
  const { authenticate } = createAuthenticator({ schemes: [scheme] })
  try {
    return await authenticate({
      method: 'POST',
      url: 'http://gateway.test/mcp',
      headers: { authorization: `Bearer ${token}` },
    })
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    expect(error.message).not.toContain(token)
    return error.code
  }
}

describe('wallet tokens', () => {
  const wish = { name: 'Laptop', lifetimeMs: 90 * DAY_MS }

  test('a token makes the caller that its wallet is', async () => {
    const tokens = make({ clock: () => 1000 })
    const { token, record } = await tokens.create(signedIn(), wish)
    expect(token).toMatch(/^mcpwt_[A-Za-z0-9_-]{43}$/)
    const account = `eip155:1:${stranger.address.toLowerCase()}`
    expect(await use(tokens.scheme, token)).toEqual({
      id: account,
      name: stranger.address.toLowerCase(),
      keyId: record.id,
      tenantId: 'default',
      roles: ['guest'],
      attributes: { wallet: stranger.address.toLowerCase(), chainId: 1, account: 'key' },
      expiresAt: 1000 + 90 * DAY_MS,
      scheme: 'wallet-token',
    })
  })

  test('nothing that is stored or listed is a token', async () => {
    const store = createMemoryWalletTokenStore()
    const tokens = make({ store })
    const { token, record } = await tokens.create(signedIn(), wish)
    const [stored] = await store.list(record.wallet)
    expect(JSON.stringify([stored, record, await tokens.list(signedIn())])).not.toContain(token.slice(6))
    expect(await use(tokens.scheme, `mcpwt_${stored?.hash.slice(0, 43)}`)).toBe('AUTH_WALLET_TOKEN_UNKNOWN')
    expect(Object.keys((await tokens.list(signedIn()))[0] ?? {})).not.toContain('hash')
  })

  test('a revoked token is refused from then on, and others are not', async () => {
    const tokens = make()
    const [first, second] = [await tokens.create(signedIn(), wish), await tokens.create(signedIn(), wish)]
    expect(await tokens.revoke(signedIn(signer.address), first.record.id)).toBe(false)
    expect(await tokens.revoke(signedIn(), first.record.id)).toBe(true)
    expect(await tokens.revoke(signedIn(), first.record.id)).toBe(false)
    expect(await use(tokens.scheme, first.token)).toBe('AUTH_WALLET_TOKEN_REVOKED')
    expect(await use(tokens.scheme, second.token)).toMatchObject({ keyId: second.record.id })
  })

  test('a token ends when it ends', async () => {
    let now = 0
    const tokens = make({ clock: () => now })
    const { token } = await tokens.create(signedIn(), { name: 'x', lifetimeMs: 1000 })
    now = 999
    expect(await use(tokens.scheme, token)).toMatchObject({ expiresAt: 1000 })
    now = 1000
    expect(await use(tokens.scheme, token)).toBe('AUTH_WALLET_TOKEN_EXPIRED')
  })

  test('a wallet that is taken out of the configuration is out with its tokens', async () => {
    const store = createMemoryWalletTokenStore()
    const { token } = await make({ store }).create(signedIn(), wish)
    const closed = make({ store, wallets: createWallets({ operators: [OPERATOR] }) })
    expect(await use(closed.scheme, token)).toBe('AUTH_WALLET_TOKEN_UNKNOWN')
  })

  test.each(['mcpwt_', `mcpwt_${'A'.repeat(43)}`, `mcpwt_${'A'.repeat(42)}`, `mcpwt_${'A'.repeat(44)}`, 'mcpwt_.'])(
    '%s is nobody',
    async (token) => expect(await use(make().scheme, token)).toBe('AUTH_WALLET_TOKEN_UNKNOWN'),
  )

  test('other keys are none of its business', () => {
    const headers = { authorization: 'Bearer gw_abc' }
    expect(make().scheme.authenticate({ method: 'GET', url: 'http://x/', headers })).toBe(undefined)
    expect(make().scheme.authenticate({ method: 'GET', url: 'http://x/', headers: {} })).toBe(undefined)
  })

  test('a token cannot make, list or revoke tokens', async () => {
    const tokens = make()
    const { token, record } = await tokens.create(signedIn(), wish)
    const caller = (await use(tokens.scheme, token)) as Caller
    const refused = { code: 'AUTH_SIGNATURE_REQUIRED' }
    await expect(tokens.create(caller, wish)).rejects.toMatchObject(refused)
    await expect(tokens.list(caller)).rejects.toMatchObject(refused)
    await expect(tokens.revoke(caller, record.id)).rejects.toMatchObject(refused)
    const keyed: Caller = { ...caller, scheme: 'session', attributes: {} }
    await expect(tokens.create(keyed, wish)).rejects.toMatchObject(refused)
  })

  test('a wallet has at most maxTokensPerWallet good ones', async () => {
    const tokens = make({ maxTokensPerWallet: 2 })
    const all = await Promise.allSettled(Array.from({ length: 5 }, async () => tokens.create(signedIn(), wish)))
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
    await expect(tokens.create(signedIn(), wish)).rejects.toMatchObject({ code: 'AUTH_WALLET_TOKENS_TOO_MANY' })
    await tokens.revoke(signedIn(), (await tokens.list(signedIn()))[0]?.id ?? '')
    await tokens.create(signedIn(), wish)
  })

  test.each([0, -1, Number.NaN, Infinity, 366 * DAY_MS])('a lifetime of %d is refused', async (lifetimeMs) => {
    await expect(make().create(signedIn(), { name: 'x', lifetimeMs })).rejects.toThrow(RangeError)
  })

  test('the last use is remembered, at most once a minute', async () => {
    let now = 0
    const tokens = make({ clock: () => now })
    const { token } = await tokens.create(signedIn(), wish)
    const lastUse = async (): Promise<unknown> => (await tokens.list(signedIn()))[0]?.lastUsedAt
    for (const [at, used] of [
      [1000, 1000],
      [50_000, 1000],
      [61_000, 61_000],
    ] as const) {
      now = at
      await use(tokens.scheme, token)
      expect(await lastUse()).toBe(used)
    }
  })

  test('a store that fails or hangs is a 503; one that only cannot write the last use is not', async () => {
    const store = createMemoryWalletTokenStore()
    const { token } = await make({ store }).create(signedIn(), wish)
    const gone = async (): Promise<never> => Promise.reject(new Error('gone'))
    expect(await use(make({ store: { ...store, touch: gone } }).scheme, token)).toMatchObject({
      scheme: 'wallet-token',
    })
    expect(await use(make({ store: { ...store, find: gone } }).scheme, token)).toBe(
      'AUTH_WALLET_TOKEN_STORE_UNAVAILABLE',
    )
    const hang = async (): Promise<never> => new Promise(() => {})
    expect(await use(make({ store: { ...store, find: hang }, timeoutMs: 20 }).scheme, token)).toBe(
      'AUTH_WALLET_TOKEN_STORE_UNAVAILABLE',
    )
  })
})

describe('enforceOperatorSignatures', () => {
  test("turns operators' tokens away, and nobody else's", async () => {
    const tokens = make()
    const scheme = enforceOperatorSignatures({ scheme: tokens.scheme, wallets: open })
    const wish = { name: 'x', lifetimeMs: DAY_MS }
    const [operator, guest] = [
      await tokens.create(signedIn(signer.address), wish),
      await tokens.create(signedIn(), wish),
    ]
    expect(await use(scheme, operator.token)).toBe('AUTH_SIGNATURE_REQUIRED')
    expect(await use(scheme, guest.token)).toMatchObject({ scheme: 'wallet-token' })
    expect(await use(tokens.scheme, operator.token)).toMatchObject({ id: 'ops' })
    expect(await use(scheme, 'gw_other')).toBe('AUTH_KEY_UNKNOWN')
  })

  test('also of schemes that answer at once', () => {
    const session = (caller: Caller): Scheme => ({ name: 'session', authenticate: () => caller })
    const request = { method: 'GET', url: 'http://x/', headers: {} }
    const wrap = (caller: Caller) =>
      enforceOperatorSignatures({ scheme: session(caller), wallets: open }).authenticate(request)
    expect(() => wrap(signedIn(signer.address))).toThrow(expect.objectContaining({ code: 'AUTH_SIGNATURE_REQUIRED' }))
    expect(wrap(signedIn())).toMatchObject({ scheme: 'session' })
  })
})
