/** The audit log over HTTP. Who may see what is ledger-reports.ts' decision. */
import { createRoute, z, type OpenAPIHono, type RouteConfig } from '@hono/zod-openapi'
import type { LedgerReports } from './ledger-reports.ts'
import { MAX_LIMIT } from './ledger-query.ts'
import { addTileRoutes } from './ledger-tiles.ts'
import type { RestEnv } from './routes.ts'

const DEFAULT_LIMIT = 50

/** ISO 8601, or epoch milliseconds. */
const time = z
  .string()
  .max(40)
  .transform((text, context) => {
    const at = /^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)
    if (!Number.isNaN(at)) return at
    context.addIssue({ code: 'custom', message: 'must be a time such as 2027-01-31T00:00:00Z, or epoch milliseconds' })
    return z.NEVER
  })
  .optional()
  .openapi({ type: 'string' })
const word = z.string().min(1).max(256).optional()
const times = z.object({ from: time, to: time })
const count = z.int().min(0)

const rowSchema = z
  .object({
    seq: count,
    id: z.string(),
    type: z.string(),
    at: z.string(),
    consumer: z.string().optional(),
    keyId: z.string().optional(),
    requestId: z.string().optional(),
    facts: z.looseObject({}),
    arguments: z.string().optional(),
    response: z.string().optional(),
  })
  .openapi('AuditEntry')
const usageSchema = z
  .object({
    consumer: z.string(),
    server: z.string(),
    tool: z.string(),
    calls: count,
    errors: count,
    latencyMs: count,
    maxLatencyMs: count,
    requestBytes: count,
    responseBytes: count,
  })
  .openapi('Usage')
const exportSchema = z.object({
  name: z.string(),
  type: z.string(),
  region: z.string().optional(),
  cursor: count,
  lag: count,
  lastError: z.object({ at: z.string(), message: z.string() }).optional(),
  deadLetters: count,
})
const statsSchema = z
  .object({
    entries: count,
    calls: count,
    errors: count,
    latencyMs: count,
    maxLatencyMs: count,
    byStatus: z.record(z.string(), count),
    byType: z.record(z.string(), count),
    exports: z.array(exportSchema),
  })
  .openapi('AuditStats')
const findingSchema = z.object({ code: z.string(), seq: count.optional(), message: z.string() })
const metaSchema = z
  .object({
    entries: count,
    signedEntries: count,
    logs: count,
    behind: z.array(z.object({ log: z.string(), signed: count, recorded: count })),
    problem: z.string().optional(),
  })
  .openapi('AuditMeta')
const verificationSchema = z
  .object({
    intact: z.boolean(),
    entries: count,
    rootHash: z.string(),
    signedEntries: count,
    findings: z.array(findingSchema),
    meta: metaSchema,
  })
  .openapi('AuditVerification')
const metaProofSchema = z.object({ entry: z.string(), proof: z.string(), verifierKey: z.string() })
const proofSchema = z
  .object({
    id: z.string(),
    seq: count,
    leaf: z.string(),
    proof: z.string(),
    verifierKey: z.string(),
    meta: metaProofSchema.optional(),
    metaProblem: z.string().optional(),
  })
  .openapi('AuditProof')

const security = [{ apiKey: [] }, { bearer: [] }]
const refused = {
  401: { description: 'The credentials are missing or not good' },
  403: { description: 'The caller has neither the role auditor nor admin' },
  404: { description: 'The log is switched off, or has no such entry' },
  503: { description: 'The log cannot be read' },
} as const

function route<P extends string, Q extends NonNullable<RouteConfig['request']>, T extends z.ZodType>(
  path: P,
  summary: string,
  request: Q,
  schema: T,
) {
  const ok = { description: summary, content: { 'application/json': { schema } } }
  return createRoute({ method: 'get' as const, path, summary, security, request, responses: { 200: ok, ...refused } })
}

const query = times.extend({
  consumer: word,
  server: word,
  tool: word,
  status: word,
  type: word,
  limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
  cursor: z.string().regex(/^\d{1,15}$/).optional(), // prettier-ignore
})
const pageSchema = z.object({ entries: z.array(rowSchema), nextCursor: z.string().optional() })
const usageList = z.object({ usage: z.array(usageSchema) })

const routes = {
  query: route('/api/audit', 'Entries of the audit log, newest first', { query }, pageSchema),
  verify: route('/api/audit/verify', 'Whether the audit log is what was written', {}, verificationSchema),
  stats: route('/api/audit/stats', 'Totals of the audit log', { query: times }, statsSchema),
  usage: route('/api/usage', 'Usage by consumer, server and tool', { query: times }, usageList),
  usageOf: route('/api/usage/{consumer}', 'Usage of one consumer', { query: times, params: z.object({ consumer: z.string().max(256) }) }, usageList), // prettier-ignore
  proof: route('/api/proofs/{id}', 'Proof that an entry is in the log', { params: z.object({ id: z.string().max(64) }) }, proofSchema), // prettier-ignore
}

export function addLedgerRoutes(app: OpenAPIHono<RestEnv>, reports: LedgerReports): void {
  app.openapi(routes.query, async (c) => {
    const { cursor, ...asked } = c.req.valid('query')
    const before = cursor === undefined ? undefined : Number(cursor)
    const { entries, next } = await reports.query(c.get('caller'), { ...asked, before })
    const nextCursor = next === undefined ? {} : { nextCursor: String(next) }
    return c.json({ entries: entries.map((row) => ({ ...row, facts: { ...row.facts } })), ...nextCursor }, 200)
  })
  app.openapi(routes.verify, async (c) => {
    const found = await reports.verify(c.get('caller'))
    const meta = { ...found.meta, behind: [...found.meta.behind] }
    return c.json({ ...found, findings: [...found.findings], meta }, 200)
  })
  app.openapi(routes.stats, async (c) => {
    const { exports, ...stats } = await reports.stats(c.get('caller'), c.req.valid('query'))
    return c.json({ ...stats, exports: [...exports] }, 200)
  })
  app.openapi(routes.usage, async (c) =>
    c.json({ usage: [...(await reports.usage(c.get('caller'), c.req.valid('query')))] }, 200),
  )
  app.openapi(routes.usageOf, async (c) => {
    const { consumer } = c.req.valid('param')
    return c.json({ usage: [...(await reports.usage(c.get('caller'), c.req.valid('query'), consumer))] }, 200)
  })
  addTileRoutes(app, reports)
  app.openapi(routes.proof, async (c) => c.json(await reports.prove(c.get('caller'), c.req.valid('param').id), 200))
}
