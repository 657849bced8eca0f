/** The audit log as a gateway has it: opened, started with an entry, and closed with one. */
import type { Redactor } from '@mcp-gateway/policy'
import type { Config } from './config.ts'
import type { ServerIdentity } from './ledger-entry.ts'
import { createLedgerKeys, type LedgerKeys } from './ledger-keys.ts'
import { createRefusedLogins } from './ledger-logins.ts'
import { auditFileOf, openLedgerLog } from './ledger-store.ts'
import { createLedger, type Ledger } from './ledger.ts'
import type { Logger } from './log.ts'
import type { Server } from './server.ts'

export type GatewayLedger = {
  readonly ledger: Ledger
  readonly keys: LedgerKeys
  readonly file: string
  readonly onRefusedLogin: (code: string, address: string | undefined) => void
  started(): Promise<void>
  onReload(before: Config, after: Config, changes: Readonly<Record<string, readonly string[]>>): Promise<void>
  close(): Promise<void>
}

export type GatewayLedgerOptions = {
  readonly config: Config
  readonly database: string
  readonly version: string
  readonly server: (tenantId: string, id: string) => Server | undefined
  readonly redactor: () => Redactor
  readonly logger: Logger
}

/** Undefined when the configuration wants none. @throws AuditError when the log can't be opened, which stops a start */
export async function openGatewayLedger(options: GatewayLedgerOptions): Promise<GatewayLedger | undefined> {
  const { config, version, logger } = options
  if (!config.audit.enabled) return undefined
  const file = auditFileOf(options.database)
  const opened = await openLedgerLog(file)
  const identify = (tenantId: string, id: string): ServerIdentity | undefined =>
    identityOf(options.server(tenantId, id))
  const ledger = createLedger({ ...opened, config: { ...config.audit, redactor: options.redactor }, identify, logger })
  const logins = createRefusedLogins((input) => void ledger.note(input))
  let hasStarted = false
  return {
    ledger,
    file,
    keys: createLedgerKeys({ store: opened.store, origin: opened.log.origin, file }),
    onRefusedLogin: logins.add,
    async started() {
      hasStarted = true
      await ledger.note({ type: 'gateway.started', facts: { version } })
    },
    onReload: (before, after, changes) =>
      ledger.note({ type: 'config.reloaded', facts: { servers: changes, keys: keyChanges(before, after) } }),
    async close() {
      logins[Symbol.dispose]()
      if (hasStarted) await ledger.note({ type: 'gateway.stopped', facts: { version } })
      await ledger[Symbol.asyncDispose]()
      opened[Symbol.dispose]()
    },
  }
}

function identityOf(server: Server | undefined): ServerIdentity | undefined {
  const profile = server?.state().profile
  if (profile === undefined) return undefined
  const { name, version } = (profile.serverInfo ?? {}) as Readonly<Record<string, unknown>>
  return {
    era: profile.era,
    ...(typeof name === 'string' && { name }),
    ...(typeof version === 'string' && { version }),
  }
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
