/**
 * What the log says of one call. What it was and how it ended are facts, which stay; who it was and what was said are fields,
 * which can be erased. Nothing a caller makes up goes into the facts at any length.
 */
import { createHash } from 'node:crypto'
import type { EntryInput, JsonObject as Facts } from '@mcp-gateway/audit-chain'
import { isObject, without, type JsonRpcResponse } from '@mcp-gateway/wire'
import type { Call } from './pipeline.ts'

/** How a call ended. `refused` by the gateway, `error` by the server, `abandoned` by its client. */
export type CallStatus = 'served' | 'tool_error' | 'error' | 'refused' | 'failed' | 'timeout' | 'abandoned'

export type CallEnd = {
  readonly status: CallStatus
  readonly code?: string | number
  readonly error?: string
  readonly response?: JsonRpcResponse
  readonly latencyMs: number
}

export type Keeping = 'full' | 'hash'
export type BodyRules = { readonly arguments: Keeping; readonly responses: Keeping; readonly maxBodyBytes: number }

/** Name, version and era as the server's handshake gave them. */
export type ServerIdentity = { readonly name?: string; readonly version?: string; readonly era: string }

/** Methods whose params and results are somebody's data. Of the others, lists and handshakes, only the facts are kept. */
const WITH_BODIES = new Set(['tools/call', 'prompts/get', 'resources/read', 'completion/complete'])
const WITH_PARAMS = new Set([...WITH_BODIES, 'resources/subscribe', 'resources/unsubscribe'])
/** A server, or a caller, names things as it likes. */
const MAX_NAME = 256
const MAX_SUBJECT = 256

export function callEntry(
  call: Call,
  end: CallEnd,
  rules: BodyRules,
  identity: ServerIdentity | undefined,
): EntryInput {
  const { message, caller, requestId, server, rule } = call
  const { method, params } = message
  const name = params?.['name']
  const facts: Record<string, Facts[string]> = {
    method: plain(method),
    status: end.status,
    latencyMs: Math.max(0, Math.round(end.latencyMs)),
  }
  if (server !== undefined) facts['server'] = server
  if (typeof name === 'string') facts['name'] = plain(name)
  if (end.code !== undefined) facts['code'] = plain(String(end.code))
  if (rule !== undefined) facts['rule'] = plain(rule)
  if (identity !== undefined) {
    const { name: product, version, era } = identity
    facts['serverInfo'] = { era, ...(product && { name: plain(product) }), ...(version && { version: plain(version) }) }
  }
  const fields: Record<string, string | Uint8Array> = {
    request: JSON.stringify({ keyId: caller.keyId, scheme: caller.scheme, requestId }).toWellFormed(),
  }
  const keep = (field: 'arguments' | 'response', text: string, how: Keeping): void => {
    const sizeBytes = Buffer.byteLength(text)
    facts[field === 'arguments' ? 'requestBytes' : 'responseBytes'] = sizeBytes
    if (how === 'hash') fields[`${field}Hash`] = `sha256:${createHash('sha256').update(text).digest('hex')}`
    else if (sizeBytes <= rules.maxBodyBytes) fields[field] = Buffer.from(text)
    else {
      // Cut before it is copied: a result may have 16 MiB.
      fields[field] = Buffer.from(text.slice(0, rules.maxBodyBytes)).subarray(0, rules.maxBodyBytes)
      facts[`${field}CutAt`] = rules.maxBodyBytes
    }
  }
  if (WITH_PARAMS.has(method) && params !== undefined) keep('arguments', argumentsOf(params), rules.arguments)
  const response = WITH_BODIES.has(method) ? answerOf(end) : undefined
  if (response !== undefined) keep('response', response, rules.responses)
  return { type: method === 'tools/call' ? 'tool.call' : 'call', facts, fields, subject: subjectOf(caller.id) }
}

function argumentsOf(params: NonNullable<Call['message']['params']>): string {
  const given = 'arguments' in params ? params['arguments'] : without(params, '_meta')
  return JSON.stringify(given ?? {})
}

function answerOf({ response, code, error }: CallEnd): string | undefined {
  if (response !== undefined) return JSON.stringify(response.error ?? response.result ?? null)
  return code === undefined ? undefined : JSON.stringify({ code, message: error })
}

/** A tool's own failure is a result (server/tools, error handling). */
export function isToolError({ result }: JsonRpcResponse): boolean {
  return isObject(result) && result['isError'] === true
}

function subjectOf(callerId: string): string {
  const id = callerId.toWellFormed().replaceAll(/\p{Cc}/gu, '?')
  return id === '' ? 'anonymous' : id.slice(0, MAX_SUBJECT).toWellFormed()
}

function plain(text: string): string {
  return text.slice(0, MAX_NAME).toWellFormed()
}
