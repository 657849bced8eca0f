// The members of this workspace, read from their folders: what the checks beside this file look at.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export type Manifest = {
  readonly name: string
  readonly version?: string
  readonly private?: boolean
  readonly bin?: Readonly<Record<string, string>>
  readonly exports?: Readonly<Record<string, unknown>>
}

export type Member = {
  /** `packages/wire`, relative to the root, with forward slashes. */
  readonly folder: string
  readonly isApp: boolean
  readonly manifest: Manifest
  /** The text of package.json, for checks that want to name a line. */
  readonly manifestText: string
}

export function readWorkspace(root: string): Member[] {
  return globSync('{packages,apps}/*', { cwd: root })
    .map((folder) => folder.replaceAll('\\', '/'))
    .filter((folder) => existsSync(join(root, folder, 'package.json')))
    .sort()
    .map((folder) => {
      const manifestText = readFileSync(join(root, folder, 'package.json'), 'utf8')
      return { folder, isApp: folder.startsWith('apps/'), manifest: JSON.parse(manifestText) as Manifest, manifestText }
    })
}
