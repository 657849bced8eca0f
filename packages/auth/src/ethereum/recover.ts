/** Signatures of externally owned accounts: secp256k1 with recovery, by `@noble/curves` (audited, without dependencies but noble-hashes). */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import type { Address } from './account-id.ts'

const SIGNATURE_BYTES = 65

/** ERC-191, version 0x45: what `personal_sign` signs. */
export function hashMessage(message: string | Uint8Array): Uint8Array {
  const bytes = typeof message === 'string' ? Buffer.from(message, 'utf8') : message
  return keccak_256(Buffer.concat([Buffer.from(`\x19Ethereum Signed Message:\n${bytes.length}`), bytes]))
}

/**
 * Whose signature this is; undefined when it is no signature. ERC-8128 §3.4.3: `r || s || v`, v 27 or 28, s in the lower
 * half. The other s, and the other v, would be second signatures that anybody can make from the first.
 */
export function recoverAddress(hash: Uint8Array, signature: Uint8Array): Address | undefined {
  const v = signature[SIGNATURE_BYTES - 1]
  if (signature.length !== SIGNATURE_BYTES || (v !== 27 && v !== 28)) return undefined
  try {
    const recovered = new Uint8Array(SIGNATURE_BYTES)
    recovered[0] = v - 27
    recovered.set(signature.subarray(0, 64), 1)
    // Refuses r and s outside of 1 … n-1.
    const parsed = secp256k1.Signature.fromBytes(recovered, 'recovered')
    if (parsed.hasHighS()) return undefined
    const key = parsed.recoverPublicKey(hash).toBytes(false)
    return `0x${Buffer.from(keccak_256(key.subarray(1)).subarray(12)).toString('hex')}`
  } catch {
    // There is no point with this r: nobody has signed this.
    return undefined
  }
}
