/**
 * What the log says of one call. What it was and how it ended are facts, which stay; who it was and what was said are fields,
 * which can be erased. Nothing a caller makes up goes into the facts at any length.
 */
import type { EntryInput, JsonObject as Facts } from '@mcp-gateway/audit-chain'
import { isObject, without, type JsonObject, type JsonRpcRequest, type JsonRpcResponse } from '@mcp-gateway/wire'
import { nameWithoutSecrets } from './foreign-text.ts'
import type { GrantNotes } from './grant.ts'
import { keepBody, type BodyRules } from './ledger-body.ts'
import type { Call } from './pipeline.ts'

/** How a call ended. `refused` by the gateway, `error` by the server, `abandoned` by its client. */
export type CallStatus = 'served' | 'tool_error' | 'error' | 'refused' | 'failed' | 'timeout' | 'abandoned'

export type CallEnd = {
  readonly status: CallStatus
  readonly code?: string | number
  readonly error?: string
  readonly response?: JsonRpcResponse
  readonly latencyMs: number
  /** The rule that refused. */
  readonly rule?: string
  readonly notes: GrantNotes
  /** `metadata`: a rule keeps its bodies out of the log. */
  readonly detail: 'bodies' | 'metadata'
  /** What its server got, or would have got. */
  readonly sent: JsonRpcRequest
}

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
  const { message, caller, requestId, server } = call
  const { method } = message
  const name = message.params?.['name']
  const facts: Record<string, Facts[string]> = {
    method: plain(method),
    status: end.status,
    latencyMs: Math.max(0, Math.round(end.latencyMs)),
  }
  if (server !== undefined) facts['server'] = server
  if (typeof name === 'string') facts['name'] = nameWithoutSecrets(plain(name))
  if (end.code !== undefined) facts['code'] = plain(String(end.code))
  const rule = end.rule ?? end.notes.rule
  if (rule !== undefined) facts['rule'] = plain(rule)
  const { dryRun, redacted, flagged } = end.notes
  if (dryRun !== undefined) facts['dryRun'] = { allowed: dryRun.allowed, rule: plain(dryRun.rule) }
  if (redacted !== undefined) facts['redacted'] = redacted
  if (flagged !== undefined) facts['flagged'] = [...flagged]
  if (identity !== undefined) {
    const { name: product, version, era } = identity
    facts['serverInfo'] = { era, ...(product && { name: plain(product) }), ...(version && { version: plain(version) }) }
  }
  const fields: Record<string, string | Uint8Array> = {
    request: JSON.stringify({ keyId: caller.keyId, scheme: caller.scheme, requestId }).toWellFormed(),
  }
  if (end.detail === 'bodies') {
    const { method: asked, params: given } = end.sent
    const at = { server: server ?? '', tool: asked === 'tools/call' ? String(given?.['name']) : asked }
    if (WITH_PARAMS.has(method) && given !== undefined) keepBody('arguments', argumentsOf(given), at, rules, { facts, fields }) // prettier-ignore
    const answer = WITH_BODIES.has(method) ? answerOf(end) : undefined
    if (answer !== undefined) keepBody('response', answer, at, rules, { facts, fields })
  }
  return { type: method === 'tools/call' ? 'tool.call' : 'call', facts, fields, subject: subjectOf(caller.id) }
}

function argumentsOf(params: JsonObject): unknown {
  return ('arguments' in params ? params['arguments'] : without(params, '_meta')) ?? {}
}

function answerOf({ response, code, error }: CallEnd): unknown {
  if (response !== undefined) return response.error ?? response.result ?? null
  return code === undefined ? undefined : { code, message: error }
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
