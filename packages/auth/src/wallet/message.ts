/**
 * The text that a wallet shows before it signs in: EIP-4361, "Sign-In with Ethereum". Only the fields that this gateway
 * uses, in the order of its ABNF; a text with others is not one of ours.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { toAddress, type Address } from '../ethereum/account-id.ts'

export type LoginMessage = {
  /** RFC 3986 authority of the page that asks; wallets compare it with what they see. */
  readonly domain: string
  readonly address: Address
  readonly statement: string
  readonly uri: string
  readonly chainId: number
  /** At least 8 letters and digits. */
  readonly nonce: string
  /** Epoch milliseconds. */
  readonly issuedAt: number
  readonly expiresAt: number
}

const MAX_MESSAGE_CHARS = 2048
const MESSAGE = new RegExp(
  '^([^\\s]{1,255}) wants you to sign in with your Ethereum account:\\n' +
    '(0x[0-9a-fA-F]{40})\\n\\n' +
    '([\\x20-\\x7e]{1,500})\\n\\n' +
    'URI: ([^\\s]{1,500})\\n' +
    'Version: 1\\n' +
    'Chain ID: ([1-9][0-9]{0,14})\\n' +
    'Nonce: ([A-Za-z0-9]{8,128})\\n' +
    'Issued At: ([0-9T:.Z-]{20,27})\\n' +
    'Expiration Time: ([0-9T:.Z-]{20,27})$',
)

export function formatLoginMessage(message: LoginMessage): string {
  return `${message.domain} wants you to sign in with your Ethereum account:
${toChecksum(message.address)}

${message.statement}

URI: ${message.uri}
Version: 1
Chain ID: ${message.chainId}
Nonce: ${message.nonce}
Issued At: ${new Date(message.issuedAt).toISOString()}
Expiration Time: ${new Date(message.expiresAt).toISOString()}`
}

/** Undefined for anything that `formatLoginMessage` would not write in exactly this way: format(parse(x)) is x. */
export function parseLoginMessage(text: string): LoginMessage | undefined {
  const match = text.length > MAX_MESSAGE_CHARS ? null : MESSAGE.exec(text)
  if (match === null) return undefined
  const [
    ,
    domain = '',
    address = '',
    statement = '',
    uri = '',
    chainId = '',
    nonce = '',
    issuedAt = '',
    expiresAt = '',
  ] = match
  const message: LoginMessage = {
    domain,
    address: toAddress(address),
    statement,
    uri,
    chainId: Number(chainId),
    nonce,
    issuedAt: Date.parse(issuedAt),
    expiresAt: Date.parse(expiresAt),
  }
  // Also for the checksum of the address and for other spellings of a date.
  if (Number.isNaN(message.issuedAt) || Number.isNaN(message.expiresAt)) return undefined
  return formatLoginMessage(message) === text ? message : undefined
}

/** EIP-55, which EIP-4361 asks for. */
function toChecksum(address: Address): string {
  const digits = address.slice(2)
  const hash = Buffer.from(keccak_256(Buffer.from(digits))).toString('hex')
  return `0x${Array.from(digits, (digit, index) => (Number.parseInt(hash.charAt(index), 16) >= 8 ? digit.toUpperCase() : digit)).join('')}`
}
