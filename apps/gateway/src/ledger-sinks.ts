/** From an export in gateway.yaml to the sink that takes it there. Nothing is opened before the first batch. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { EventFormatOptions, RecordFormat, Sink } from '@mcp-gateway/audit-chain'
import { createCefFormat } from '@mcp-gateway/audit-chain/formats/cef'
import { formatJsonl } from '@mcp-gateway/audit-chain/formats/jsonl'
import { createOcsfFormat } from '@mcp-gateway/audit-chain/formats/ocsf'
import { createCsvSink } from '@mcp-gateway/audit-chain/sinks/csv'
import { createJsonlSink } from '@mcp-gateway/audit-chain/sinks/jsonl'
import { createS3Sink } from '@mcp-gateway/audit-chain/sinks/s3'
import { createSyslogSink } from '@mcp-gateway/audit-chain/sinks/syslog'
import { createWebhookSink } from '@mcp-gateway/audit-chain/sinks/webhook'
import type { ExportConfig } from './config-audit.ts'
import { describeEvent } from './ledger-event.ts'
import { FACTS } from './ledger-export.ts'

/** Which fields leave. What is not named here stays, `address` of a refused login too: it may be a person's. */
const METADATA: ReadonlySet<string> = new Set(['subject', 'request'])

export function withholderOf({ fields }: ExportConfig): (name: string) => boolean {
  if (fields === 'full') return () => true
  return fields === 'none' ? () => false : (name) => METADATA.has(name)
}

export type SinkContext = {
  /** Where dead letters are kept. */
  readonly directory: string
  readonly version: string
}

/** @throws the system's error when a file that it names cannot be read */
export function createSink(config: ExportConfig, { directory, version }: SinkContext): Sink {
  const options: EventFormatOptions = {
    product: { vendor: 'MCP Gateway', name: 'mcp-gateway', version },
    describe: describeEvent,
  }
  switch (config.type) {
    case 'jsonl':
      return createJsonlSink({
        path: config.path,
        maxFileBytes: config.maxFileBytes,
        record: formatOf(config, options),
      })
    case 'csv': {
      const { path, maxFileBytes } = config
      return createCsvSink({ path, maxFileBytes, facts: FACTS, fields: columnsOf(config) })
    }
    case 'webhook': {
      const { url, secret, headers, timeoutMs, maxAttempts } = config
      const deadLetterFile = join(directory, `${config.name}.dead.jsonl`)
      return createWebhookSink({ url, secret, headers, timeoutMs, maxAttempts, deadLetterFile, record: formatOf(config, options) }) // prettier-ignore
    }
    case 's3':
      return createS3Sink({ ...bucketOf(config), record: formatOf(config, options) })
    case 'syslog':
    default: {
      const { host, port, facility, maxMessageBytes, ca } = config
      const authority = ca === undefined ? {} : { ca: readFileSync(ca, 'utf8') }
      const transport = config.transport === 'tls' ? { type: 'tls' as const, ...authority } : { type: 'tcp' as const }
      return createSyslogSink({ host, port, facility, maxMessageBytes, transport, hostname: hostname(), describe: describeEvent, record: formatOf(config, options) }) // prettier-ignore
    }
  }
}

function formatOf(
  { format }: { readonly format: 'jsonl' | 'ocsf' | 'cef' },
  options: EventFormatOptions,
): RecordFormat {
  return format === 'jsonl' ? formatJsonl : format === 'ocsf' ? createOcsfFormat(options) : createCefFormat(options)
}

function columnsOf({ fields }: ExportConfig): string[] {
  if (fields === 'none') return []
  return fields === 'metadata' ? [...METADATA] : [...METADATA, 'arguments', 'argumentsHash', 'response', 'responseHash', 'address'] // prettier-ignore
}

function bucketOf(config: Extract<ExportConfig, { type: 's3' }>) {
  const { bucket, prefix, awsRegion, endpoint, objectLock, compression } = config
  const { accessKeyId, secretAccessKey, sessionToken } = config
  return {
    bucket,
    prefix,
    region: awsRegion,
    compression,
    ...(endpoint !== undefined && { endpoint }),
    ...(objectLock && { objectLock }),
    ...(accessKeyId !== undefined &&
      secretAccessKey !== undefined && {
        credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
      }),
  }
}
