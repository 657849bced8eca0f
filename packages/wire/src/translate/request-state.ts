/**
 * `requestState` of an `input_required` answer (MCP 2026-07-28, basic/mrtr): the client carries it back with its answers.
 * The adversary is that client: it may change it, use it for another call, as somebody else, later, or twice. So it is
 * sealed with AES-256-GCM and says for whom and for what it was made; whoever opens it compares. Used once is the holder's task.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { WireError } from '../errors.ts'
import { isObject, without, type JsonRpcRequest } from '../json-rpc.ts'

export type RequestState = {
  /** What the parked call is kept under. */
  readonly id: string
  readonly principal: string
  readonly serverId: string
  /** Of method and params, as {@link digestOf} makes it. */
  readonly digest: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export type StateSealer = {
  seal(state: RequestState): string
  /** Throws WIRE_REQUEST_STATE_INVALID for anything this sealer didn't make. */
  open(text: unknown): RequestState
}

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** A sealed state has about 300 characters. */
const MAX_LENGTH = 4096

/** @param key 32 bytes; a new one per process by default, because what is parked doesn't outlive the process either */
export function createStateSealer(key: Buffer = randomBytes(32)): StateSealer {
  return {
    seal(state) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      cipher.setAAD(Buffer.of(VERSION))
      const sealed = Buffer.concat([cipher.update(JSON.stringify(state), 'utf8'), cipher.final()])
      return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), sealed]).toString('base64url')
    },
    open(text) {
      if (typeof text !== 'string' || text.length > MAX_LENGTH) throw invalid()
      const bytes = Buffer.from(text, 'base64url')
      const body = 1 + NONCE_BYTES + TAG_BYTES
      // Buffer ignores what is no base64url: two spellings of one state would be two states.
      if (bytes.length <= body || bytes[0] !== VERSION || bytes.toString('base64url') !== text) throw invalid()
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(1, 1 + NONCE_BYTES))
      decipher.setAAD(Buffer.of(VERSION))
      decipher.setAuthTag(bytes.subarray(1 + NONCE_BYTES, body))
      try {
        const plain = Buffer.concat([decipher.update(bytes.subarray(body)), decipher.final()])
        return JSON.parse(plain.toString('utf8')) as RequestState
      } catch (cause) {
        throw invalid(cause)
      }
    },
  }
}

/** What must be the same when the client comes back: everything but its answers, the state itself and `_meta`. */
export function digestOf({ method, params = {} }: JsonRpcRequest): string {
  const asked = without(params, '_meta', 'inputResponses', 'requestState')
  return createHash('sha256')
    .update(canonical([method, asked]))
    .digest('base64url')
}

/** JSON with sorted keys: a client may write the same params in another order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, node: unknown) =>
    isObject(node) && !JSON.isRawJSON(node)
      ? Object.fromEntries(Object.entries(node).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : node,
  )
}

function invalid(cause?: unknown): WireError {
  return new WireError('WIRE_REQUEST_STATE_INVALID', 'requestState is invalid, was used already or has expired', {
    cause,
  })
}
