/**
 * How many calls of what ended how, since the start, in cells that a call finds with three look-ups.
 *
 * The adversaries: callers who make up names, and a server that lists new tools all the time. A tool has a name here when its
 * server has listed it and it was called, up to {@link MAX_TOOLS_PER_SERVER} and {@link MAX_TOOLS}; all others are `other`.
 */
import { splitName, type JsonRpcRequest } from '@mcp-gateway/wire'
import { nameWithoutSecrets } from './foreign-text.ts'
import { createHistogram, observe, type Histogram } from './histogram.ts'
import type { CallStatus } from './ledger-entry.ts'
import { OWN_ID } from './own-server.ts'
import type { Call } from './pipeline.ts'

export type CallCell = {
  readonly server: string
  /** Or a method, for what calls no tool. */
  readonly tool: string
  readonly isTool: boolean
  readonly status: CallStatus
  readonly took: Histogram
}

export type CallMetrics = {
  /** A server says which tools it has. */
  listed(server: string, names: readonly string[]): void
  /** @param granted what its server got, or would have got; undefined when it came not so far */
  ended(call: Call, granted: JsonRpcRequest | undefined, status: CallStatus, code: unknown, ms: number): void
  readonly cells: () => readonly CallCell[]
  readonly rateLimited: () => number
}

/** Tools with cells of their own: each of them is some twenty lines of the page. */
const MAX_TOOLS = 2000
const MAX_TOOLS_PER_SERVER = 500
/** Names of one server that are remembered until they are called. */
const MAX_LISTED = 10_000
/** A longer name is `other`. */
const MAX_NAME = 256
const OTHER = 'other'
/** Codes of calls that were one too many. */
const LIMITED: ReadonlySet<unknown> = new Set([
  'POLICY_RATE_LIMITED',
  'POLICY_CONCURRENCY_LIMITED',
  'POLICY_QUOTA_REACHED',
])

/** Of both eras. Another method is its caller's invention, or its server's. */
const METHODS: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'prompts/list',
  'prompts/get',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'completion/complete',
  'logging/setLevel',
  'subscriptions/listen',
])

type Row = { readonly label: string; readonly byStatus: Map<CallStatus, Histogram> }
/** As many as the configurations of this process have named. */
type ServerRows = {
  readonly listed: Set<string>
  readonly tools: Map<string, Row>
  readonly otherTools: Row
  readonly methods: Map<string, Row>
}

export function createCallMetrics(): CallMetrics {
  const servers = new Map<string, ServerRows>()
  let tools = 0
  let rateLimited = 0

  const rowsOf = (server: string): ServerRows => {
    let rows = servers.get(server)
    if (rows === undefined) {
      rows = { listed: new Set(), tools: new Map(), otherTools: createRow(OTHER), methods: new Map() }
      servers.set(server, rows)
    }
    return rows
  }
  const toolRow = (rows: ServerRows, name: string): Row | undefined => {
    const known = rows.tools.get(name)
    if (known !== undefined) return known
    if (!rows.listed.has(name) || rows.tools.size >= MAX_TOOLS_PER_SERVER || tools >= MAX_TOOLS) return undefined
    const row = createRow(nameWithoutSecrets(name.toWellFormed()))
    rows.tools.set(name, row)
    tools += 1
    return row
  }
  const methodRow = (rows: ServerRows, method: string): Row => {
    const label = METHODS.has(method) ? method : OTHER
    let row = rows.methods.get(label)
    if (row === undefined) {
      row = createRow(label)
      rows.methods.set(label, row)
    }
    return row
  }
  const rowOf = (server: string, { method, params }: JsonRpcRequest, isGranted: boolean): Row => {
    const rows = rowsOf(server)
    if (method !== 'tools/call') return methodRow(rows, method)
    const name = params?.['name']
    if (typeof name !== 'string') return rows.otherTools
    const row = toolRow(rows, name) ?? (isGranted ? undefined : toolRow(rows, ownName(server, name)))
    return row ?? rows.otherTools
  }

  return {
    listed(server, names) {
      const { listed } = rowsOf(server)
      for (const name of names) {
        if (name.length > MAX_NAME) continue
        if (listed.size >= MAX_LISTED) listed.clear()
        listed.add(name)
      }
    },
    ended({ server = OWN_ID, message }, granted, status, code, ms) {
      const { byStatus } = rowOf(server, granted ?? message, granted !== undefined)
      let took = byStatus.get(status)
      if (took === undefined) {
        took = createHistogram()
        byStatus.set(status, took)
      }
      observe(took, ms)
      if (LIMITED.has(code)) rateLimited += 1
    },
    cells: () => Array.from(servers).flatMap(([server, rows]) => cellsOf(server, rows)),
    rateLimited: () => rateLimited,
  }
}

function createRow(label: string): Row {
  return { label, byStatus: new Map() }
}

/** On `/mcp` a call that was refused still has the name that it has there. */
function ownName(server: string, name: string): string {
  const parts = splitName(name)
  return parts?.serverId === server ? parts.name : name
}

function cellsOf(server: string, { tools, otherTools, methods }: ServerRows): CallCell[] {
  const cells = (rows: Iterable<Row>, isTool: boolean): CallCell[] =>
    Array.from(rows).flatMap(({ label: tool, byStatus }) =>
      Array.from(byStatus, ([status, took]) => ({ server, tool, isTool, status, took })),
    )
  return [...cells([...tools.values(), otherTools], true), ...cells(methods.values(), false)]
}
