/**
 * Files that hold keys and other people's settings: written beside their place and renamed into it, so that neither a
 * crash nor a full disk leaves half a file, and readable by their owner only unless they were readable before.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { CliError } from './errors.ts'

export type WriteOptions = {
  /** What the file held when the change was made up; if somebody else wrote since, theirs is not lost. */
  readonly expected?: string | undefined
  /** Of a new file. @default 0o600 */
  readonly mode?: number
}

export function writeAtomically(file: string, text: string, options: WriteOptions = {}): void {
  const target = resolveLink(file)
  const existing = statSync(target, { throwIfNoEntry: false })
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`)
  // wx: a link that somebody put in this place beforehand is not followed.
  const handle = openSync(temporary, 'wx', 0o600)
  try {
    try {
      writeFileSync(handle, text)
      fchmodSync(handle, existing === undefined ? (options.mode ?? 0o600) : existing.mode & 0o777)
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    if (options.expected !== undefined && readFileSync(target, 'utf8') !== options.expected) {
      throw new CliError('CLI_FILE_CHANGED', `${file} was changed by somebody else meanwhile`, { hint: 'Try again.' })
    }
    renameSync(temporary, target)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** A configuration that is a symbolic link stays one. */
function resolveLink(file: string): string {
  try {
    return realpathSync(file)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return file
    throw error
  }
}
