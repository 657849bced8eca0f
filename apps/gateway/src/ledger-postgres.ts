/**
 * The logs of gateways in PostgreSQL: one database, a log for each tenant, and as many gateways as there are. The row of a
 * log's head puts their entries in one order (`@mcp-gateway/audit-chain/stores/postgres`).
 *
 * A log is called by an HMAC of its tenant, so that whoever sees names, in checkpoints and exports, learns of nobody. The key
 * of that is `audit.names` beside the main file, and all gateways of one database need the same: with another one they would
 * write another log, which is why a start refuses it.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AuditError, newestOrigin, openLog, type AuditStore } from '@mcp-gateway/audit-chain'
import { createPostgresStore, POSTGRES_SCHEMA } from '@mcp-gateway/audit-chain/stores/postgres'
import { DEFAULT_TENANT } from '@mcp-gateway/auth'
import type { Sql } from 'postgres'
import { GatewayError } from './errors.ts'
import type { LogPlaces } from './ledger-meta-check.ts'
import { readOrMake } from './ledger-secret.ts'
import type { OpenedMeta } from './ledger-meta.ts'
import {
  auditFileOf,
  META_PREFIX,
  metaOrigin,
  regionOf,
  tenantFolder,
  wrongRegion,
  type OpenedLog,
} from './ledger-store.ts'

export type PostgresLogs = AsyncDisposable & {
  /** Goes on with the tenant's log, or begins one. */
  open(tenantId: string): Promise<OpenedLog>
  /** The meta-log over them, which is everybody's. */
  readonly openMeta: () => Promise<OpenedMeta>
}

export type PostgresLogsOptions = {
  readonly dsn: string
  /** Where a log in a file would be: what is kept in files is beside it. */
  readonly mainFile: string
  readonly region?: string | undefined
}

const PREFIX = 'mcp-gateway/audit/'
/** No tenant is called so. */
const META = '\u0000meta'
const CONNECTIONS = 8
/** A server that is away is asked again so soon: calls wait for it. */
const RETRY_S = 0.5
const CONNECT_S = 5
/** Until a call is refused because the database does not answer. */
const ANSWER_MS = 10_000
/** Any number, the same in every gateway. */
const MIGRATION_LOCK = 6962

/** @throws GatewayError GATEWAY_AUDIT_UNAVAILABLE, GATEWAY_AUDIT_NAMES, GATEWAY_AUDIT_REGION */
export async function openPostgresLogs(options: PostgresLogsOptions): Promise<PostgresLogs> {
  const { mainFile, region } = options
  const connections = await connect(options.dsn)
  const { sql, store } = connections
  const end = async (): Promise<void> => await connections[Symbol.asyncDispose]()
  try {
    await migrate(sql)
    const isKnown = existsSync(namesFileOf(mainFile)) && (await originOf(sql, mainFile, DEFAULT_TENANT)) !== undefined
    if (!isKnown && (await hasLogs(sql))) throw unknownNames(mainFile)
  } catch (error) {
    await end()
    throw error instanceof GatewayError ? error : unusable(error)
  }
  return {
    async open(tenantId) {
      const file = auditFileOf(mainFile, tenantFolder(tenantId))
      if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true })
      const known = await originOf(sql, mainFile, tenantId)
      const itsRegion = known === undefined ? undefined : regionOf(known)
      if (region !== undefined && itsRegion !== undefined && itsRegion !== region)
        throw wrongRegion('the log in the database', itsRegion, region)
      const place = region === undefined ? '' : `${region}/`
      return openedLog(store, known ?? `${PREFIX}${place}${nameOf(namesKey(mainFile), tenantId)}`)
    },
    openMeta: async () => openedMeta(store, await metaNameOf(sql, mainFile, region)),
    [Symbol.asyncDispose]: end,
  }
}

export type FoundLog = AsyncDisposable &
  Omit<OpenedLog, typeof Symbol.dispose> & { readonly openMeta: () => Promise<OpenedMeta> }

/** For the operator's commands: one log that is there. Neither migrates nor makes keys. @throws AuditError AUDIT_NOT_FOUND */
export async function findPostgresLog({ dsn, mainFile }: PostgresLogsOptions, tenantId: string): Promise<FoundLog> {
  const names = namesFileOf(mainFile)
  if (!existsSync(names)) throw new AuditError('AUDIT_NOT_FOUND', `there is no ${names}, which names the logs`)
  const { sql, store, ...rest } = await connect(dsn)
  const end = async (): Promise<void> => await rest[Symbol.asyncDispose]()
  try {
    const origin = await originOf(sql, mainFile, tenantId)
    if (origin === undefined) throw new AuditError('AUDIT_NOT_FOUND', 'there is no such log in the database')
    const log = openLog({ store, origin })
    const openMeta = async (): Promise<OpenedMeta> =>
      openedMeta(store, await metaNameOf(sql, mainFile, regionOf(origin)))
    return { store, log, openMeta, [Symbol.asyncDispose]: () => log[Symbol.asyncDispose]().then(end) }
  } catch (error) {
    await end()
    throw error instanceof AuditError ? error : unusable(error)
  }
}

/** Every log of the database, to be compared with the meta-log. */
export async function logsOf(store: AuditStore): Promise<LogPlaces> {
  const origins: string[] = []
  for (let page = await store.origins(); page.length > 0; page = await store.origins(page.at(-1)))
    origins.push(...page.filter((origin) => origin.startsWith(PREFIX)))
  const known = new Set(origins)
  return { origins, unreadable: [], storeOf: async (origin) => (known.has(origin) ? store : undefined) }
}

