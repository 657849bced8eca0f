/**
 * A time from outside: an RFC 3161 authority signs that it has seen the checkpoint. The evidence is its whole response.
 *
 * What is checked here is that the response is about this checkpoint and this request. The authority's signature and
 * certificate are for whoever relies on the time later, with a tool and a root of their own:
 * `openssl ts -verify -data checkpoint -in evidence.tsr -CAfile root.pem`.
 */
import { randomBytes } from 'node:crypto'
import type { Anchor } from '../anchor.ts'
import { AuditError } from '../errors.ts'
import { equalBytes, sha256 } from '../hash.ts'
import { contentOf, DER, encodeDer, encodeInteger, readDer, within } from './der.ts'
import { readBody } from './read-body.ts'

export type TimestampAnchorOptions = {
  /** Of the authority. */
  readonly url: string
  /** @default 5000 */
  readonly timeoutMs?: number
  /** @default globalThis.fetch */
  readonly fetch?: typeof globalThis.fetch
  /** @default crypto.randomBytes */
  readonly random?: (size: number) => Uint8Array
}

export type Timestamp = {
  /** Epoch milliseconds, as the authority says. */
  readonly at: number
  /** SHA-256 of what was stamped. */
  readonly digest: Uint8Array
  readonly nonce: Uint8Array | undefined
}

const MAX_REPLY_BYTES = 65_536
const NONCE_BYTES = 16
/** 2.16.840.1.101.3.4.2.1 */
const SHA256 = encodeDer(DER.oid, Buffer.from('608648016503040201', 'hex'))

export function createTimestampAnchor(options: TimestampAnchorOptions): Anchor {
  const { url, timeoutMs = 5000, fetch = globalThis.fetch, random = randomBytes } = options
  return {
    name: url,
    async anchor({ note }, signal) {
      const digest = sha256(note)
      const nonce = encodeInteger(random(NONCE_BYTES))
      const reply = await post(encodeRequest(digest, nonce), signal)
      const stamp = readTimestamp(reply)
      if (!equalBytes(stamp.digest, digest)) throw failed('stamped something else')
      if (stamp.nonce === undefined || !equalBytes(encodeDer(DER.integer, stamp.nonce), nonce)) {
        throw failed('answered another request')
      }
      return reply
    },
  }

  async function post(body: Uint8Array, signal?: AbortSignal): Promise<Buffer> {
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/timestamp-query' },
        body: Buffer.from(body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      })
      if (!response.ok) throw failed(`answered ${response.status}`)
      return await readBody(response, MAX_REPLY_BYTES)
    } catch (error) {
      signal?.throwIfAborted()
      throw error instanceof AuditError ? error : failed('did not answer', error)
    }
  }

  function failed(message: string, cause?: unknown): AuditError {
    return new AuditError('AUDIT_ANCHOR_FAILED', `the timestamp authority ${url} ${message}`, { cause })
  }
}

/** TimeStampReq of RFC 3161 §2.4.1, asking for the certificate too. */
function encodeRequest(digest: Uint8Array, nonce: Uint8Array): Buffer {
  const algorithm = encodeDer(DER.sequence, SHA256, encodeDer(DER.null))
  const imprint = encodeDer(DER.sequence, algorithm, encodeDer(DER.octets, digest))
  const version = encodeInteger(Buffer.of(1))
  return encodeDer(DER.sequence, version, imprint, nonce, encodeDer(DER.boolean, Buffer.of(0xff)))
}

/**
 * What a TimeStampResp (RFC 3161 §2.4.2) says. It believes the response: see above for checking it.
 * @throws AuditError AUDIT_PROOF_MALFORMED, AUDIT_ANCHOR_FAILED when the authority refused
 */
export function readTimestamp(response: Uint8Array): Timestamp {
  const [statusInfo, token] = within(readDer(Buffer.from(response))[0], DER.sequence)
  const status = contentOf(within(statusInfo, DER.sequence)[0], DER.integer)
  // granted, grantedWithMods
  if (status.length !== 1 || (status[0] as number) > 1) {
    throw new AuditError('AUDIT_ANCHOR_FAILED', `the timestamp authority refused: status ${status.toString('hex')}`)
  }
  const [signedData] = within(within(token, DER.sequence)[1], DER.explicit0)
  const [, , encapsulated] = within(signedData, DER.sequence)
  const [octets] = within(within(encapsulated, DER.sequence)[1], DER.explicit0)
  const [info] = readDer(contentOf(octets, DER.octets))
  const [, , imprint, , time, ...rest] = within(info, DER.sequence)
  const [algorithm, digest] = within(imprint, DER.sequence)
  if (!equalBytes(contentOf(algorithm, DER.sequence).subarray(0, SHA256.length), SHA256)) {
    throw new AuditError('AUDIT_PROOF_MALFORMED', 'the timestamp is not over a SHA-256 digest')
  }
  return {
    at: readTime(contentOf(time, DER.generalizedTime).toString('latin1')),
    digest: contentOf(digest, DER.octets),
    nonce: rest.find(({ tag }) => tag === DER.integer)?.content,
  }
}

/** `20261121120000.25Z`, always in UTC (RFC 3161 §2.4.2). */
function readTime(text: string): number {
  const [, year, month, day, hour, minute, second, fraction = ''] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?Z$/.exec(text) ?? []
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, '0').slice(0, 3)}Z`)
  if (Number.isNaN(at)) throw new AuditError('AUDIT_PROOF_MALFORMED', `"${text}" is no time`)
  return at
}
