/**
 * Wallet tokens: `mcpwt_` and 256 random bits in base64url, for clients that can sign in once but not sign each request.
 * Long-lived, so they are named, listed and revoked one by one. Stored as a plain SHA-256: with this much entropy there is
 * nothing for a slow hash to slow down.
 */
import { hash, randomBytes, randomUUID } from 'node:crypto'
import type { Caller } from '../caller.ts'
import { readCredentials } from '../credentials.ts'
import { withDeadline } from '../deadline.ts'
import { AuthError } from '../errors.ts'
import type { Wallet } from '../ethereum/account-id.ts'
import type { Scheme } from '../scheme.ts'
import { readWalletAttributes, type WalletAttributes, type Wallets } from './directory.ts'
import type { WalletTokenRecord, WalletTokenStore } from './token-store.ts'

export type WalletTokensOptions = {
  readonly store: WalletTokenStore
  /** Asked on every request: who is taken out of it is out at once, with all tokens. */
  readonly wallets: Wallets
  /** @default 365 days */
  readonly maxLifetimeMs?: number
  /** Good ones of one account. @default 20 */
  readonly maxTokensPerWallet?: number
  /** `lastUsedAt` is not written more often than this. @default 60_000 */
  readonly touchEveryMs?: number
  /** How long the store may take. @default 2000 */
  readonly timeoutMs?: number
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
  readonly random?: (size: number) => Uint8Array
}

/** A record without what its token could be found by. */
export type WalletToken = Omit<WalletTokenRecord, 'hash'>

export type WalletTokens = {
  /** `mcpwt_…` in `Authorization: Bearer` or `X-API-Key`. */
  readonly scheme: Scheme
  /**
   * Show `token` once; it cannot be had again.
   * @throws AuthError AUTH_SIGNATURE_REQUIRED when the caller has not signed in with a wallet: a stolen token must not make
   * itself successors. AUTH_WALLET_TOKENS_TOO_MANY, AUTH_WALLET_TOKEN_STORE_UNAVAILABLE
   * @throws RangeError for a lifetime or a name out of bounds
   */
  readonly create: (
    caller: Caller,
    wish: { readonly name: string; readonly lifetimeMs: number },
  ) => Promise<{ readonly token: string; readonly record: WalletToken }>
  readonly list: (caller: Caller) => Promise<readonly WalletToken[]>
  /** False when this caller's wallet has no such token, or it was revoked before. */
  readonly revoke: (caller: Caller, id: string) => Promise<boolean>
}

const TOKEN_BYTES = 32
const TOKEN = /^mcpwt_[A-Za-z0-9_-]{43}$/
const MAX_NAME_CHARS = 100
const DAY_MS = 86_400_000

export function createWalletTokens(options: WalletTokensOptions): WalletTokens {
  const { store, clock = Date.now, random = randomBytes, timeoutMs = 2000 } = options
  const { maxLifetimeMs = 365 * DAY_MS, maxTokensPerWallet = 20 } = options
  const ask = async <T>(question: () => T | Promise<T>): Promise<T> => askStore(question, timeoutMs)
  return {
    scheme: createScheme(options, ask),
    async create(caller, { name, lifetimeMs }) {
      const owner = signedIn(caller)
      if (!(lifetimeMs > 0 && lifetimeMs <= maxLifetimeMs)) {
        throw new RangeError(`a token lives for more than 0 and at most ${maxLifetimeMs} ms`)
      }
      if (name === '' || name.length > MAX_NAME_CHARS)
        throw new RangeError(`a name has 1 to ${MAX_NAME_CHARS} characters`)
      const bytes = random(TOKEN_BYTES)
      if (bytes.length !== TOKEN_BYTES) throw new RangeError(`random(${TOKEN_BYTES}) returned ${bytes.length} bytes`)
      const token = `mcpwt_${Buffer.from(bytes).toString('base64url')}`
      const createdAt = clock()
      const record: WalletTokenRecord = {
        id: randomUUID(),
        hash: hash('sha256', token, 'hex'),
        wallet: walletOf(owner),
        isContract: owner.account === 'contract',
        name,
        createdAt,
        expiresAt: createdAt + Math.floor(lifetimeMs),
      }
      if (!(await ask(() => store.insert(record, maxTokensPerWallet)))) {
        const message = `this wallet has ${maxTokensPerWallet} tokens; revoke one of them first`
        throw new AuthError('AUTH_WALLET_TOKENS_TOO_MANY', message)
      }
      return { token, record: withoutHash(record) }
    },
    async list(caller) {
      const wallet = walletOf(signedIn(caller))
      return (await ask(() => store.list(wallet))).map(withoutHash)
    },
    async revoke(caller, id) {
      const wallet = walletOf(signedIn(caller))
      return ask(() => store.revoke(wallet, id, clock()))
    },
  }
}

