/**
 * Where wallet tokens are kept. An adapter keeps these guarantees, and `@mcp-gateway/auth/testing` checks them:
 * 1. `insert` counts and inserts in one step: no account ever has more than `maxTokens` that are neither revoked nor expired.
 * 2. A revoked token is never good again; it is listed until its owner makes another one, so that nothing piles up.
 * 3. A token belongs to one account on one chain, and only its owner lists or revokes it.
 */
import type { Wallet } from '../ethereum/account-id.ts'

export type WalletTokenRecord = {
  /** Public; what is shown in lists and named in logs. */
  readonly id: string
  /** SHA-256 of the token, 64 hex digits. */
  readonly hash: string
  readonly wallet: Wallet
  /** Whether the account was a contract when it signed in. */
  readonly isContract: boolean
  /** What its owner calls it. */
  readonly name: string
  /** Epoch milliseconds, all of them. */
  readonly createdAt: number
  readonly expiresAt: number
  readonly lastUsedAt?: number | undefined
  readonly revokedAt?: number | undefined
}

export interface WalletTokenStore {
  /** False when the account has `maxTokens` good ones at `record.createdAt`. Its revoked and expired ones are dropped on the way. */
  readonly insert: (record: WalletTokenRecord, maxTokens: number) => boolean | Promise<boolean>
  readonly find: (hash: string) => WalletTokenRecord | undefined | Promise<WalletTokenRecord | undefined>
  /** In the order they were made. */
  readonly list: (wallet: Wallet) => readonly WalletTokenRecord[] | Promise<readonly WalletTokenRecord[]>
  /** False when the account has no such token, or it was revoked before. */
  readonly revoke: (wallet: Wallet, id: string, at: number) => boolean | Promise<boolean>
  /** Never backwards. */
  readonly touch: (hash: string, at: number) => void | Promise<void>
}
