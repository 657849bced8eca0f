/** Signatures of externally owned accounts: secp256k1 with recovery, by `@noble/curves` (audited, without dependencies but noble-hashes). */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import type { Address } from './account-id.ts'

/**
 * The uncompressed public key, 65 bytes, that has made `r || s` over a hash; throws when there is none. For a faster
 * library, or one in another thread: `(hash, rs, id) => secp256k1.ecdsaRecover(rs, id, hash, false)` with `secp256k1`.
 */
export type PublicKeyRecovery = (
  hash: Uint8Array,
  rs: Uint8Array,
  recoveryId: 0 | 1,
) => Uint8Array | Promise<Uint8Array>

type StrictSignature = { readonly rs: Uint8Array; readonly recoveryId: 0 | 1 }

const SIGNATURE_BYTES = 65
const PUBLIC_KEY_BYTES = 65
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** ERC-191, version 0x45: what `personal_sign` signs. */
export function hashMessage(message: string | Uint8Array): Uint8Array {
  const bytes = typeof message === 'string' ? Buffer.from(message, 'utf8') : message
  return keccak_256(Buffer.concat([Buffer.from(`\x19Ethereum Signed Message:\n${bytes.length}`), bytes]))
}

/** Whose signature this is; undefined when it is no signature. */
export function recoverAddress(hash: Uint8Array, signature: Uint8Array): Address | undefined {
  const strict = readSignature(signature)
  if (strict === undefined) return undefined
  try {
    return toAddress(recoverWithNoble(hash, strict))
  } catch {
    // There is no point with this r: nobody has signed this.
    return undefined
  }
}

/** As `recoverAddress`, with somebody else's arithmetic; what a signature has to look like is still decided here. */
export async function recoverAddressWith(
  recover: PublicKeyRecovery,
  hash: Uint8Array,
  signature: Uint8Array,
): Promise<Address | undefined> {
  const strict = readSignature(signature)
  if (strict === undefined) return undefined
  try {
    return toAddress(await recover(hash, strict.rs, strict.recoveryId))
  } catch {
    return undefined
  }
}

/**
 * ERC-8128 §3.4.3: `r || s || v`, v 27 or 28, r in 1 … n-1, s in 1 … n/2. The other s, and the other v, would be second
 * signatures that anybody can make from the first.
 */
function readSignature(signature: Uint8Array): StrictSignature | undefined {
  const v = signature[SIGNATURE_BYTES - 1]
  if (signature.length !== SIGNATURE_BYTES || (v !== 27 && v !== 28)) return undefined
  const rs = signature.subarray(0, 64)
  const hex = Buffer.from(rs).toString('hex')
  const [r, s] = [BigInt(`0x${hex.slice(0, 64)}`), BigInt(`0x${hex.slice(64)}`)]
  if (r < 1n || r >= ORDER || s < 1n || s > ORDER / 2n) return undefined
  return { rs, recoveryId: v === 27 ? 0 : 1 }
}

function recoverWithNoble(hash: Uint8Array, { rs, recoveryId }: StrictSignature): Uint8Array {
  return secp256k1.Signature.fromBytes(rs, 'compact').addRecoveryBit(recoveryId).recoverPublicKey(hash).toBytes(false)
}

function toAddress(key: Uint8Array): Address | undefined {
  if (key.length !== PUBLIC_KEY_BYTES || key[0] !== 4) return undefined
  return `0x${Buffer.from(keccak_256(key.subarray(1)).subarray(12)).toString('hex')}`
}
