/** The `audit` section of gateway.yaml: what is recorded, how long it is kept, and where it goes besides. */
import { parseVerifierKey } from '@mcp-gateway/audit-chain/verify'
import { z } from 'zod'
import type { Config } from './config.ts'
import { digits, flag, isHttpUrl, text, wholeNumber } from './config-values.ts'

/** One place to which the log is sent as it grows. */
export type ExportConfig = {
  readonly name: string
  /** As `audit.region`. */
  readonly region?: string
  /** What leaves of an entry besides its facts: nothing, who it was, or also what was said. */
  readonly fields: 'none' | 'metadata' | 'full'
  readonly intervalMs: number
} & (JsonlExport | CsvExport | WebhookExport | S3Export | SyslogExport)

type FileExport = {
  /** Absolute when the configuration file's place is known. */
  readonly path: string
  readonly maxFileBytes: number
}
type JsonlExport = FileExport & { readonly type: 'jsonl'; readonly format: 'jsonl' | 'ocsf' }
type CsvExport = FileExport & { readonly type: 'csv' }
type WebhookExport = {
  readonly type: 'webhook'
  readonly url: string
  readonly secret: string
  readonly format: 'jsonl' | 'ocsf'
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly maxAttempts: number
}
type S3Export = {
  readonly type: 's3'
  readonly bucket: string
  readonly prefix: string
  readonly awsRegion: string
  readonly endpoint?: string
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
  readonly sessionToken?: string
  readonly objectLock?: { readonly mode: 'GOVERNANCE' | 'COMPLIANCE'; readonly retainDays: number }
  readonly compression: 'gzip' | 'none'
  readonly format: 'jsonl' | 'ocsf'
}
type SyslogExport = {
  readonly type: 'syslog'
  readonly host: string
  readonly port: number
  readonly transport: 'tcp' | 'tls'
  /** PEM file. */
  readonly ca?: string
  readonly facility: number
  readonly maxMessageBytes: number
  readonly format: 'cef' | 'ocsf' | 'jsonl'
}

const region = z
  .string()
  .regex(/^[a-z0-9-]{1,32}$/, { error: 'must be a region such as "eu": lower-case letters, digits and "-"' })

function common(pollMs: number) {
  return {
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, {
        error: 'must be lower-case letters, digits and "-", at most 32 characters',
      })
      .describe('What its place in the log is kept under: with another name it begins from the first entry.'),
    region: region.optional().describe('Where it keeps what it gets; the same as `audit.region`.'),
    fields: z
      .enum(['none', 'metadata', 'full'])
      .default('metadata')
      .describe('none: only facts. metadata: also who it was. full: also arguments and results.'),
    intervalMs: wholeNumber(10, 86_400_000, pollMs, 'Milliseconds between looks at the log.'),
  }
}
const line = z
  .enum(['jsonl', 'ocsf'])
  .default('jsonl')
  .describe('jsonl: entries that mcp-gateway-verify checks. ocsf: OCSF 1.6 API Activity, for a SIEM.')
const file = {
  path: text('The file, relative to this one.'),
  maxFileBytes: wholeNumber(65_536, 1_099_511_627_776, 67_108_864, 'A fuller file is put aside under a number.'),
}
const headerValue = z.string().regex(/^[^\r\n\0]*$/, { error: 'must not contain a line break' })

const webhook = {
  url: z
    .string()
    .refine(isSafeUrl, {
      error: 'must be an https:// URL (http:// on loopback) without user name, password or fragment',
    })
    .describe('Where to.'),
  secret: z.string().min(16, { error: 'must have 16 characters or more' }).describe('Best as `${NAME}`.'),
}
/** Files that may lie beside the log. */
const TAKEN = /(?:^|[/\\])(?:gateway\.db|audit-meta\.db|audit(?:-meta)?\.key|audit\.names)$/
/** Of the export that `webhookUrl` is short for. */
const SHORT_NAME = 'webhook-url'

const exportSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('jsonl').describe('A file, one entry a line.'),
    ...common(1000),
    ...file,
    format: line,
  }),
  z.strictObject({ type: z.literal('csv').describe('A file for spreadsheets.'), ...common(1000), ...file }),
  z.strictObject({
    type: z.literal('webhook').describe('POST requests, signed with HMAC-SHA256.'),
    ...common(1000),
    ...webhook,
    format: line,
    headers: z
      .record(z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/), headerValue)
      .default({})
      .describe('Sent besides, such as a token of the receiver.'),
    timeoutMs: wholeNumber(100, 600_000, 10_000, 'Milliseconds until an answer must be there.'),
    maxAttempts: wholeNumber(1, 100, 3, 'Refusals of one entry before it goes to the dead letters.'),
  }),
  z.strictObject({
    type: z.literal('s3').describe('Objects in a bucket; needs the package @aws-sdk/client-s3.'),
    ...common(60_000),
    bucket: text('Which bucket.'),
    prefix: z.string().max(512).default('').describe('Before every key, such as `audit/`.'),
    awsRegion: text('Region of the service, such as eu-central-1.'),
    endpoint: z.string().refine(isSafeUrl, { error: 'must be an https:// URL (http:// on loopback)' }).optional().describe('Of another service than Amazon’s.'), // prettier-ignore
    accessKeyId: text('Without it, what the AWS SDK finds.').optional(),
    secretAccessKey: text('Best as `${NAME}`.').optional(),
    sessionToken: text('Best as `${NAME}`.').optional(),
    objectLock: z
      .strictObject({
        mode: z.enum(['GOVERNANCE', 'COMPLIANCE']).describe('COMPLIANCE binds the bucket’s owner, too.'),
        retainDays: z.preprocess(digits, z.int().min(1).max(36_500)).describe('From when the object is written.'),
      })
      .optional()
      .describe('Nobody deletes an object before its time. The bucket must have been made with object lock.'),
    compression: z.enum(['gzip', 'none']).default('none').describe('Of the objects.'),
    format: line,
  }),
  z.strictObject({
    type: z.literal('syslog').describe('RFC 5424 messages over TCP or TLS.'),
    ...common(1000),
    host: text('The collector.'),
    port: wholeNumber(1, 65_535, 6514, 'Its port.'),
    transport: z.enum(['tcp', 'tls']).default('tls').describe('UDP is not offered: it loses entries and nobody knows.'),
    ca: text('PEM file of the authority, relative to this file.').optional(),
    facility: wholeNumber(0, 23, 13, 'RFC 5424 facility; 13 is log audit.'),
    maxMessageBytes: wholeNumber(480, 1_048_576, 8192, 'A longer message goes without its fields.'),
    format: z
      .enum(['cef', 'ocsf', 'jsonl'])
      .default('cef')
      .describe('The message: ArcSight CEF, OCSF 1.6 API Activity, or entries that mcp-gateway-verify checks.'),
  }),
])

const witnessSchema = z.strictObject({
  url: z
    .string()
    .refine((value) => isSafeUrl(value) && !value.endsWith('/'), {
      error: 'must be an https:// URL (http:// on loopback) without a slash at its end',
    })
    .describe('Submission prefix of a C2SP tlog-witness.'),
  key: z
    .string()
    .refine(isWitnessKey, { error: 'must be the verifier key of a witness, <name>+<8 hex digits>+<base64>' })
    .describe('Its verifier key, which came another way than from it.'),
})

