/** The audit log as a gateway has it: opened, started with an entry, and closed with one. */
import { basename, dirname, join } from 'node:path'
import type { Redactor } from '@mcp-gateway/policy'
import type { ServerProfile } from '@mcp-gateway/wire'
import type { ExportConfig } from './config-audit.ts'
import type { Config } from './config.ts'
import type { ExportState, LedgerExports } from './ledger-exports.ts'
import { createLedgerKeys, type LedgerKeys } from './ledger-keys.ts'
import type { LedgerMeta } from './ledger-meta.ts'
import { createRefusedLogins } from './ledger-logins.ts'
import { continueOrSucceed } from './ledger-succession.ts'
import { createStorageQuota } from './ledger-storage.ts'
import { createLedgerUpkeep } from './ledger-upkeep.ts'
import { auditFileOf, type OpenedLog } from './ledger-store.ts'
import { createLedger, type Ledger } from './ledger.ts'
import type { Logger } from './log.ts'
import type { Server } from './server.ts'

export type GatewayLedger = {
  readonly ledger: Ledger
  readonly keys: LedgerKeys
  readonly meta: LedgerMeta
  readonly file: string
  readonly exports: () => Promise<ExportState[]>
  readonly onRefusedLogin: (code: string, address: string | undefined) => void
  /** Undefined while calls can be recorded. Otherwise rejects, or resolves when they can. */
  readonly readiness: () => Promise<void> | undefined
  started(): Promise<void>
  onReload(before: Config, after: Config, changes: Readonly<Record<string, readonly string[]>>): Promise<void>
  close(): Promise<void>
}

export type GatewayLedgerOptions = {
  readonly config: Config
  /** Of the default tenant's log. */
  readonly mainFile: string
  /** A tenant's, below that of the main file. @default that itself */
  readonly folder: string | undefined
  readonly open: () => Promise<OpenedLog>
  /** Over the logs of all tenants. */
  readonly meta: LedgerMeta
  readonly version: string
  readonly server: (tenantId: string, id: string) => Server | undefined
  readonly redactor: () => Redactor
  /** What its entries may take. */
  readonly maxStorageMb: () => number | undefined
  readonly logger: Logger
}

/** @throws AuditError when the log can't be opened, which stops a start */
export async function openGatewayLedger(options: GatewayLedgerOptions): Promise<GatewayLedger> {
  const { config, version, logger, meta } = options
  const file = auditFileOf(options.mainFile, options.folder)
  const first = await options.open()
  // The default tenant's checkpoints are beside the meta-log, and put back with it; a start does not wait to read all of that.
  const asked = options.folder === undefined ? undefined : meta
  const opened = await continueOrSucceed(first, { file, meta: asked, logger }).catch((error: unknown) => {
    first[Symbol.dispose]()
    throw error
  })
  const profileOf = (tenantId: string, id: string): ServerProfile | undefined =>
    options.server(tenantId, id)?.lastProfile()
  const ledger = createLedger({ ...opened, config: { ...config.audit, redactor: options.redactor }, profileOf, logger })
  const { store, log } = opened
  const keys = createLedgerKeys({ store, origin: log.origin, file, meta })
  const upkeep = createLedgerUpkeep({ store, log, keys, config: config.audit, logger })
  const exports = await openExports(options, opened)
  const logins = createRefusedLogins((input) => void ledger.note(input))
  const { usedBytes } = opened
  const storage =
    usedBytes &&
    createStorageQuota({ maxMb: options.maxStorageMb, usedBytes, note: (input) => void ledger.note(input) })
  let hasStarted = false
  return {
    ledger,
    file,
    keys,
    meta,
    exports: async () => (await exports?.states()) ?? [],
    onRefusedLogin: logins.add,
    readiness() {
      const refusal = storage?.refusal()
      return refusal === undefined ? ledger.readiness() : Promise.reject(refusal)
    },
    async started() {
      hasStarted = true
      await ledger.note({ type: 'gateway.started', facts: { version } })
      upkeep.start()
      exports?.start()
    },
    onReload: (before, after, changes) =>
      ledger.note({ type: 'config.reloaded', facts: { servers: changes, keys: keyChanges(before, after) } }),
    async close() {
      logins[Symbol.dispose]()
      storage?.[Symbol.dispose]()
      if (hasStarted) await ledger.note({ type: 'gateway.stopped', facts: { version } })
      await upkeep.close()
      await ledger[Symbol.asyncDispose]()
      await exports?.close()
      opened[Symbol.dispose]()
    },
  }
}

/** Loaded for those who have some: the gateway listens sooner without. A file that an export names and is not there stops a start. */
async function openExports(options: GatewayLedgerOptions, opened: OpenedLog): Promise<LedgerExports | undefined> {
  const { config, mainFile, folder, version, logger } = options
  if (config.audit.export.length === 0) return undefined
  try {
    const { createLedgerExports } = await import('./ledger-exports.ts')
    const directory = join(dirname(auditFileOf(mainFile, folder)), 'exports')
    const { store, log } = opened
    const exports = config.audit.export.map((one) => (folder === undefined ? one : exportInto(one, folder)))
    return createLedgerExports({ exports, store, origin: log.origin, directory, version, logger })
  } catch (error) {
    opened[Symbol.dispose]()
    throw error
  }
}

/** Files belong to one log; whoever receives from several tells them apart by the log's name in each entry. */
function exportInto(one: ExportConfig, folder: string): ExportConfig {
  return 'path' in one ? { ...one, path: join(dirname(one.path), folder, basename(one.path)) } : one
}

/** Ids of API keys, never the keys. */
function keyChanges(before: Config, after: Config): Record<'added' | 'changed' | 'removed', string[]> {
  const old = new Map(before.auth.keys.map((key) => [key.id, JSON.stringify(key)]))
  const now = new Map(after.auth.keys.map((key) => [key.id, JSON.stringify(key)]))
  return {
    added: [...now.keys()].filter((id) => !old.has(id)),
    changed: [...now].filter(([id, text]) => old.has(id) && old.get(id) !== text).map(([id]) => id),
    removed: [...old.keys()].filter((id) => !now.has(id)),
  }
}