type Connections = AsyncDisposable & { readonly sql: Sql; readonly store: AuditStore }

async function connect(dsn: string): Promise<Connections> {
  const { default: postgres } = await import('postgres')
  const common = { connect_timeout: CONNECT_S, backoff: () => RETRY_S, onnotice: () => undefined }
  const sql = postgres(dsn, { ...common, max: CONNECTIONS })
  const leads = postgres(dsn, { ...common, max: 1, max_lifetime: null })
  const end = async (): Promise<void> => {
    await Promise.all([sql.end({ timeout: 1 }), leads.end({ timeout: 1 })])
  }
  try {
    const store = await createPostgresStore({ sql, timeoutMs: ANSWER_MS })
    return { sql, store: { ...store, lead: createLead(leads) }, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw unusable(error)
  }
}

/**
 * One connection holds what this process leads in, however much that is. With one each, a thousand tenants whose checkpoints
 * are due would hold every connection and wait for another. What was led ends with the connection, and others may lead.
 */
function createLead(leads: Sql): AuditStore['lead'] {
  const key = 'hashtextextended($1, 6962)'
  const held = new Set<string>()
  return async (name) => {
    // The server would give the same session the same lock again.
    if (held.has(name)) return undefined
    held.add(name)
    try {
      const [row] = await leads.unsafe(`select pg_try_advisory_lock(${key}) as got`, [name])
      if (row?.['got'] !== true) {
        held.delete(name)
        return undefined
      }
    } catch (cause) {
      held.delete(name)
      throw new AuditError('AUDIT_STORE_UNAVAILABLE', `the database cannot be used: ${messageOf(cause)}`, { cause })
    }
    return {
      async [Symbol.asyncDispose]() {
        // A connection that is gone has let go already.
        await leads.unsafe(`select pg_advisory_unlock(${key})`, [name]).catch(() => undefined)
        held.delete(name)
      },
    }
  }
}

/** A role that may not make tables goes on with those that its owner has made: nothing is asked for that is there. */
async function migrate(sql: Sql): Promise<void> {
  const last = `select exists (select from pg_trigger where tgname = 'audit_log_no_truncate'
    and tgrelid = to_regclass('audit_log')) as made`
  const [row] = await sql.unsafe(last)
  if (row?.['made'] === true) return
  await sql.begin(async (transaction) => {
    await transaction.unsafe(`select pg_advisory_xact_lock(${MIGRATION_LOCK})`)
    const [again] = await transaction.unsafe(last)
    if (again?.['made'] !== true) await transaction.unsafe(POSTGRES_SCHEMA)
  })
}

async function hasLogs(sql: Sql): Promise<boolean> {
  const [row] = await sql.unsafe('select exists (select from audit_log where starts_with(origin, $1)) as has', [PREFIX])
  return row?.['has'] === true
}

/** In whatever region it is, and however often it began anew. */
async function originOf(
  sql: Sql,
  mainFile: string,
  tenantId: string,
  prefix: string = PREFIX,
): Promise<string | undefined> {
  const end = `/${nameOf(namesKey(mainFile), tenantId)}`
  const query = `select origin from audit_log
    where starts_with(origin, $1) and right(regexp_replace(origin, '\\.[0-9]+$', ''), $2::int) = $3 order by log`
  const rows = await sql.unsafe(query, [prefix, end.length, end])
  return newestOrigin(rows.map((row) => row['origin'] as string))
}

/** The same for all gateways of a database: by the key that names their logs. */
async function metaNameOf(sql: Sql, mainFile: string, region: string | undefined): Promise<string> {
  const known = await originOf(sql, mainFile, META, META_PREFIX)
  return known ?? metaOrigin(nameOf(namesKey(mainFile), META), region)
}

function openedMeta(store: AuditStore, origin: string): OpenedMeta {
  return { store, origin, [Symbol.dispose]: () => undefined }
}

function openedLog(store: AuditStore, origin: string): OpenedLog {
  // The connections are everybody's.
  return { store, log: openLog({ store, origin }), [Symbol.dispose]: () => undefined }
}

function nameOf(key: Uint8Array, tenantId: string): string {
  return createHmac('sha256', key).update(tenantId).digest('hex').slice(0, 32)
}

function namesFileOf(mainFile: string): string {
  return join(dirname(mainFile), 'audit.names')
}

function namesKey(mainFile: string): Buffer {
  mkdirSync(dirname(mainFile), { recursive: true })
  const path = namesFileOf(mainFile)
  const key = readOrMake(path, () => randomBytes(32))
  if (key.length === 32) return key
  throw new GatewayError('GATEWAY_AUDIT_NAMES', `${path} has ${key.length} bytes, and the key in it has 32`)
}

function unknownNames(mainFile: string): GatewayError {
  return new GatewayError(
    'GATEWAY_AUDIT_NAMES',
    `the database of audit.dsn has logs that ${namesFileOf(mainFile)} does not name: copy that file, and audit.key, from the gateway that made them, or use another database`,
  )
}

function unusable(cause: unknown): GatewayError {
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  return new GatewayError('GATEWAY_AUDIT_UNAVAILABLE', `audit.dsn: ${messageOf(cause)}${code}`, { cause })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
