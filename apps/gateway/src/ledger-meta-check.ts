/** Checking the meta-log, and what it recorded of each log against that log as it is now. */
import { examineMetaLog, type AuditStore, type Finding } from '@mcp-gateway/audit-chain'
import { placeOf, policyOf } from './ledger-keys.ts'
import { breathing } from './ledger-check.ts'
import type { LedgerReader } from './ledger-rows.ts'

export type MetaCheck = {
  readonly entries: number
  /** Entries that a signed checkpoint of the meta-log covers. */
  readonly signedEntries: number
  /** Logs that were compared with what was recorded of them. */
  readonly logs: number
  /** Logs whose last checkpoint is not recorded yet: the next one does that. */
  readonly behind: readonly { readonly log: string; readonly signed: number; readonly recorded: number }[]
  /** Why it could not be checked, or not all of it. */
  readonly problem?: string
}

/** Where each log is, by its name. */
export type LogPlaces = {
  /** Of every log that is there. */
  readonly origins: readonly string[]
  /** Files that should have a log and cannot be read, with the reason. */
  readonly unreadable: readonly string[]
  storeOf(origin: string): Promise<AuditStore | undefined>
  /** For the operator, to whom names of logs tell nothing either: the file of the log. */
  readonly fileOf?: (origin: string) => string | undefined
}

export type MetaCheckOptions = {
  readonly store: AuditStore
  readonly origin: string
  /** Its key and its kept checkpoint are beside it. */
  readonly file: string
  readonly places: LogPlaces
  /** Signed checkpoints of it that were kept elsewhere. */
  readonly remembered?: readonly string[]
  /** The one log to compare, for somebody who must not hear of others. */
  readonly only?: string
  readonly onProgress?: (done: number, total: number) => void
}

const NOTHING: MetaCheck = { entries: 0, signedEntries: 0, logs: 0, behind: [] }

/** Never throws for a meta-log that cannot be read: that is in the answer, beside what is said of the log itself. */
export async function checkMeta(options: MetaCheckOptions): Promise<{ findings: readonly Finding[]; meta: MetaCheck }> {
  const { store, origin, file, places, only, onProgress, remembered: given = [] } = options
  try {
    const kept = file === ':memory:' ? undefined : await placeOf(file).last(origin)
    const remembered = kept === undefined ? given : [...given, kept]
    const recorded = new Map<string, number>()
    const isBegun = (await store.head(origin)) !== undefined
    if (!isBegun) {
      const findings = remembered.length === 0 ? [] : [gone(origin)]
      return { findings, meta: { ...NOTHING, behind: await behindOf(places, recorded, only) } }
    }
    const policy = policyOf(file, origin)
    const found = await examineMetaLog({
      store: breathing(store),
      origin,
      storeOf: async (name) => {
        const log = await places.storeOf(name)
        return log && breathing(log)
      },
      remembered,
      ...(policy && { policy }),
      ...(only !== undefined && { only }),
      ...(onProgress && { onProgress }),
    })
    for (const [name, size] of found.recorded) recorded.set(name, size)
    const [problem] = places.unreadable
    const meta = {
      entries: found.size,
      signedEntries: found.signedSize,
      logs: recorded.size,
      behind: await behindOf(places, recorded, only),
      ...(problem !== undefined && { problem }),
    }
    const named = found.findings.map((finding) => {
      const place = finding.origin === undefined ? undefined : places.fileOf?.(finding.origin)
      return place === undefined ? finding : { ...finding, message: `${finding.message} (${place})` }
    })
    return { findings: named, meta }
  } catch (error) {
    return unreadable(error)
  }
}

/**
 * Of what the system, SQLite, the store or the configuration say with a code. @throws the error when it has none: a mistake
 * of ours
 */
export function unreadable(error: unknown): { findings: readonly Finding[]; meta: MetaCheck } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  if (code === undefined) throw error
  const problem = `${(error as Error).message} (${code})`
  return { findings: [], meta: { ...NOTHING, problem } }
}

/** A meta-log that was signed once, and of which there is nothing any more. */
export function gone(origin: string): Finding {
  const message = `the meta-log ${origin} has no entries, and a checkpoint of it was kept`
  return { code: 'ROLLED_BACK', origin, seq: 0, message }
}

async function behindOf(
  places: LogPlaces,
  recorded: ReadonlyMap<string, number>,
  only: string | undefined,
): Promise<MetaCheck['behind']> {
  const names = only === undefined ? new Set([...places.origins, ...recorded.keys()]) : [only]
  const behind = []
  for (const log of names) {
    const signed = (await (await places.storeOf(log))?.lastCheckpoint(log))?.size ?? 0
    const known = recorded.get(log) ?? 0
    if (signed > known) behind.push({ log, signed, recorded: known })
  }
  return behind
}

/** For somebody who asks about one log. */
export function alone({ log, store }: LedgerReader): AsyncDisposable & LogPlaces {
  return {
    origins: [log.origin],
    unreadable: [],
    storeOf: async (origin) => (origin === log.origin ? store : undefined),
    [Symbol.asyncDispose]: async () => undefined,
  }
}
