/**
 * Verifier keys, the `<name>+<hex key id>+<base64(type || public key)>` of C2SP signed-note. Two types are read: 0x01, an
 * Ed25519 key of a log, and 0x04, an Ed25519 key of a witness (C2SP tlog-cosignature).
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { AuditError } from './errors.ts'
import { sha256 } from './hash.ts'

export type KeyRole = 'log' | 'witness'

export type VerifierKey = {
  readonly name: string
  readonly role: KeyRole
  /** 8 hex digits; it names a key, it does not authenticate it. */
  readonly id: string
  readonly publicKey: KeyObject
  /** The key in its text form. */
  readonly text: string
}

const TYPE_OF: Readonly<Record<KeyRole, number>> = { log: 0x01, witness: 0x04 }
const PUBLIC_KEY_BYTES = 32

/** @throws AuditError AUDIT_KEY_MALFORMED */
export function parseVerifierKey(text: string): VerifierKey {
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? []
  if (name === undefined || id === undefined || encoded === undefined) {
    throw malformed('a verifier key is "<name>+<8 hex digits>+<base64>"')
  }
  const bytes = decodeBase64(encoded)
  if (bytes === undefined || bytes.length !== 1 + PUBLIC_KEY_BYTES)
    throw malformed(`the key of ${name} has no 33 bytes`)
  const role = bytes[0] === TYPE_OF.log ? 'log' : 'witness'
  if (bytes[0] !== TYPE_OF[role]) throw malformed(`the key of ${name} has type ${bytes[0]}, not 1 (log) or 4 (witness)`)
  const raw = bytes.subarray(1)
  const key = fromRaw(name, role, raw)
  if (key.id !== id) throw malformed(`the key of ${name} has the id ${key.id}, not ${id}`)
  return key
}

/** The key a signer is known by. @throws AuditError AUDIT_KEY_MALFORMED unless `key` is Ed25519 and the name fits a note */
export function verifierKeyOf(name: string, role: KeyRole, key: KeyObject): VerifierKey {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const { crv, x } = publicKey.asymmetricKeyType === 'ed25519' ? publicKey.export({ format: 'jwk' }) : {}
  if (crv !== 'Ed25519' || x === undefined) throw malformed(`the key of ${name} is not an Ed25519 key`)
  return fromRaw(name, role, Buffer.from(x, 'base64url'))
}

function fromRaw(name: string, role: KeyRole, raw: Buffer): VerifierKey {
  if (!isKeyName(name)) throw malformed(`"${name}" is no key name: no spaces, no "+", at least one character`)
  const typed = Buffer.concat([Buffer.of(TYPE_OF[role]), raw])
  const id = sha256(Buffer.concat([Buffer.from(`${name}\n`), typed])).toString('hex', 0, 4)
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' })
  return { name, role, id, publicKey, text: `${name}+${id}+${encodeBase64(typed)}` }
}

/** Names stand between spaces and plus signs, so they have neither (signed-note, Format). */
export function isKeyName(name: string): boolean {
  // oxlint-disable-next-line no-control-regex -- that control characters are not there is the point
  return name !== '' && name.isWellFormed() && !/[\s+\u0000-\u001f]/u.test(name)
}

function malformed(message: string): AuditError {
  return new AuditError('AUDIT_KEY_MALFORMED', message)
}
