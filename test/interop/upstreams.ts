// The three reference servers that the acceptance line names, as upstreams of the gateway and as endpoints of their own.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { scratchDirectory } from '../support/scratch-directory.ts'

export type ToolCase = { server: string; tool: string; args: Record<string, unknown>; answer: string }

export type Upstreams = Disposable & {
  servers: { id: string; command: string; args: string[] }[]
  cases: ToolCase[]
  /** Appears on the command line of every one of their processes. */
  marker: string
}

const mainOf = (name: string): string =>
  fileURLToPath(import.meta.resolve(`@modelcontextprotocol/server-${name}/dist/index.js`))

export const everythingMain: string = mainOf('everything')

export function referenceServers(): Upstreams {
  const scratch = scratchDirectory()
  const directory = scratch.path
  writeFileSync(join(directory, 'greeting.txt'), 'hello')
  const command = process.execPath
  return {
    marker: directory,
    servers: [
      { id: 'everything', command, args: [everythingMain, 'stdio', directory] },
      { id: 'filesystem', command, args: [mainOf('filesystem'), directory] },
      { id: 'memory', command, args: [mainOf('memory'), directory] },
    ],
    cases: [
      { server: 'everything', tool: 'echo', args: { message: 'hello' }, answer: 'Echo: hello' },
      { server: 'filesystem', tool: 'list_directory', args: { path: directory }, answer: '[FILE] greeting.txt' },
      { server: 'memory', tool: 'read_graph', args: {}, answer: '"entities": []' },
    ],
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  }
}
