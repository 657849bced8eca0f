/** The audit log as tools of the gateway. Their calls are logged like any other. */
import type { JsonObject } from '@mcp-gateway/wire'
import { GatewayError } from './errors.ts'
import { MAX_LIMIT } from './ledger-query.ts'
import type { LedgerReports, Times } from './ledger-reports.ts'
import type { OwnTool } from './own-tools.ts'

const DEFAULT_LIMIT = 20
const READ_ONLY: JsonObject = { readOnlyHint: true, openWorldHint: false }
const TIME: JsonObject = { type: 'string', description: 'ISO 8601' }
const times = { from: TIME, to: TIME }
const text: JsonObject = { type: 'string' }

export function createLedgerTools(reports: LedgerReports): readonly OwnTool[] {
  return [
    {
      name: 'audit_log',
      description: 'Entries of the audit log, newest first. Takes the role auditor or admin.',
      inputSchema: schema({ ...times, consumer: text, server: text, tool: text, status: text, cursor: text, limit: { type: 'integer', minimum: 1, maximum: MAX_LIMIT } }), // prettier-ignore
      annotations: READ_ONLY,
      async run(args, { caller }) {
        const { limit = DEFAULT_LIMIT, cursor } = args
        const [consumer, server, tool, status] = ['consumer', 'server', 'tool', 'status'].map((key) =>
          textOf(args, key),
        )
        const filter = { consumer, server, tool, status, ...timesOf(args) }
        const query = { ...filter, limit: numberOf(limit), before: cursor === undefined ? undefined : numberOf(cursor) }
        const { entries, next } = await reports.query(caller, query)
        return { entries, ...(next !== undefined && { nextCursor: String(next) }) } // prettier-ignore
      },
    },
    {
      name: 'audit_verify',
      description: 'Whether the audit log is what was written. Reads all of it. Takes the role auditor or admin.',
      inputSchema: schema({}),
      annotations: READ_ONLY,
      run: async (_args, { caller }) => ({ ...(await reports.verify(caller)) }),
    },
    {
      name: 'audit_stats',
      description: 'Totals of the audit log. Takes the role auditor or admin.',
      inputSchema: schema(times),
      annotations: READ_ONLY,
      run: async (args, { caller }) => ({ ...(await reports.stats(caller, timesOf(args))) }),
    },
    {
      name: 'usage',
      description: 'Calls, errors, times and bytes by consumer, server and tool. Takes the role auditor or admin.',
      inputSchema: schema({ ...times, consumer: text }),
      annotations: READ_ONLY,
      run: async (args, { caller }) => ({
        usage: await reports.usage(caller, timesOf(args), textOf(args, 'consumer')),
      }),
    },
  ]
}

function schema(properties: JsonObject): JsonObject {
  return { type: 'object', properties, additionalProperties: false }
}

function textOf(args: JsonObject, key: string): string | undefined {
  const value = args[key]
  if (value === undefined || typeof value === 'string') return value
  throw new GatewayError('GATEWAY_INVALID_REQUEST', `${key} must be a string`)
}

function numberOf(value: unknown): number {
  const number = Number(value)
  if (Number.isSafeInteger(number) && number >= 0) return number
  throw new GatewayError('GATEWAY_INVALID_REQUEST', 'limit and cursor must be whole numbers')
}

function timesOf(args: JsonObject): Times {
  const [from, to] = ['from', 'to'].map((key) => {
    const given = textOf(args, key)
    const at = given === undefined ? undefined : Date.parse(given)
    if (at === undefined || !Number.isNaN(at)) return at
    throw new GatewayError('GATEWAY_INVALID_REQUEST', `${key} must be a time such as 2027-01-31T00:00:00Z`)
  })
  return { from, to }
}
