/**
 * Whether an account has signed a hash, in the order of ERC-8128 §4.1: an ERC-6492 wrapper, then code (EIP-7702
 * delegations are code), then the account's own key. Each of them decides alone: a contract that says no is not asked
 * again by ECDSA, since the key that once made the address may be the one its owner has revoked.
 */
import { AuthError } from '../errors.ts'
import { withDeadline } from '../deadline.ts'
import type { Address, Wallet } from './account-id.ts'
import { recoverAddress, recoverAddressWith, type PublicKeyRecovery } from './recover.ts'

/** One chain's accounts. An adapter rejects when it could not ask; a contract that reverts is a no, not a failure. */
export interface AccountReader {
  /** Whether there is code at the address, EIP-7702 delegations included. */
  readonly hasCode: (address: Address) => Promise<boolean>
  /** ERC-1271: what the contract at the address says. */
  readonly isValidSignature: (address: Address, hash: Uint8Array, signature: Uint8Array) => Promise<boolean>
  /** ERC-6492: what the contract would say that the wrapper deploys, without deploying it. */
  readonly isValidWrapped: (address: Address, hash: Uint8Array, wrapped: Uint8Array) => Promise<boolean>
}

export type Chain = {
  readonly id: number
  /** Without it, only accounts with a key of their own are let in, and whether there is code is not looked at. */
  readonly accounts?: AccountReader | undefined
}

export type AccountVerifierOptions = {
  /** The chains that are served; accounts of others are refused before anybody is asked. */
  readonly chains: readonly Chain[]
  /** How long a chain may take to answer. @default 5000 */
  readonly timeoutMs?: number
  /** Questions to chains at the same time: signatures that nobody has verified yet cause them. @default 64 */
  readonly maxPending?: number
  /**
   * The costly part: a millisecond of this thread for whoever names an account that is let in, before he has shown anything.
   * @default `@noble/curves`, in this thread
   */
  readonly recoverPublicKey?: PublicKeyRecovery
}

export type AccountVerdict = 'key' | 'contract' | 'invalid' | 'unsupported-account'

export type AccountVerifier = {
  readonly chainIds: readonly number[]
  /** Whether contracts can sign on this chain. */
  readonly account: (chainId: number) => 'universal' | 'eoa-only' | undefined
  /** @throws AuthError AUTH_SIGNATURE_UNVERIFIABLE when the chain cannot be asked: that is no bad signature */
  readonly verify: (wallet: Wallet, hash: Uint8Array, signature: Uint8Array) => Promise<AccountVerdict>
}

/** ERC-6492: the last 32 bytes of a wrapper. */
const WRAPPER_MAGIC = Buffer.from('6492'.repeat(16), 'hex')

/** @throws TypeError when a chain is named twice or its id is no chain's */
export function createAccountVerifier(options: AccountVerifierOptions): AccountVerifier {
  const { timeoutMs = 5000, maxPending = 64 } = options
  const chains = new Map<number, Chain>()
  for (const chain of options.chains) {
    if (!Number.isSafeInteger(chain.id) || chain.id < 1) throw new TypeError('a chain id is a whole number from 1 on')
    if (chains.has(chain.id)) throw new TypeError(`the chain ${chain.id} is configured twice`)
    chains.set(chain.id, chain)
  }
  let pending = 0
  const { recoverPublicKey } = options
  const checkKey = async (address: Address, hash: Uint8Array, signature: Uint8Array): Promise<AccountVerdict> => {
    const signer =
      recoverPublicKey === undefined
        ? recoverAddress(hash, signature)
        : await recoverAddressWith(recoverPublicKey, hash, signature)
    return signer === address ? 'key' : 'invalid'
  }

  const ask = async <T>(question: () => Promise<T>): Promise<T> => {
    if (pending >= maxPending) throw unverifiable(new Error(`${maxPending} questions are waiting already`))
    pending++
    try {
      return await withDeadline(question(), timeoutMs, () => new Error(`no answer within ${timeoutMs} ms`))
    } catch (cause) {
      throw unverifiable(cause)
    } finally {
      pending--
    }
  }

  return {
    chainIds: Object.freeze([...chains.keys()]),
    account(chainId) {
      const chain = chains.get(chainId)
      return chain === undefined ? undefined : chain.accounts === undefined ? 'eoa-only' : 'universal'
    },
    async verify({ address, chainId }, hash, signature) {
      const chain = chains.get(chainId)
      if (chain === undefined) throw new TypeError(`the chain ${chainId} is not configured`)
      const { accounts } = chain
      const isWrapped = WRAPPER_MAGIC.equals(signature.subarray(-WRAPPER_MAGIC.length))
      if (accounts === undefined) return isWrapped ? 'unsupported-account' : checkKey(address, hash, signature)
      if (isWrapped) {
        return (await ask(async () => accounts.isValidWrapped(address, hash, signature))) ? 'contract' : 'invalid'
      }
      if (!(await ask(async () => accounts.hasCode(address)))) return checkKey(address, hash, signature)
      return (await ask(async () => accounts.isValidSignature(address, hash, signature))) ? 'contract' : 'invalid'
    },
  }
}

function unverifiable(cause: unknown): AuthError {
  const message = 'the chain of this account cannot be asked now; try again'
  return new AuthError('AUTH_SIGNATURE_UNVERIFIABLE', message, { cause })
}
