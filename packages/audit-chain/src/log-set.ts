/**
 * A log for each tenant, in its region, and one meta-log: nothing about one tenant can be learned from another's proofs, an
 * entry stays where its log is, and only the meta-log has to be witnessed, at a rate that does not depend on tenants.
 */
import { createHmac } from 'node:crypto'
import { AuditError } from './errors.ts'
import { openLog, type AuditLog, type LogOptions } from './log.ts'
import { createMetaLog, type MetaLog } from './meta-log.ts'

export type LogSetOptions = Omit<LogOptions, 'origin'> & {
  /** Such as `gw.example.com/audit`. */
  readonly prefix: string
  /** Such as `eu`. A set, and its store, belong to one region. */
  readonly region: string
  /** Makes names of logs out of names of tenants, which are not to be guessed from them: 32 bytes, kept for good. */
  readonly nameKey: Uint8Array
  /** Logs that are open at a time; the one that was idle longest makes room. @default 1000 */
  readonly maxOpenLogs?: number
}

export type LogSet = AsyncDisposable & {
  readonly region: string
  /** The log of the tenant, the same for the same tenant always. Use it at once: an idle one may be closed later. */
  of(tenant: string): AuditLog
  readonly originOf: (tenant: string) => string
  /** For the publishers of these logs, and for witnesses. */
  readonly meta: MetaLog
}

export function openLogSet({ prefix, region, nameKey, maxOpenLogs = 1000, ...options }: LogSetOptions): LogSet {
  if (!/^[a-z0-9-]{1,32}$/.test(region)) throw new TypeError(`"${region}" is no region: a-z, 0-9 and "-", at most 32`)
  if (nameKey.length !== 32) throw new TypeError('the name key has 32 bytes')
  const originOf = (tenant: string): string => {
    const name = createHmac('sha256', nameKey).update(tenant).digest('hex').slice(0, 32)
    return `${prefix}/${region}/${name}`
  }
  const { store, clock } = options
  const meta = createMetaLog({ store, origin: `${prefix}/${region}/meta`, ...(clock && { clock }) })
  /** The one used last stands last. */
  const open = new Map<string, AuditLog>()

  const makeRoom = (): void => {
    if (open.size < maxOpenLogs) return
    // An idle log holds nothing, so letting go of it is closing it.
    const idle = [...open].find(([, log]) => log.outstanding() === 0)
    if (idle === undefined)
      throw new AuditError('AUDIT_BACKLOG_FULL', `${maxOpenLogs} logs are being written to already`)
    open.delete(idle[0])
  }

  return {
    region,
    originOf,
    meta,
    of(tenant) {
      const origin = originOf(tenant)
      let log = open.get(origin)
      if (log === undefined) {
        makeRoom()
        log = openLog({ ...options, origin })
      }
      open.delete(origin)
      open.set(origin, log)
      return log
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...open.values(), meta].map((log) => log[Symbol.asyncDispose]()))
    },
  }
}
