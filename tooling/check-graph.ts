// Arrows go from apps to packages and nowhere else. A package that knows another can no longer be taken alone,
// which is what our packages are for; they meet structurally, in the app. This check fails when
//   1. a packages/* manifest names another member of the workspace in any dependency field,
//   2. a file in packages/* imports another member, or reaches out of its own folder,
//   3. any file imports a member other than through its exports.
// Whether what is imported is also declared is knip's work.
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { readWorkspace } from './workspace.ts'
import type { Member } from './workspace.ts'

/** `import … from 'x'`, `export … from 'x'`, `import 'x'`, `import('x')`. */
const IMPORT = /\b(?:from|import)\s*\(?\s*(['"])(?<specifier>[^'"\n]+)\1/g
const COMMENT_LINE = /^\s*(?:\/\/|\*|\/\*)/

const NOT_OURS = /(?:^|\/)(?:node_modules|dist|\.[^/]+)$/

/** Every violation as `file:line: what is wrong`, in the order of the files. */
export function checkGraph(root: string): string[] {
  const members = readWorkspace(root)
  const files = globSync('**/*.{ts,tsx,mts}', { cwd: root, exclude: (path) => NOT_OURS.test(path) })
  return [
    ...members.filter(({ isApp }) => !isApp).flatMap((member) => checkManifest(member, members)),
    ...files.sort().flatMap((file) => checkFile(file, readFileSync(join(root, file), 'utf8'), members)),
  ]
}

function checkManifest({ folder, manifest, manifestText }: Member, members: readonly Member[]): string[] {
  const others = members.map((member) => member.manifest.name).filter((name) => name !== manifest.name)
  return manifestText.split('\n').flatMap((line, index) => {
    const named = others.find((other) => line.includes(`"${other}":`))
    return named === undefined ? [] : [`${folder}/package.json:${index + 1}: a package may not depend on ${named}`]
  })
}

function checkFile(file: string, text: string, members: readonly Member[]): string[] {
  const home = members.find(({ folder }) => file.startsWith(`${folder}/`))
  return importsOf(text).flatMap(({ specifier, line }) => {
    const problem = specifier.startsWith('.')
      ? problemWithPath(posix.join(dirname(file), specifier), home, members, file)
      : problemWithName(specifier, home, members)
    return problem === undefined ? [] : [`${file}:${line}: ${problem}`]
  })
}

function problemWithPath(
  target: string,
  home: Member | undefined,
  members: readonly Member[],
  file: string,
): string | undefined {
  // A provider, a chain, a certificate authority for tests: no package's surface, and not written twice.
  if (/(^|\/)test\/support\//.test(target) && file.includes('/test/')) return undefined
  const owner = members.find(({ folder }) => target === folder || target.startsWith(`${folder}/`))
  if (owner === home)
    return home === undefined || target.startsWith(`${home.folder}/`) ? undefined : leaves(target, home)
  if (owner === undefined) return home === undefined ? undefined : leaves(target, home)
  return `import ${owner.manifest.name} by its name, not by the path ${target}`
}

function leaves(target: string, home: Member): string {
  return `${target} is outside ${home.folder}, which is published without it`
}

function problemWithName(specifier: string, home: Member | undefined, members: readonly Member[]): string | undefined {
  const owner = members.find(({ manifest: { name } }) => specifier === name || specifier.startsWith(`${name}/`))
  if (owner === undefined) return undefined
  if (home !== undefined && !home.isApp && owner !== home) return `a package may not import ${owner.manifest.name}`
  const subpath = `.${specifier.slice(owner.manifest.name.length)}`
  const isExported = Object.keys(owner.manifest.exports ?? {}).some((entry) => posix.matchesGlob(subpath, entry))
  return isExported ? undefined : `${owner.manifest.name} does not export ${subpath}`
}

function importsOf(text: string): { specifier: string; line: number }[] {
  return [...text.matchAll(IMPORT)].flatMap((match) => {
    const before = text.slice(0, match.index)
    const lineStart = before.slice(before.lastIndexOf('\n') + 1)
    const specifier = match.groups?.['specifier']
    return specifier === undefined || COMMENT_LINE.test(lineStart)
      ? []
      : [{ specifier, line: before.split('\n').length }]
  })
}

if (import.meta.main) {
  const problems = checkGraph(join(import.meta.dirname, '..'))
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
}
