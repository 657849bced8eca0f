/** Which wallets are let in, and as whom. Shared by signed requests and wallet logins, so that both make the same caller. */
import { DEFAULT_TENANT, type Caller } from '../caller.ts'
import { formatAccountId, parseAccountId, toAddress, type Address, type Wallet } from '../ethereum/account-id.ts'

/** A wallet that is known by name. */
export type Operator = {
  readonly address: string
  /**
   * The chains on which this account is meant. Needed for contracts and accounts that have delegated (EIP-7702), which are
   * refused without it: on another chain somebody else may have deployed something of his at the same address (it happened
   * to Wintermute on Optimism, 2022).
   * @default all chains, for accounts with a key of their own
   */
  readonly chainIds?: readonly number[] | undefined
  readonly consumerId: string
  readonly name: string
  readonly roles: readonly string[]
  /** @default 'default' */
  readonly tenantId?: string | undefined
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
}

export type WalletsOptions = {
  readonly operators: readonly Operator[]
  /** What wallets are that are not listed; without it they are refused. Each account on each chain is a caller of its own. */
  readonly others?:
    | {
        readonly roles: readonly string[]
        /** @default 'default' */
        readonly tenantId?: string | undefined
      }
    | undefined
}

export type Wallets = {
  readonly isKnown: (wallet: Wallet) => boolean
  readonly isOperator: (address: string) => boolean
  /** Undefined when this wallet is not let in, or not in this way. `isContract` is what the verification has found out. */
  readonly identify: (
    wallet: Wallet,
    isContract: boolean,
    credential: Pick<Caller, 'scheme' | 'keyId' | 'expiresAt'>,
  ) => Caller | undefined
}

/** @throws TypeError when an address cannot be read, or is listed twice */
export function createWallets({ operators, others }: WalletsOptions): Wallets {
  const byAddress = new Map<Address, Operator>()
  for (const operator of operators) {
    const address = toAddress(operator.address)
    if (byAddress.has(address)) throw new TypeError(`two operators have the address ${address}`)
    byAddress.set(address, operator)
  }
  const serves = (operator: Operator, { chainId }: Wallet): boolean => operator.chainIds?.includes(chainId) ?? true
  return {
    isKnown(wallet) {
      const operator = byAddress.get(wallet.address)
      return operator === undefined ? others !== undefined : serves(operator, wallet)
    },
    isOperator: (address) => byAddress.has(address.toLowerCase() as Address),
    identify(wallet, isContract, { scheme, keyId, expiresAt }) {
      const operator = byAddress.get(wallet.address)
      if (operator === undefined && others === undefined) return undefined
      if (operator !== undefined && (!serves(operator, wallet) || (isContract && operator.chainIds === undefined))) {
        return undefined
      }
      return Object.freeze({
        id: operator?.consumerId ?? formatAccountId(wallet),
        name: operator?.name ?? wallet.address,
        keyId,
        tenantId: (operator ?? others)?.tenantId ?? DEFAULT_TENANT,
        roles: Object.freeze([...((operator ?? others)?.roles ?? [])]),
        // Last, so that no configured attribute can claim another wallet.
        attributes: Object.freeze({ ...operator?.attributes, ...walletAttributes(wallet, isContract) }),
        ...(expiresAt === undefined ? {} : { expiresAt }),
        scheme,
      })
    },
  }
}

/** What every caller with a wallet has among its attributes, so that policies can name it. */
export type WalletAttributes = {
  readonly wallet: Address
  readonly chainId: number
  readonly account: 'key' | 'contract'
}

function walletAttributes({ address, chainId }: Wallet, isContract: boolean): WalletAttributes {
  return { wallet: address, chainId, account: isContract ? 'contract' : 'key' }
}

/** Undefined for a caller without a wallet. */
export function readWalletAttributes({ attributes }: Caller): WalletAttributes | undefined {
  const { wallet, chainId, account } = attributes
  if (typeof wallet !== 'string' || typeof chainId !== 'number' || (account !== 'key' && account !== 'contract')) {
    return undefined
  }
  const known = parseAccountId(`eip155:${chainId}:${wallet}`)
  return known === undefined ? undefined : { wallet: known.address, chainId: known.chainId, account }
}
