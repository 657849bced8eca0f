/** The last checkpoint of each log in a folder: put it on another disk than the database, best on another machine's. */
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { CheckpointPlace } from '../anchor.ts'
import { parseCheckpoint } from '../checkpoint.ts'
import { AuditError } from '../errors.ts'
import { sha256 } from '../hash.ts'

export type FilePlaceOptions = { readonly directory: string }

export function createFilePlace({ directory }: FilePlaceOptions): CheckpointPlace {
  // Names of logs have slashes, and are not for a file system to interpret.
  const fileOf = (origin: string): string => join(directory, `${sha256(origin).toString('hex', 0, 16)}.checkpoint`)

  const last = async (origin: string, signal?: AbortSignal): Promise<string | undefined> => {
    try {
      return await readFile(fileOf(origin), { encoding: 'utf8', ...(signal && { signal }) })
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw failed(`${fileOf(origin)} cannot be read`, error)
    }
  }

  return {
    name: directory,
    last,
    async keep({ origin, size, note }, signal) {
      const before = await last(origin, signal)
      const known = before === undefined ? 0 : parseCheckpoint(before).size
      if (known > size) {
        throw new AuditError(
          'AUDIT_ROLLED_BACK',
          `${fileOf(origin)} remembers size ${known}, and ${size} is to replace it`,
        )
      }
      try {
        await mkdir(directory, { recursive: true })
        await writeDurably(directory, fileOf(origin), note)
      } catch (error) {
        throw failed(`${fileOf(origin)} cannot be written`, error)
      }
    },
  }
}

/** Whole or not at all, also when the power goes: the new file and then the folder that names it are flushed. */
async function writeDurably(directory: string, path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  await using file = await open(temporary, 'w')
  await file.writeFile(text)
  await file.sync()
  await rename(temporary, path)
  await using folder = await open(directory, 'r')
  await folder.sync()
}

function failed(message: string, cause: unknown): AuditError {
  return new AuditError('AUDIT_ANCHOR_FAILED', message, { cause })
}
