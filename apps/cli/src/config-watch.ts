/** Tells when the configuration file has changed. Asked of the file system by polling: that also sees symlinks being swapped. */
import { readFileSync, unwatchFile, watchFile } from 'node:fs'

const POLL_MS = 500

export function watchConfig(file: string, onChange: () => void): Disposable {
  let text = readFileSync(file, 'utf8')
  const look = (): void => {
    let now: string
    try {
      now = readFileSync(file, 'utf8')
    } catch {
      // Editors that write a new file are between two steps; a file that stays away changes nothing either.
      return
    }
    if (now === text) return
    text = now
    onChange()
  }
  watchFile(file, { interval: POLL_MS, persistent: false }, look)
  return { [Symbol.dispose]: () => unwatchFile(file, look) }
}