type Ask = <T>(question: () => T | Promise<T>) => Promise<T>

function createScheme(
  { store, wallets, clock = Date.now, touchEveryMs = 60_000 }: WalletTokensOptions,
  ask: Ask,
): Scheme {
  const check = async (token: string): Promise<Caller> => {
    const digest = hash('sha256', token, 'hex')
    const record = await ask(() => store.find(digest))
    if (record === undefined) throw new AuthError('AUTH_WALLET_TOKEN_UNKNOWN', 'this wallet token is not known here')
    // These are told only to somebody who holds the token.
    if (record.revokedAt !== undefined) throw new AuthError('AUTH_WALLET_TOKEN_REVOKED', 'this wallet token is revoked')
    const now = clock()
    if (!(now < record.expiresAt)) throw new AuthError('AUTH_WALLET_TOKEN_EXPIRED', 'this wallet token has expired')
    const credential = { scheme: 'wallet-token', keyId: record.id, expiresAt: record.expiresAt } as const
    const caller = wallets.identify(record.wallet, record.isContract, credential)
    if (caller === undefined) throw new AuthError('AUTH_WALLET_TOKEN_UNKNOWN', 'its wallet is not let in any more')
    if (now - (record.lastUsedAt ?? -Infinity) >= touchEveryMs) {
      // Bookkeeping: nobody is turned away because it fails, and nobody waits for it.
      void ask(() => store.touch(digest, now)).catch(() => {})
    }
    return caller
  }
  return {
    name: 'wallet-token',
    /** @throws AuthError AUTH_WALLET_TOKEN_UNKNOWN, _REVOKED, _EXPIRED, AUTH_WALLET_TOKEN_STORE_UNAVAILABLE */
    authenticate({ headers }) {
      const credentials = readCredentials(headers)
      if (credentials.scheme === 'none' || !credentials.key.startsWith('mcpwt_')) return undefined
      if (!TOKEN.test(credentials.key))
        throw new AuthError('AUTH_WALLET_TOKEN_UNKNOWN', 'no wallet token looks like this')
      return check(credentials.key)
    },
  }
}

async function askStore<T>(question: () => T | Promise<T>, timeoutMs: number): Promise<T> {
  try {
    return await withDeadline(
      Promise.resolve(question()),
      timeoutMs,
      () => new Error(`no answer within ${timeoutMs} ms`),
    )
  } catch (cause) {
    throw new AuthError('AUTH_WALLET_TOKEN_STORE_UNAVAILABLE', 'wallet tokens cannot be looked up now; try again', {
      cause,
    })
  }
}

function signedIn(caller: Caller): WalletAttributes {
  const attributes =
    caller.scheme === 'session' || caller.scheme === 'erc8128' ? readWalletAttributes(caller) : undefined
  if (attributes !== undefined) return attributes
  throw new AuthError('AUTH_SIGNATURE_REQUIRED', 'sign in with a wallet, or sign the request, to manage its tokens')
}

function walletOf({ wallet, chainId }: WalletAttributes): Wallet {
  return { address: wallet, chainId }
}

function withoutHash(record: WalletTokenRecord): WalletToken {
  const { id, wallet, isContract, name, createdAt, expiresAt, lastUsedAt, revokedAt } = record
  return { id, wallet, isContract, name, createdAt, expiresAt, lastUsedAt, revokedAt }
}
