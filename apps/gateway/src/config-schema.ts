/**
 * The shape of gateway.yaml, said once: it checks the file and it is the JSON Schema that editors read.
 * zod stays inside this file and its sections; what leaves it is `Config`, plain problems and plain JSON.
 */
import { DEFAULT_TENANT } from '@mcp-gateway/auth'
import { z } from 'zod'
import { toAuth } from './auth-config.ts'
import { authSchema, identifier } from './auth-schema.ts'
import type { Config, ServerConfig } from './config.ts'
import { nearest, type Path, type Problem } from './config-findings.ts'
import { auditSchema } from './config-audit.ts'
import { digits, flag, isHttpUrl, text, texts, wholeNumber } from './config-values.ts'
import { policyShape } from './policy-schema.ts'
import { quotaSchema } from './quota-schema.ts'
import { upstreamAuthSchema } from './upstream-auth-schema.ts'

// No "_" at all: `server__tool` must split in one way only, and 64 characters have to hold both names.
const serverId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, { error: 'must be lower-case letters, digits and "-", at most 32 characters' })

const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, { error: 'is not an HTTP header name' })
// RFC 9110 §5.5: a CR or LF from a variable would add a header of its author's choice.
const headerValue = z.string().regex(/^[^\r\n\0]*$/, { error: 'must not contain a line break' })
const variableName = z.string().regex(/^[^=\0]+$/, { error: 'is not a variable name' })

const toolSchema = z.strictObject({
  timeout: z.preprocess(digits, z.int().min(1).max(86_400_000)).optional().describe('As `timeout` of the server.'),
  maxTimeout: z.preprocess(digits, z.int().min(0).max(604_800_000)).optional().describe('As that of the server.'),
  scopes: z
    .array(z.string())
    .optional()
    .describe('Scopes that an access token must have to call it, besides `auth.scopes`.'),
})

const serverSchema = z.strictObject({
  id: serverId.describe('Prefix of its tools (`id__tool`) and its name in URLs.'),
  name: text('What a person calls this server. Defaults to the id.').optional(),
  description: text('One sentence about it.').optional(),
  enabled: flag(true, 'false leaves it out without forgetting it.'),
  tenants: z
    .array(identifier)
    .min(1)
    .default([DEFAULT_TENANT])
    .describe('The tenants that have this server, each with a process or session of its own.'),
  tags: texts('Free words to find it by.'),
  timeout: wholeNumber(1, 86_400_000, 60_000, 'Milliseconds a call may stay silent before it is given up.'),
  maxTimeout: wholeNumber(0, 604_800_000, 3_600_000, 'Milliseconds a call may take at all; 0 sets no limit.'),
  startTimeout: wholeNumber(1, 3_600_000, 30_000, 'Milliseconds until the server must have answered the handshake.'),
  idleStop: wholeNumber(0, 604_800_000, 300_000, 'Milliseconds after which an unused server is stopped; 0 never.'),
  healthInterval: wholeNumber(0, 86_400_000, 30_000, 'Milliseconds between pings of an idle server; 0 for none.'),
  isolation: z
    .enum(['caller', 'session'])
    .default('caller')
    .describe('caller: the legacy sessions of one caller share a process. session: each has a process of its own.'),
  tools: z
    .record(z.string().min(1).max(256), toolSchema)
    .default({})
    .describe('Settings of single tools, by their name at the server.'),
  command: text('Program of a local server (stdio). Either this or `url`.').optional(),
  args: z.array(z.string()).optional().describe('Arguments of `command`. Quote numbers: "8080".'),
  env: z
    .record(variableName, z.string())
    .optional()
    .describe(
      'Variables of the local server. It is given no others of the gateway. `${NAME}` refers to the gateway’s.',
    ),
  cwd: text('Folder `command` starts in, relative to this file.').optional(),
  url: z
    .string()
    .refine(isHttpUrl, { error: 'must be an http:// or https:// URL without user name, password or fragment' })
    .optional()
    .describe('Address of a remote server. Either this or `command`.'),
  transport: z.enum(['http', 'sse']).optional().describe('http is Streamable HTTP; sse is the 2024-11-05 transport.'),
  headers: z.record(headerName, headerValue).optional().describe('Headers sent to `url`.'),
  auth: upstreamAuthSchema.optional().describe('How the gateway gets access tokens for `url`.'),
})

