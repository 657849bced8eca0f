/** Accounts as CAIP-10 writes them: `eip155:<chain>:<address>`, in the one form that is used as a key. */

/** 0x and 40 lower-case hex digits. */
export type Address = `0x${string}`

/** An account on one chain. The same address may be another's on another chain, when it is a contract's. */
export type Wallet = {
  readonly address: Address
  readonly chainId: number
}

const ACCOUNT = /^([a-z0-9]{1,16}):([1-9][0-9]{0,14}):(0x[0-9a-f]{40})$/

/** Undefined for anything but the canonical form. 15 digits are a safe integer, and more than any chain has. */
export function parseAccountId(text: string, namespace = 'eip155'): Wallet | undefined {
  const match = ACCOUNT.exec(text)
  if (match === null || match[1] !== namespace) return undefined
  return { address: match[3] as Address, chainId: Number(match[2]) }
}

export function formatAccountId({ address, chainId }: Wallet): string {
  return `eip155:${chainId}:${address}`
}

/** In any case, checksummed or not. @throws TypeError */
export function toAddress(text: string): Address {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) throw new TypeError('an address is 0x and 40 hex digits')
  return text.toLowerCase() as Address
}
