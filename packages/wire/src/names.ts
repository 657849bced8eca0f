/**
 * Many servers behind one endpoint: tools and prompts are called `server__name`, resources `server+uri`. Both read backwards
 * without a table, except names that had to be shortened (MCP 2026-07-28, server/tools: prefix with an identifier the user
 * chose, never with `serverInfo.name`).
 */
import { createHash } from 'node:crypto'
import { isObject, type JsonObject } from './json-rpc.ts'

export const NAME_SEPARATOR = '__'
/** Claude's API refuses longer tool names (metamcp #249). */
export const MAX_NAME_LENGTH = 64
const DIGEST_LENGTH = 8

/** `server__name`; past 64 characters the tail gives way to a digest of the whole, the same for the same name for ever. */
export function joinName(serverId: string, name: string): string {
  const full = `${serverId}${NAME_SEPARATOR}${name}`
  if (full.length <= MAX_NAME_LENGTH) return full
  const digest = createHash('sha256').update(full).digest('hex').slice(0, DIGEST_LENGTH)
  return `${full.slice(0, MAX_NAME_LENGTH - DIGEST_LENGTH - 1)}_${digest}`
}

/** The server and the rest of a joined name. The rest is the original unless `isShortened`. */
export function splitName(joined: string): { readonly serverId: string; readonly name: string } | undefined {
  const at = joined.indexOf(NAME_SEPARATOR)
  if (at <= 0) return undefined
  return { serverId: joined.slice(0, at), name: joined.slice(at + NAME_SEPARATOR.length) }
}

/** Whether the name may be the shortened form of another, which takes the server's list to know. */
export function isShortened(joined: string): boolean {
  return joined.length === MAX_NAME_LENGTH && /_[0-9a-f]{8}$/.test(joined)
}

/** A scheme begins with a letter; an id may begin with a digit, but has no point in it. */
const LETTER = 'x.'

/** `+` is allowed in a URI scheme (RFC 3986 §3.1), so the result is a URI and a URI template still is one. */
export function joinUri(serverId: string, uri: string): string {
  return `${/^\d/.test(serverId) ? LETTER : ''}${serverId}+${uri}`
}

export function splitUri(joined: string): { readonly serverId: string; readonly uri: string } | undefined {
  const at = joined.indexOf('+')
  if (at <= 0) return undefined
  const from = joined.startsWith(LETTER) ? LETTER.length : 0
  return { serverId: joined.slice(from, at), uri: joined.slice(at + 1) }
}

/** A result of `tools/call`, `prompts/get` or `resources/read` with every resource URI in its known places joined. */
export function joinResultUris(serverId: string, result: unknown): unknown {
  if (!isObject(result)) return result
  const changed: Record<string, unknown> = {}
  if (Array.isArray(result['content']))
    changed['content'] = result['content'].map((item) => joinContent(serverId, item))
  if (Array.isArray(result['contents'])) changed['contents'] = result['contents'].map((item) => withUri(serverId, item))
  if (Array.isArray(result['messages'])) {
    changed['messages'] = result['messages'].map((message: unknown) =>
      isObject(message) ? { ...message, content: joinContent(serverId, message['content']) } : message,
    )
  }
  return { ...result, ...changed }
}

/** An item of `resources/list`, or of `resources/templates/list`. */
export function joinResource(serverId: string, item: JsonObject): JsonObject {
  const template = item['uriTemplate']
  return typeof template === 'string' ? { ...item, uriTemplate: joinUri(serverId, template) } : withUri(serverId, item)
}

function joinContent(serverId: string, item: unknown): unknown {
  if (!isObject(item)) return item
  if (item['type'] === 'resource_link') return withUri(serverId, item)
  return item['type'] === 'resource' ? { ...item, resource: withUri(serverId, item['resource']) } : item
}

function withUri<T>(serverId: string, item: T): T {
  return isObject(item) && typeof item['uri'] === 'string' ? { ...item, uri: joinUri(serverId, item['uri']) } : item
}
