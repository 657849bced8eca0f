/** Which audit log is meant, and how what goes wrong with it is told. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseDocument } from 'yaml'
import type { Config } from '@mcp-gateway/gateway'
import {
  auditFileOf,
  mainFileOf,
  metaFileOf,
  tenantFolder,
  type BundleOptions,
  type LedgerPlace,
} from '@mcp-gateway/gateway/ledger'
import { databaseOf, loadConfig, requireConfig } from './config-file.ts'
import type { Context } from './context.ts'
import { CliError } from './errors.ts'

export type AuditFileOptions = { readonly file?: string; readonly tenant?: string; readonly log?: string }

/** Whether `audit` says where the log is. A file that is no YAML does not. */
function namesPlace(text: string): boolean {
  const document = parseDocument(text)
  return ['storage', 'path'].some((name) => document.errors.length === 0 && document.hasIn(['audit', name]))
}

const NOWHERE_ELSE: Pick<Config['audit'], 'storage' | 'dsn' | 'path'> = { storage: 'sqlite' }

export function auditPlace(context: Context, { log, ...options }: AuditFileOptions): LedgerPlace {
  return { ...newestPlace(context, options), ...(log !== undefined && { log }) }
}

function newestPlace(context: Context, { file, tenant = 'default' }: AuditFileOptions): LedgerPlace {
  if (file !== undefined) return { file: resolve(context.cwd, file) }
  const configuration = requireConfig(context)
  const database = databaseOf(configuration)
  // A log in its usual place is read without the configuration: its variables need not be there, and it may be wrong.
  const isElsewhere = namesPlace(readFileSync(configuration, 'utf8'))
  const { storage, dsn, path }: typeof NOWHERE_ELSE = isElsewhere ? loadConfig(context).config.audit : NOWHERE_ELSE
  const mainFile = mainFileOf(database, path)
  const place = { file: auditFileOf(mainFile, tenantFolder(tenant)), meta: metaFileOf(mainFile) }
  if (storage !== 'postgres' || dsn === undefined) return place
  return { ...place, postgres: { dsn, mainFile, tenantId: tenant } }
}

/** Sizes of checkpoints that a verifier remembers. */
export type SeenOptions = { readonly seen?: string; readonly seenMeta?: string }

export function seenOf(
  context: Context,
  { seen, seenMeta }: SeenOptions,
): Pick<BundleOptions, 'seen' | 'seenMeta' | 'onProblem'> {
  return {
    seen: sizeOf(seen, '--seen'),
    seenMeta: sizeOf(seenMeta, '--seen-meta'),
    onProblem: (problem) => context.note(`without a proof of the meta-log: ${problem}`),
  }
}

function sizeOf(text: string | undefined, option: string): number | undefined {
  if (text === undefined || /^[1-9]\d{0,14}$/.test(text)) return text === undefined ? undefined : Number(text)
  throw new CliError('CLI_USAGE', `${option} must be the size of a checkpoint, not "${text}"`)
}

/** A log that is not there is the commonest reason, and no bug. */
export async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!(error instanceof Error) || !/^(AUDIT|GATEWAY|ERR_SQLITE)_/.test(code)) throw error
    const isMissing = code === 'AUDIT_NOT_FOUND' || code === 'GATEWAY_UNKNOWN_ENTRY'
    const hint = 'The log is made by `mcp-gateway serve`; name another with --file.'
    throw new CliError(isMissing ? 'CLI_NOT_FOUND' : 'CLI_FAILED', `${error.message} (${code})`, {
      cause: error,
      ...(code === 'AUDIT_NOT_FOUND' && { hint }),
    })
  }
}

/** ISO 8601 to epoch milliseconds. */
export function timeOf(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined
  const at = Date.parse(text)
  if (!Number.isNaN(at)) return at
  throw new CliError('CLI_USAGE', `${option} must be a time such as 2027-01-31T00:00:00Z, not "${text}"`)
}
