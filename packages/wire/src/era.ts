/**
 * The two protocol eras that live on one URL (MCP 2026-07-28, basic/versioning).
 *
 * modern: 2026-07-28, stateless, every request names its version in `params._meta`.
 * legacy: up to 2025-11-25, `initialize` opens a session. The body decides; the header is checked against it.
 */
import { WireError } from './errors.ts'
import { isObject, metaOf, type JsonRpcNotification, type JsonRpcRequest } from './json-rpc.ts'

export type Era = 'modern' | 'legacy'

export const MODERN_VERSIONS: readonly string[] = ['2026-07-28']
const LATEST_LEGACY_VERSION = '2025-11-25'
/** Newest first: the first is what we ask of a server. */
export const LEGACY_VERSIONS: readonly string[] = [
  LATEST_LEGACY_VERSION,
  '2025-06-18',
  '2025-03-26',
  '2024-11-05',
  '2024-10-07',
]

export const META_VERSION = 'io.modelcontextprotocol/protocolVersion'
export const META_CLIENT_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities'
export const META_CLIENT_INFO = 'io.modelcontextprotocol/clientInfo'
export const META_SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId'
export const META_SERVER_INFO = 'io.modelcontextprotocol/serverInfo'
export const META_LOG_LEVEL = 'io.modelcontextprotocol/logLevel'

/**
 * Which era a client's request or notification belongs to. Throws when it claims the modern era and then breaks its rules
 * (basic/index, "Missing required" -> -32602 and HTTP 400; unknown revision -> -32022).
 */
export function eraOf(message: JsonRpcRequest | JsonRpcNotification, versionHeader: string | undefined): Era {
  const claim = metaOf(message)?.[META_VERSION]
  const headerIsModern = versionHeader !== undefined && isModern(versionHeader)
  if (claim === undefined) {
    if (!headerIsModern) return 'legacy'
    if (message['id'] === undefined) return 'modern'
    if (message.method === 'initialize') throw headerMismatch('initialize was sent with a modern MCP-Protocol-Version')
    throw missingMeta(META_VERSION)
  }
  // A version string before the split is no claim of the modern era when it comes with the legacy handshake.
  if (message.method === 'initialize' && !(typeof claim === 'string' && isModern(claim))) return 'legacy'
  checkModernMeta(message, claim, versionHeader)
  return 'modern'
}

function checkModernMeta(
  message: JsonRpcRequest | JsonRpcNotification,
  claim: unknown,
  versionHeader: string | undefined,
): void {
  if (typeof claim !== 'string') throw missingMeta(META_VERSION)
  if (versionHeader !== undefined && versionHeader !== claim) {
    throw headerMismatch(`MCP-Protocol-Version is ${versionHeader}, the body says ${claim}`)
  }
  if (!MODERN_VERSIONS.includes(claim)) {
    throw new WireError('WIRE_UNSUPPORTED_PROTOCOL_VERSION', `unsupported protocol version: ${claim}`, {
      data: { supported: MODERN_VERSIONS, requested: claim },
    })
  }
  const isRequest = message['id'] !== undefined
  if (isRequest && !isObject(metaOf(message)?.[META_CLIENT_CAPABILITIES])) throw missingMeta(META_CLIENT_CAPABILITIES)
}

/** Revisions are dates, so they sort as text; a revision newer than ours is modern and unsupported, not legacy. */
function isModern(version: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(version) && version >= '2026-07-28'
}

function missingMeta(key: string): WireError {
  return new WireError('WIRE_ENVELOPE_INVALID', `params._meta["${key}"] is missing or has the wrong type`)
}

function headerMismatch(message: string): WireError {
  return new WireError('WIRE_HEADER_MISMATCH', message)
}

/** The answer to `initialize`: the version that was asked for when we speak it, and our latest otherwise (basic/lifecycle). */
export function negotiateVersion(asked: unknown): string {
  return LEGACY_VERSIONS.find((known) => known === asked) ?? LATEST_LEGACY_VERSION
}
