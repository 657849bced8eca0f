/**
 * What the log says of one call. What it was and how it ended are facts, which stay; who it was and what was said are fields,
 * which can be erased. Nothing a caller makes up goes into the facts at any length.
 */
import type { EntryInput, JsonObject as Facts } from '@mcp-gateway/audit-chain'
import type { Caller } from '@mcp-gateway/auth'
import {
  isObject,
  without,
  type JsonObject,
  type JsonRpcRequest,
  type JsonRpcResponse,
  type ServerProfile,
} from '@mcp-gateway/wire'
import { nameWithoutSecrets } from './foreign-text.ts'
import type { GrantNotes } from './grant.ts'
import { keepBody, type BodyRules, type Kept } from './ledger-body.ts'
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

/** Methods whose params and results are somebody's data. Of the others, lists and handshakes, only the facts are kept. */
const WITH_BODIES = new Set(['tools/call', 'prompts/get', 'resources/read', 'completion/complete'])
const WITH_PARAMS = new Set([...WITH_BODIES, 'resources/subscribe', 'resources/unsubscribe'])
/** A server, or a caller, names things as it likes. */
const MAX_NAME = 256
const MAX_SUBJECT = 256

export function callEntry(call: Call, end: CallEnd, rules: BodyRules, profile: ServerProfile | undefined): EntryInput {
  const { message, caller, requestId, server } = call
  const { method } = message
  const { subject, beforeRequestId } = saidOf(caller)
  const fields: Kept['fields'] = {}
  const sizes: Kept['facts'] = {}
  const kept = { facts: sizes, fields }
  const { method: asked, params: given } = end.sent
  const at = { server: server ?? '', tool: asked === 'tools/call' ? String(given?.['name']) : asked }
  const hasBodies = end.detail === 'bodies'
  // In the order of their names, in which they are written: nothing has to be sorted.
  if (hasBodies && given !== undefined && WITH_PARAMS.has(method))
    keepBody('arguments', argumentsOf(given), at, rules, kept)
  fields['request'] = `${beforeRequestId}${JSON.stringify(requestId)}}`
  const answer = hasBodies && WITH_BODIES.has(method) ? answerOf(end) : undefined
  if (answer !== undefined) keepBody('response', answer, at, rules, kept)
  return {
    type: method === 'tools/call' ? 'tool.call' : 'call',
    facts: factsOf(call, end, sizes, profile),
    fields,
    subject,
  }
}

/** In the order of the canonical form: the log writes what is in order in half the time. */
function factsOf(
  { message: { method, params }, server }: Call,
  end: CallEnd,
  sizes: Kept['facts'],
  profile: ServerProfile | undefined,
): Facts {
  const { argumentsCutAt, requestBytes, responseBytes, responseCutAt } = sizes
  const { dryRun, redacted, flagged } = end.notes
  const name = params?.['name']
  const rule = end.rule ?? end.notes.rule
  const facts: Record<string, Facts[string]> = {}
  if (argumentsCutAt !== undefined) facts['argumentsCutAt'] = argumentsCutAt
  if (end.code !== undefined) facts['code'] = plain(String(end.code))
  if (dryRun !== undefined) facts['dryRun'] = { allowed: dryRun.allowed, rule: plain(dryRun.rule) }
  if (flagged !== undefined) facts['flagged'] = [...flagged]
  facts['latencyMs'] = Math.max(0, Math.round(end.latencyMs))
  facts['method'] = nameWithoutSecrets(plain(method))
  if (typeof name === 'string') facts['name'] = nameWithoutSecrets(plain(name))
  if (redacted !== undefined) facts['redacted'] = redacted
  if (requestBytes !== undefined) facts['requestBytes'] = requestBytes
  if (responseBytes !== undefined) facts['responseBytes'] = responseBytes
  if (responseCutAt !== undefined) facts['responseCutAt'] = responseCutAt
  if (rule !== undefined) facts['rule'] = plain(rule)
  if (server !== undefined) facts['server'] = server
  if (profile !== undefined) facts['serverInfo'] = infoOf(profile)
  facts['status'] = end.status
  return facts
}

const infos = new WeakMap<ServerProfile, Facts>()

/** Era, name and version as the server's handshake gave them. */
function infoOf(profile: ServerProfile): Facts {
  const known = infos.get(profile)
  if (known !== undefined) return known
  const { name, version } = profile.serverInfo ?? {}
  const info: Record<string, string> = { era: profile.era }
  if (typeof name === 'string' && name !== '') info['name'] = plain(name)
  if (typeof version === 'string' && version !== '') info['version'] = plain(version)
  infos.set(profile, info)
  return info
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

type Said = { readonly subject: string; readonly beforeRequestId: string }

/** The same caller comes again and again. */
const said = new WeakMap<Caller, Said>()

function saidOf(caller: Caller): Said {
  const known = said.get(caller)
  if (known !== undefined) return known
  const { id, keyId, scheme } = caller
  const subject =
    id
      .toWellFormed()
      .replaceAll(/\p{Cc}/gu, '?')
      .slice(0, MAX_SUBJECT)
      .toWellFormed() || 'anonymous'
  const beforeRequestId = `${JSON.stringify({ keyId, scheme }).slice(0, -1)},"requestId":`
  const now = { subject, beforeRequestId }
  said.set(caller, now)
  return now
}

function plain(text: string): string {
  return text.slice(0, MAX_NAME).toWellFormed()
}
