/** Who signs checkpoints: a log for itself, a witness for what it has seen. The key may as well live in an HSM. */
import { sign, type KeyObject } from 'node:crypto'
import { cosignedText, formatSignature } from './note.ts'
import { verifierKeyOf, type VerifierKey } from './verifier-key.ts'

/** Anything that can sign a note's text. Implement it to keep the key elsewhere, or to use another algorithm. */
export interface NoteSigner {
  readonly verifierKey: VerifierKey
  /** The signature line for `text`, newline included. */
  sign(text: string): Promise<string>
}

export type SignerOptions = {
  /** For a log its origin: readers trust a key for the log of that name only. */
  readonly name: string
  /** Ed25519. */
  readonly privateKey: KeyObject
}

/** Signs as a log: Ed25519 over the text (signature type 0x01). @throws AuditError AUDIT_KEY_MALFORMED */
export function createSigner({ name, privateKey }: SignerOptions): NoteSigner {
  const verifierKey = verifierKeyOf(name, 'log', privateKey)
  return {
    verifierKey,
    async sign(text) {
      const bytes = sign(null, Buffer.from(text), privateKey)
      return formatSignature({ name, keyId: verifierKey.id, bytes })
    },
  }
}

/**
 * Signs as a witness: text and time (type 0x04). It states that no larger consistent tree of that log was seen; checking
 * that before is the caller's part. @throws AuditError AUDIT_KEY_MALFORMED
 */
export function createCosigner({
  name,
  privateKey,
  clock = Date.now,
}: SignerOptions & { clock?: () => number }): NoteSigner {
  const verifierKey = verifierKeyOf(name, 'witness', privateKey)
  return {
    verifierKey,
    async sign(text) {
      const seconds = BigInt(Math.floor(clock() / 1000))
      const time = Buffer.alloc(8)
      time.writeBigUInt64BE(seconds)
      const signature = sign(null, Buffer.from(cosignedText(text, seconds)), privateKey)
      return formatSignature({ name, keyId: verifierKey.id, bytes: Buffer.concat([time, signature]) })
    },
  }
}
