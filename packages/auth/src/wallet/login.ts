/**
 * Signing in with a wallet: a challenge (`GET /api/auth/challenge`), and its signature (`POST /api/auth/verify`).
 *
 * Nothing is stored for a challenge, or anybody could fill that store: its nonce is half random, half a MAC over the whole
 * message, by which the gateway knows what it has said. What is stored is that a challenge was answered.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Caller } from '../caller.ts'
import { AuthError } from '../errors.ts'
import { formatAccountId, toAddress } from '../ethereum/account-id.ts'
import type { AccountVerifier } from '../ethereum/account-verifier.ts'
import { hashMessage } from '../ethereum/recover.ts'
import { consumeOnce, replayKey, type ReplayStore } from '../replay-store.ts'
import type { Wallets } from './directory.ts'
import { formatLoginMessage, parseLoginMessage, type LoginMessage } from './message.ts'

export type WalletLoginOptions = {
  readonly wallets: Wallets
  readonly accounts: AccountVerifier
  readonly replay: ReplayStore
  /** The same on all replicas, at least 32 random bytes. */
  readonly secret: Uint8Array
  /** What the wallet's owner sees in the address bar, e.g. `gateway.example` or `localhost:8080`. */
  readonly domain: string
  /** What one signs in to, e.g. `https://gateway.example/mcp`. */
  readonly uri: string
  /** One line of printable ASCII. @default 'Sign in to MCP Gateway.' */
  readonly statement?: string
  /** @default 300_000 */
  readonly challengeMs?: number
  /** @default 2000 */
  readonly replayTimeoutMs?: number
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
  readonly random?: (size: number) => Uint8Array
}

export type Challenge = {
  /** To be signed as it is, with `personal_sign`. */
  readonly message: string
  readonly nonce: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export type WalletLogin = {
  /** @throws AuthError AUTH_WALLET_MESSAGE_MALFORMED for an address that is none, AUTH_WALLET_LOGIN_REFUSED for another chain */
  readonly challenge: (request: { readonly address: string; readonly chainId: number }) => Challenge
  /**
   * The caller that has signed, to be given a session: once for each challenge, whoever comes first.
   * @throws AuthError AUTH_WALLET_MESSAGE_MALFORMED, AUTH_WALLET_LOGIN_REFUSED, AUTH_SIGNATURE_UNVERIFIABLE, AUTH_REPLAY_STORE_UNAVAILABLE
   */
  readonly verify: (answer: { readonly message: string; readonly signature: string }) => Promise<Caller>
}

const MIN_SECRET_BYTES = 32
const RANDOM_BYTES = 16
const MAC_BYTES = 16
const MAX_SIGNATURE_BYTES = 8 * 1024
const NONCE = new RegExp(`^([0-9a-f]{${2 * RANDOM_BYTES}})([0-9a-f]{${2 * MAC_BYTES}})$`)

/** @throws TypeError when the secret is too short, or the texts do not make a message */
export function createWalletLogin(options: WalletLoginOptions): WalletLogin {
  const { accounts, domain, uri, statement = 'Sign in to MCP Gateway.', challengeMs = 300_000 } = options
  const { clock = Date.now, random = randomBytes, secret, wallets, replay, replayTimeoutMs = 2000 } = options
  if (secret.length < MIN_SECRET_BYTES) throw new TypeError(`the secret has less than ${MIN_SECRET_BYTES} bytes`)
  const mac = (message: LoginMessage, salt: string): Buffer =>
    createHmac('sha256', secret)
      .update(`mcp-gateway wallet login\n${formatLoginMessage({ ...message, nonce: salt })}`)
      .digest()
      .subarray(0, MAC_BYTES)

  const draft = (address: string, chainId: number): LoginMessage => {
    const issuedAt = clock()
    const salt = Buffer.from(random(RANDOM_BYTES)).toString('hex')
    const fields = { domain, address: toAddress(address), statement, uri, chainId, issuedAt }
    const message = { ...fields, nonce: salt, expiresAt: issuedAt + challengeMs }
    return { ...message, nonce: salt + mac(message, salt).toString('hex') }
  }
  const sample = formatLoginMessage(draft(`0x${'0'.repeat(40)}`, 1))
  if (parseLoginMessage(sample) === undefined) throw new TypeError('domain, uri or statement do not fit into EIP-4361')

  /** Whether these are our words: nobody's own choice of domain, nonce, chain or time. */
  const isOurs = (message: LoginMessage): boolean => {
    const [, salt = '', tag = ''] = NONCE.exec(message.nonce) ?? []
    return tag !== '' && timingSafeEqual(mac(message, salt), Buffer.from(tag, 'hex'))
  }
  return {
    challenge({ address, chainId }) {
      if (!/^0x[0-9a-fA-F]{40}$/.test(address)) throw malformed('the address is not 0x and 40 hex digits')
      if (accounts.account(chainId) === undefined)
        throw refused(`the chain is not one of ${accounts.chainIds.join(', ')}`)
      const { nonce, expiresAt, ...rest } = draft(address, chainId)
      return { message: formatLoginMessage({ ...rest, nonce, expiresAt }), nonce, expiresAt }
    },
    async verify({ message: text, signature }) {
      const message = parseLoginMessage(text)
      if (message === undefined) throw malformed('this is not a message that the challenge endpoint gives out')
      const bytes = readSignature(signature)
      if (!isOurs(message)) throw refused('this challenge was not given out by this gateway')
      if (clock() > message.expiresAt) throw refused('the challenge has expired; ask for another one')
      if (accounts.account(message.chainId) === undefined) throw refused('the chain is not served any more')
      if (!wallets.isKnown(message)) throw refused('this wallet is not let in here')
      const verdict = await accounts.verify(message, hashMessage(text), bytes)
      if (verdict !== 'key' && verdict !== 'contract') throw refused('the account has not signed this message')
      const caller = wallets.identify(message, verdict === 'contract', {
        scheme: 'session',
        keyId: formatAccountId(message),
        expiresAt: undefined,
      })
      if (caller === undefined) throw refused('this wallet is not let in here')
      const isFirst = await consumeOnce(replay, replayKey('siwe', message.nonce), message.expiresAt, replayTimeoutMs)
      if (!isFirst) throw refused('the challenge was answered before; ask for another one')
      return caller
    },
  }
}

function readSignature(signature: string): Uint8Array {
  if (signature.length > 2 + 2 * MAX_SIGNATURE_BYTES || !/^0x(?:[0-9a-fA-F]{2})+$/.test(signature)) {
    throw malformed('the signature is not 0x and hex digits')
  }
  return Buffer.from(signature.slice(2), 'hex')
}

function malformed(message: string): AuthError {
  return new AuthError('AUTH_WALLET_MESSAGE_MALFORMED', message)
}

function refused(message: string): AuthError {
  return new AuthError('AUTH_WALLET_LOGIN_REFUSED', message)
}
