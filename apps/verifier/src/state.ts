/**
 * The last checkpoint of every log that was verified here. It is what finds a log that was rolled back or rewritten and
 * signed again by its own key, so what is there and cannot be read is an error, never a fresh start.
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseCheckpoint, type Checkpoint } from '@mcp-gateway/audit-chain/verify'
import { VerifyError } from './finding.ts'

export type State = {
  /** @throws VerifyError STATE_UNUSABLE */
  last(origin: string): Checkpoint | undefined
  /** @throws VerifyError STATE_UNUSABLE */
  keep(origin: string, note: string): void
}

export function openState(directory: string): State {
  // Origins are chosen by strangers: not a part of a path.
  const pathOf = (origin: string): string =>
    join(directory, `${createHash('sha256').update(origin).digest('hex')}.checkpoint`)
  return {
    last(origin) {
      const path = pathOf(origin)
      try {
        if (!existsSync(path)) return undefined
        const checkpoint = parseCheckpoint(readFileSync(path, 'utf8'))
        if (checkpoint.origin !== origin) throw new TypeError(`it is about ${checkpoint.origin}`)
        return checkpoint
      } catch (error) {
        throw new VerifyError('STATE_UNUSABLE', `${path}: ${messageOf(error)}`, { cause: error })
      }
    },
    keep(origin, note) {
      const path = pathOf(origin)
      try {
        mkdirSync(directory, { recursive: true, mode: 0o700 })
        const draft = `${path}.${randomBytes(6).toString('hex')}`
        writeFileSync(draft, note, { mode: 0o600, flag: 'wx', flush: true })
        renameSync(draft, path)
      } catch (error) {
        throw new VerifyError('STATE_UNUSABLE', `${path}: ${messageOf(error)}`, { cause: error })
      }
    },
  }
}

/** Remembers nothing. */
export const noState: State = { last: () => undefined, keep: () => {} }

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
