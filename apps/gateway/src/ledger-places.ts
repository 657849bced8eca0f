/** Where each log of a gateway is, by its name: for checking all of them against the meta-log. Nothing is changed. */
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { AuditStore } from '@mcp-gateway/audit-chain'
import type { LogPlaces } from './ledger-meta-check.ts'
import { readLedgerFile } from './ledger-read.ts'

/** Files that are open at a time: there may be a thousand tenants, and a process may have as many files. */
const MAX_OPEN = 32

/** The log beside this meta-log and those of the tenants below it, which all have one file name. */
export async function openLogPlaces(metaFile: string, fileName: string): Promise<AsyncDisposable & LogPlaces> {
  const top = dirname(metaFile)
  const tenants = join(top, 'tenants')
  const folders = existsSync(tenants) ? readdirSync(tenants).map((name) => join(tenants, name)) : []
  const files = new Map<string, string>()
  const unreadable: string[] = []
  for (const file of [top, ...folders].map((folder) => join(folder, fileName))) {
    if (!existsSync(file)) continue
    try {
      await using reader = await readLedgerFile(file)
      for (const origin of await reader.store.origins()) files.set(origin, file)
    } catch (error) {
      // A log that has no entry yet has no name either.
      const isEmpty = error instanceof Error && 'code' in error && error.code === 'AUDIT_NOT_FOUND'
      if (!isEmpty) unreadable.push(`${file}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  /** The one used last stands last. */
  const open = new Map<string, Awaited<ReturnType<typeof readLedgerFile>>>()
  return {
    origins: [...files.keys()],
    unreadable,
    fileOf: (origin) => files.get(origin),
    async storeOf(origin) {
      const file = files.get(origin)
      if (file === undefined) return undefined
      // Not the open file itself: it may be closed again before it is read.
      return reading(async () => {
        const reader = open.get(origin) ?? (await readLedgerFile(file))
        open.delete(origin)
        open.set(origin, reader)
        const [oldest] = open.size > MAX_OPEN ? open : []
        if (oldest !== undefined) {
          open.delete(oldest[0])
          await oldest[1][Symbol.asyncDispose]()
        }
        return reader.store
      })
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(Array.from(open.values(), (reader) => reader[Symbol.asyncDispose]()))
    },
  }
}

/** A store of which only what a comparison reads works, opened anew for each read that needs it. */
async function reading(storeNow: () => Promise<AuditStore>): Promise<AuditStore> {
  const store = await storeNow()
  return {
    ...store,
    entries: async (...range) => await (await storeNow()).entries(...range),
    lastCheckpoint: async (origin) => await (await storeNow()).lastCheckpoint(origin),
  }
}
