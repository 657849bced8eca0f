/** Secrets that a log has beside it, made once and kept for good. */
import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

/**
 * What is in the file, which is made when it is not there. Several gateways may start at once: a file appears whole or not
 * at all, and the first one is everybody's.
 */
export function readOrMake(path: string, make: () => string | Uint8Array): Buffer {
  if (existsSync(path)) return readFileSync(path)
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(draft, make(), { mode: 0o600, flag: 'wx', flush: true })
    linkSync(draft, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    rmSync(draft, { force: true })
  }
  return readFileSync(path)
}
