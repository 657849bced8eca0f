// A source file over 300 lines holds more than one idea, or says in its opening comment why it is one after all:
// a line that begins with `// Reason:`. Tests may be long.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const LIMIT = 300

/** Every file that is too long, as `file:1: what is wrong`. */
export function checkFiles(root: string): string[] {
  return globSync('{packages,apps}/*/src/**/*.{ts,tsx}', { cwd: root })
    .concat(globSync('{bench,tooling,examples}/**/*.ts', { cwd: root, exclude: ['**/node_modules', '**/test'] }))
    .sort()
    .flatMap((file) => {
      const lines = readFileSync(join(root, file), 'utf8').trimEnd().split('\n')
      return lines.length <= LIMIT || givesReason(lines)
        ? []
        : [`${file}:1: ${lines.length} lines; split it by idea, or say in the header why not (// Reason: …)`]
    })
}

/** The header is the run of comment lines that the file opens with. */
function givesReason(lines: readonly string[]): boolean {
  const end = lines.findIndex((line) => !/^\s*(?:\/\/|\/?\*)/.test(line))
  return lines.slice(0, end).some((line) => /^\s*(?:\/\/|\*) Reason: \S/.test(line))
}

if (import.meta.main) {
  const problems = checkFiles(join(import.meta.dirname, '..'))
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
}