const limitsSchema = z.strictObject({
  maxBodyBytes: wholeNumber(1024, 1_073_741_824, 4_194_304, 'Bytes of one HTTP request body.'),
  maxDepth: wholeNumber(8, 4096, 128, 'Nesting of one JSON message.'),
  maxBatch: wholeNumber(1, 10_000, 50, 'Messages in one JSON-RPC batch (2025-03-26).'),
  maxSessions: wholeNumber(1, 1_000_000, 1000, 'Open sessions of legacy clients.'),
  maxSessionsPerCaller: wholeNumber(1, 1_000_000, 100, 'Open sessions of one consumer.'),
  sessionIdleMs: wholeNumber(1000, 604_800_000, 1_800_000, 'A session unused for so long is closed.'),
  maxLineBytes: wholeNumber(1024, 1_073_741_824, 16_777_216, 'Bytes of one message from a local server.'),
  maxConcurrentCalls: wholeNumber(1, 1_000_000, 1024, 'Calls in flight on one connection to a server.'),
  maxConnectionsPerServer: wholeNumber(1, 100_000, 100, 'Connections (processes, for a local server) to one server.'),
  maxParkedCalls: wholeNumber(1, 1_000_000, 1000, 'Calls of one server that wait for input of their client.'),
})

const fileSchema = z.strictObject({
  $schema: z.string().optional().describe('For editors only.'),
  host: text('Address to listen on. Anything but loopback needs `auth.type: api-key`.').default('127.0.0.1'),
  publicUrl: z
    .string()
    .refine((value) => URL.canParse(value) && new URL(value).origin === value, {
      error: 'must be scheme and host, such as https://gw.example.com, and nothing after them',
    })
    .optional()
    .describe('Scheme and host by which callers know the gateway: tokens and signatures are for this name.'),
  tls: z
    .strictObject({
      cert: text('PEM file with the certificate and its chain.'),
      key: text('PEM file with the private key.'),
      ca: text(
        'PEM file with the authorities of client certificates. With it, clients are asked for theirs.',
      ).optional(),
    })
    .optional()
    .describe('Listen with TLS. A change takes a restart.'),
  port: wholeNumber(0, 65_535, 3100, 'Port to listen on; 0 lets the system choose.'),
  allowedHosts: texts('Host header values accepted besides those of the address listened on.'),
  allowedOrigins: texts('Origin header values accepted from browsers, such as https://app.example.com.'),
  auth: authSchema,
  servers: z.array(serverSchema).default([]).describe('The MCP servers behind the gateway.'),
  discovery: z
    .enum(['all', 'opt-in'])
    .default('all')
    .describe('What /mcp lists: all tools, or the gateway’s own, with which a caller finds and enables servers.'),
  discoveryThreshold: wholeNumber(1, 1_000_000, 1000, 'With more tools than this, `discovery: all` becomes opt-in.'),
  limits: limitsSchema.prefault({}).describe('What one caller, message or session may use up.'),
  ...policyShape,
  quotas: quotaSchema
    .optional()
    .describe('What each tenant may have at most. Without this key, and for what it leaves out, as much as it likes.'),
  audit: auditSchema,
  metrics: z
    .strictObject({
      enabled: flag(true, 'false counts nothing, and there is no /metrics. A change takes a restart.'),
    })
    .prefault({})
    .describe('GET /metrics, for Prometheus: callers with the role metrics or admin in the default tenant.'),
  log: z
    .strictObject({
      level: z
        .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
        .default('info')
        .describe('The least grave kind of line that is written.'),
    })
    .prefault({})
    .describe('Logs go to stderr, one JSON object a line.'),
})

/** Checks keys and types; rules between settings are in config-checks.ts. */
export function checkShape(value: unknown): { readonly config: Config } | { readonly problems: readonly Problem[] } {
  const parsed = fileSchema.safeParse(withoutEmpty(value))
  if (!parsed.success) return { problems: parsed.error.issues.flatMap(toProblems) }
  const { $schema: _, auth, servers, ...rest } = parsed.data
  return {
    config: {
      ...rest,
      auth: toAuth(auth),
      servers: servers.map(toServer),
    },
  }
}

