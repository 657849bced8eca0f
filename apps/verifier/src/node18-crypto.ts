/**
 * What stands in for `node:crypto` in `verify.mjs`: Node 18 has neither `hash` nor `isWellFormed`, and an import of a name
 * that is missing fails before anything runs.
 */
import * as crypto from 'node:crypto'

export { createHash, createHmac, createPublicKey, randomBytes, sign, verify } from 'node:crypto'

type Encoding = 'binary' | 'hex'
type Hash = (algorithm: string, data: string | Uint8Array, encoding: Encoding) => string

export const hash: Hash =
  (crypto as { hash?: Hash }).hash ??
  ((algorithm, data, encoding) => crypto.createHash(algorithm).update(data).digest(encoding))

const prototype = String.prototype as { isWellFormed?: (this: string) => boolean }
prototype.isWellFormed ??= function isWellFormed() {
  return !/\p{Surrogate}/u.test(this)
}
