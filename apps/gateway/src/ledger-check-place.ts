/** `audit verify`: one log in its file or database, and the meta-log over it and the others. Nothing is changed. */
import { basename } from 'node:path'
import { AuditError, predecessorOrigins, type Examination, type Finding } from '@mcp-gateway/audit-chain'
import { parseCheckpoint } from '@mcp-gateway/audit-chain/verify'
import { checkLedger, type LedgerCheckOptions } from './ledger-check.ts'
import { hasKey, nameOfKey, placeOf } from './ledger-keys.ts'
import { alone, checkMeta, gone, unreadable, type MetaCheck } from './ledger-meta-check.ts'
import { openLogPlaces } from './ledger-places.ts'
import { readLedger, readLedgerFile, type LedgerPlace } from './ledger-read.ts'
import type { LedgerReader } from './ledger-rows.ts'
import { predecessorsOf } from './ledger-succession.ts'
import { META_PREFIX, metaFileNear, metaOrigin, regionOf } from './ledger-store.ts'

export type PlaceCheckOptions = Pick<LedgerCheckOptions, 'remembered' | 'onProgress'> & {
  /** Compare every log with what the meta-log recorded of it, and not only the one of this place. */
  readonly everyLog: boolean
}

/** `meta` is undefined where no meta-log was begun. */
export type PlaceCheck = Examination & { readonly meta: MetaCheck | undefined }

type MetaOutcome = { readonly findings: readonly Finding[]; readonly meta: MetaCheck | undefined }

/** @throws AuditError AUDIT_NOT_FOUND for a log without entries, the AUDIT_STORE_… codes when it can't be read */
export async function checkPlace(place: LedgerPlace, { everyLog, ...options }: PlaceCheckOptions): Promise<PlaceCheck> {
  await using reader = await readLedger(place)
  const { remembered = [], ...rest } = options
  const [ofMeta, ofLogs] = [remembered.filter(isMeta), remembered.filter((note) => !isMeta(note))]
  const metaFile = place.meta ?? metaFileNear(place.file)
  const isOf = (origin: string) => (note: string) => note.startsWith(`${origin}\n`)
  const names = predecessorOrigins(reader.log.origin)
  // A note that is of no log here is a finding of the newest.
  const notesOf = ({ log: { origin } }: LedgerReader): string[] =>
    names.includes(origin)
      ? ofLogs.filter(isOf(origin))
      : ofLogs.filter((note) => !names.some((name) => isOf(name)(note)))
  const checkOne = async (one: LedgerReader): Promise<Examination> =>
    await checkLedger({ store: one.store, origin: one.log.origin, file: place.file, remembered: notesOf(one), ...rest })
  const compareOne = async (one: LedgerReader): Promise<MetaOutcome> =>
    place.postgres === undefined
      ? await inFiles(one, metaFile, everyLog ? basename(place.file) : undefined, ofMeta)
      : await inDatabase(place.postgres, one, metaFile, everyLog, ofMeta)

  const earlier: Finding[] = []
  for await (const one of predecessorsOf(reader)) {
    earlier.push(...(await checkOne(one)).findings)
    if (!everyLog) earlier.push(...(await compareOne(one)).findings)
  }
  const examination = await checkOne(reader)
  const { findings, meta } = await compareOne(reader)
  return { ...examination, findings: [...earlier, ...examination.findings, ...findings], meta }
}

function isMeta(note: string): boolean {
  return note.startsWith(META_PREFIX)
}

/** `fileName`: every log of that name is compared, and not only the reader's. */
async function inFiles(
  reader: LedgerReader,
  file: string,
  fileName: string | undefined,
  remembered: readonly string[],
): Promise<MetaOutcome> {
  const { origin } = reader.log
  try {
    await using meta = await readLedgerFile(file)
    const only = fileName === undefined ? { only: origin } : {}
    await using places = fileName === undefined ? alone(reader) : await openLogPlaces(file, fileName)
    return await checkMeta({ store: meta.store, origin: meta.log.origin, file, places, remembered, ...only })
  } catch (error) {
    const isMissing = error instanceof AuditError && error.code === 'AUDIT_NOT_FOUND'
    if (!isMissing) return unreadable(error)
    const [note] = remembered
    if (note !== undefined) return { findings: [gone(parseCheckpoint(note).origin)], meta: undefined }
    // Called after its key: a checkpoint of that name is of a meta-log that is not there any more.
    const name = hasKey(file) ? metaOrigin(nameOfKey(file), regionOf(origin)) : undefined
    const isGone = name !== undefined && (await placeOf(file).last(name)) !== undefined
    return { findings: isGone ? [gone(name)] : [], meta: undefined }
  }
}

async function inDatabase(
  postgres: NonNullable<LedgerPlace['postgres']>,
  reader: LedgerReader,
  file: string,
  everyLog: boolean,
  remembered: readonly string[],
): Promise<MetaOutcome> {
  const { findPostgresLog, logsOf } = await import('./ledger-postgres.ts')
  await using found = await findPostgresLog(postgres, postgres.tenantId)
  const { store, origin } = await found.openMeta()
  if (!everyLog)
    return await checkMeta({ store, origin, file, places: alone(reader), remembered, only: reader.log.origin })
  return await checkMeta({ store, origin, file, places: await logsOf(store), remembered })
}
