import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type ScratchDirectory = Disposable & { path: string }

const open = new Set<string>()

// An interrupted run disposes of nothing.
process.on('exit', () => open.forEach(remove))

/** A directory of its own for a program under test, removed at the end. Its path is real: macOS links its own /tmp. */
export function scratchDirectory(): ScratchDirectory {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'mcp-gateway-test-')))
  open.add(path)
  return { path, [Symbol.dispose]: () => remove(path) }
}

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true })
  open.delete(path)
}
