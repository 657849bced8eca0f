/**
 * Files that hold keys and other people's settings: written beside their place and renamed into it, so that neither a
 * crash nor a full disk leaves half a file, and readable by their owner only unless they were readable before.
 */
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

/** A command holds its temporary file for milliseconds; an older one was left by a process that was killed. */
const STALE_MS = 10_000

export function writeAtomically(file: string, text: string, options: WriteOptions = {}): void {
  const target = resolveLink(file)
  const existing = statSync(target, { throwIfNoEntry: false })
  // One name for all writers, so that the file is the lock, too: whoever has it compares and renames undisturbed.
  const temporary = join(dirname(target), `.${basename(target)}.tmp`)
  const handle = openNew(temporary, file)
  try {
    try {
      writeFileSync(handle, text)
      fchmodSync(handle, existing === undefined ? (options.mode ?? 0o600) : existing.mode & 0o777)
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    if (options.expected !== undefined && readFileSync(target, 'utf8') !== options.expected) throw changed(file)
    renameSync(temporary, target)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** wx: a link that somebody put in this place beforehand is not followed. */
function openNew(temporary: string, file: string): number {
  try {
    return openSync(temporary, 'wx', 0o600)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    const other = statSync(temporary, { throwIfNoEntry: false })
    if (other !== undefined && Date.now() - other.mtimeMs < STALE_MS) throw changed(file)
    rmSync(temporary, { force: true })
    return openSync(temporary, 'wx', 0o600)
  }
}

function changed(file: string): CliError {
  return new CliError('CLI_FILE_CHANGED', `${file} was changed by somebody else meanwhile`, { hint: 'Try again.' })
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** A configuration that is a symbolic link stays one. */
function resolveLink(file: string): string {
  try {
    return realpathSync(file)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return file
    throw error
  }
}
