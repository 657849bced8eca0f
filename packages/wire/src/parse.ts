/**
 * Text to JSON-RPC messages.
 *
 * The adversary is whoever sends the text: an agent under prompt injection on one side, an untrusted server on the other.
 * Nesting is counted before `JSON.parse` runs, because `JSON.stringify` recurses and would overflow the stack later.
 * Numbers that a double can't hold keep their spelling (`JSON.rawJSON`), so that an amount of 12345678901234567890 arrives
 * as it was sent. Duplicate members are folded into one by parsing and writing again: what a policy reads is what a server gets.
 */
import { WireError } from './errors.ts'
import { isId, isObject, type JsonRpcMessage } from './json-rpc.ts'

export type ParseLimits = {
  /** Deepest nesting of arrays and objects. @default 128 */
  readonly maxDepth: number
  /** Most messages in one JSON-RPC batch (2025-03-26 only). @default 50 */
  readonly maxBatch: number
}

export const defaultParseLimits: ParseLimits = { maxDepth: 128, maxBatch: 50 }

/** One message from a client: the envelope must be right, everything inside it is kept. */
export function parseMessage(text: string, limits: ParseLimits = defaultParseLimits): JsonRpcMessage {
  const value = parseJson(text, limits.maxDepth)
  if (!isMessage(value)) throw new WireError('WIRE_INVALID_MESSAGE', 'the body is not a JSON-RPC 2.0 message')
  return value
}

/** One message, or a batch as 2025-03-26 allows it. */
export function parseBody(
  text: string,
  limits: ParseLimits = defaultParseLimits,
): JsonRpcMessage | readonly JsonRpcMessage[] {
  const value = parseJson(text, limits.maxDepth)
  if (!Array.isArray(value)) {
    if (!isMessage(value)) throw new WireError('WIRE_INVALID_MESSAGE', 'the body is not a JSON-RPC 2.0 message')
    return value
  }
  if (value.length === 0) throw new WireError('WIRE_INVALID_MESSAGE', 'the batch is empty')
  if (value.length > limits.maxBatch) {
    throw new WireError(
      'WIRE_BATCH_TOO_LARGE',
      `the batch has ${value.length} messages; the limit is ${limits.maxBatch}`,
    )
  }
  for (const item of value) {
    if (!isMessage(item)) throw new WireError('WIRE_INVALID_MESSAGE', 'the batch holds something that is no message')
  }
  return value
}

/**
 * What a server wrote. Real servers send `id: null` with errors and leave `jsonrpc` out; both are taken.
 * Returns undefined for text that is no message at all.
 */
export function parseUpstream(
  text: string,
  maxDepth: number = defaultParseLimits.maxDepth,
): JsonRpcMessage | undefined {
  // Most garbage shows at its first character, which is cheaper than an exception.
  if (!/^\s*\{/.test(text)) return undefined
  let value: unknown
  try {
    value = parseJson(text, maxDepth)
  } catch {
    return undefined
  }
  if (!isObject(value)) return undefined
  const looksRight = typeof value['method'] === 'string' || 'result' in value || isObject(value['error'])
  if (!looksRight) return undefined
  // Nearly every message has it: no copy for those.
  return value['jsonrpc'] === '2.0' ? (value as JsonRpcMessage) : { ...value, jsonrpc: '2.0' }
}

/** `JSON.parse` that counts nesting first and keeps numbers that a double would change. */
export function parseJson(text: string, maxDepth: number): unknown {
  const { tooDeep, losesDigits } = scan(text, maxDepth)
  if (tooDeep) throw new WireError('WIRE_TOO_DEEP', `the body is nested deeper than ${maxDepth}`)
  try {
    return losesDigits ? JSON.parse(text, keepSpelling) : JSON.parse(text)
  } catch (cause) {
    throw new WireError('WIRE_PARSE_ERROR', 'the body is not JSON', { cause })
  }
}

function keepSpelling(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value
  return String(value) === context.source ? value : JSON.rawJSON(context.source)
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** A double holds every integer of fifteen digits. */
const SAFE_DIGITS = 15

/** One pass over what is outside of strings: how deep it goes, and whether a number needs its spelling kept. */
function scan(text: string, maxDepth: number): { readonly tooDeep: boolean; readonly losesDigits: boolean } {
  let depth = 0
  let losesDigits = false
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (code === 0x7b || code === 0x5b) {
      depth += 1
      if (depth > maxDepth) return { tooDeep: true, losesDigits }
    } else if (code === 0x7d || code === 0x5d) depth -= 1
    else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      const from = at
      while (isNumberPart(text.charCodeAt(at + 1))) at += 1
      // Short and made of digits only: the same when written again. A leading minus may be that of -0.
      losesDigits ||= at - from >= SAFE_DIGITS || code === 0x2d || !isDigits(text, from, at)
    }
  }
  return { tooDeep: false, losesDigits }
}

/** Digits, point, sign, exponent: 0-9 . + - e E. NaN at the end of the text is none of them. */
function isNumberPart(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || code === 0x2e || code === 0x2b || code === 0x2d || code === 0x65 || code === 0x45
  )
}

function isDigits(text: string, from: number, to: number): boolean {
  for (let at = from; at <= to; at += 1) {
    const code = text.charCodeAt(at)
    if (code < 0x30 || code > 0x39) return false
  }
  return true
}

/** Index of the closing quote of the string that opens at `from`, or the end of the text. */
function endOfString(text: string, from: number): number {
  let at = from
  for (;;) {
    at = text.indexOf('"', at + 1)
    if (at === -1) return text.length
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1
    if (slashes % 2 === 0) return at
  }
}

function isMessage(value: unknown): value is JsonRpcMessage {
  if (!isObject(value) || value['jsonrpc'] !== '2.0') return false
  if (value['method'] !== undefined) {
    return typeof value['method'] === 'string' && (value['id'] === undefined || isId(value['id']))
  }
  return ('result' in value || isObject(value['error'])) && (isId(value['id']) || value['id'] === null)
}