const schema = z
  .strictObject({
    enabled: flag(true, 'Record every call in an append-only log that shows when it was changed.'),
    storage: z
      .enum(['sqlite', 'postgres'])
      .default('sqlite')
      .describe('sqlite: audit.db beside gateway.db. postgres: the database of `dsn`, also for several gateways.'),
    path: text('The file of the log, relative to this one, instead of audit.db beside gateway.db.')
      .refine((value) => !TAKEN.test(value), { error: 'is the name of another file of the gateway' })
      .optional(),
    dsn: z
      .string()
      .refine(isPostgresUrl, { error: 'must be a URL such as postgres://user:password@host:5432/database' })
      .optional()
      .describe('The PostgreSQL database; best as `${NAME}`, it has a password.'),
    mode: z
      .enum(['sync', 'async'])
      .default('sync')
      .describe('sync: the answer leaves when its entry is on the disk. async: it does not wait.'),
    onFailure: z
      .enum(['closed', 'open'])
      .default('closed')
      .describe('When an entry cannot be written. closed: the call gets an error instead. open: it gets its answer.'),
    arguments: z
      .enum(['full', 'redacted', 'hash'])
      .default('redacted')
      .describe(
        'What is kept of arguments, in a part that can be erased. redacted: less what `redaction` finds in logs.',
      ),
    responses: z.enum(['full', 'redacted', 'hash']).default('redacted').describe('What is kept of results, likewise.'),
    maxBodyBytes: wholeNumber(
      0,
      262_144,
      16_384,
      'Bytes kept of arguments and of a result; the entry says what was cut.',
    ),
    region: region.optional().describe('Where the log may be. It is sent only to exports that are marked the same.'),
    retentionDays: z
      .preprocess(digits, z.int().min(1).max(36_500))
      .optional()
      .describe('Who it was and what was said is erased when it is so old; the entries stay. Without it, nothing is.'),
    checkpointIntervalMs: wholeNumber(
      0,
      86_400_000,
      60_000,
      'Milliseconds between signed checkpoints, while the log grows; 0 for none but those asked for.',
    ),
    witnesses: z
      .array(witnessSchema)
      .max(32)
      .default([])
      .describe('Who else is asked to sign each checkpoint of the meta-log, which has those of all logs.'),
    export: z.array(exportSchema).max(32).default([]).describe('Where the log is sent as it grows.'),
    hashChain: z
      .literal(true, { error: 'must be true, or left out: there is no log without the chain' })
      .optional()
      .describe('Every log is a hash chain.'),
    webhookUrl: webhook.url.optional().describe('Short for an export of type webhook, together with `webhookSecret`.'),
    webhookSecret: webhook.secret.optional(),
  })
  .refine(({ webhookUrl, webhookSecret }) => (webhookUrl === undefined) === (webhookSecret === undefined), {
    error: 'webhookUrl and webhookSecret belong together: deliveries are signed',
  })
  .refine(({ webhookUrl, region: its }) => webhookUrl === undefined || its === undefined, {
    error: 'with audit.region, write the webhook among `export`, with the region that it is in',
  })
  .refine(({ webhookUrl, export: all }) => webhookUrl === undefined || all.every(({ name }) => name !== SHORT_NAME), {
    error: `with webhookUrl, no other export can have the name "${SHORT_NAME}"`,
  })
  .transform(({ webhookUrl, webhookSecret, ...audit }) =>
    webhookUrl === undefined
      ? audit
      : {
          ...audit,
          export: [
            ...audit.export,
            exportSchema.parse({ type: 'webhook', name: SHORT_NAME, url: webhookUrl, secret: webhookSecret }),
          ],
        },
  )
  .prefault({})
  .describe('The audit log, in a file or a database. A change takes a restart.')

// exactOptionalPropertyTypes: what zod types as possibly undefined is absent when it was not given.
export const auditSchema: z.ZodType<Config['audit']> = schema as z.ZodType<Config['audit']>

function isPostgresUrl(value: string): boolean {
  const url = URL.parse(value)
  if (url === null || !/^postgres(?:ql)?:$/.test(url.protocol) || url.pathname.length < 2) return false
  try {
    // As the driver reads them.
    return [url.username, url.password, url.pathname].every((part) => decodeURIComponent(part) !== undefined)
  } catch {
    return false
  }
}

function isSafeUrl(value: string): boolean {
  const url = URL.parse(value)
  if (url === null || !isHttpUrl(value)) return false
  return url.protocol === 'https:' || /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname)
}

function isWitnessKey(value: string): boolean {
  try {
    return parseVerifierKey(value).role === 'witness'
  } catch {
    return false
  }
}