const sections = new Set(
  'auth keys oidc scopes servers limits log quotas audit metrics export witnesses rateLimit ipFilter toolGuard trustedProxies allowedHosts allowedOrigins roles tags args env headers tools'.split(
    ' ',
  ),
)

/** `servers:` with nothing, or only comments, after it is an empty list to a person and a null to YAML. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([key, item]) => item !== null || !sections.has(key))
  // The names in these maps are the user's own.
  return Object.fromEntries(
    kept.map(([key, item]) => [
      key,
      key === 'env' || key === 'headers' || key === 'tools' || key === 'attributes' ? item : withoutEmpty(item),
    ]),
  )
}

/** JSON Schema (draft-07, which every YAML editor plug-in reads) of the configuration file. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(fileSchema, { target: 'draft-7', io: 'input', override: forEditors })
  return { title: 'MCP Gateway configuration', ...schema }
}

/** What editors need and zod does not say. */
function forEditors({ jsonSchema }: { jsonSchema: Record<string, unknown> }): void {
  if ('command' in Object(jsonSchema['properties'])) {
    jsonSchema['oneOf'] = [{ required: ['command'] }, { required: ['url'] }]
  }
  // A format says it; zod's pattern for a date is 300 characters long.
  if ('format' in jsonSchema) delete jsonSchema['pattern']
  if (!('fallback' in jsonSchema)) return
  // A number or a flag may come from a variable, and an editor must not underline `${PORT}`.
  const { description, fallback, ...typed } = jsonSchema
  for (const key of Object.keys(typed)) delete jsonSchema[key]
  delete jsonSchema['fallback']
  jsonSchema['description'] = description
  jsonSchema['default'] = fallback
  jsonSchema['anyOf'] = [typed, { type: 'string', pattern: '^\\$\\{.*\\}$' }]
}

function toServer(server: z.infer<typeof serverSchema>): ServerConfig {
  const { name = server.id, description, command, args = [], env = {}, cwd, url, transport = 'http', headers = {}, auth, ...settings } = server // prettier-ignore
  // exactOptionalPropertyTypes: what zod types as possibly undefined is absent when it was not given.
  const tools = settings.tools as ServerConfig['tools']
  const common = { ...settings, name, tools, ...(description === undefined ? {} : { description }) }
  if (command === undefined) return { ...common, transport, url: url ?? '', headers, ...(auth && { auth }) }
  return { ...common, transport: 'stdio', command, args, env, ...(cwd === undefined ? {} : { cwd }) }
}

function toProblems(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(path)
    return issue.keys.map((key) => {
      const suggestion = nearest(key, known)
      const problem = { path: [...path, key], message: 'unknown key', at: 'key' as const }
      return suggestion === undefined ? problem : { ...problem, suggestion }
    })
  }
  if (issue.code === 'invalid_key') {
    return [{ path, message: issue.issues[0]?.message ?? 'is not a valid key', at: 'key' }]
  }
  return [{ path, message: inWords(issue) }]
}

/** zod's own text, less its preamble. It never repeats the value, which may be a secret. */
function inWords(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') {
    const missing = issue.message.endsWith('received undefined')
    if (missing) return 'is required'
    if (issue.message.endsWith('received null')) return 'is empty'
    const quote =
      issue.expected === 'string' && /received (number|boolean)/.test(issue.message) ? '; put it in quotes' : ''
    return `${issue.message.replace('Invalid input: ', '')}${quote}`
  }
  return issue.message.replace(/^(Invalid option|Invalid input|Too big|Too small): /, '')
}

/** The keys that exist where an unknown one was found, read from the schema itself. */
function knownKeys(path: Path): string[] {
  let schema: unknown = configJsonSchema()
  for (const step of path) {
    const { items } = Object(schema) as { items?: unknown }
    schema = typeof step === 'number' ? items : propertiesOf(schema)[step]
  }
  return Object.keys(propertiesOf(schema))
}

/** Of a thing that is one of several kinds, those of all kinds. */
function propertiesOf(schema: unknown): Record<string, unknown> {
  const { properties = {}, oneOf = [] } = Object(schema) as { properties?: object; oneOf?: unknown[] }
  return Object.assign({}, properties, ...oneOf.map(propertiesOf)) as Record<string, unknown>
}
