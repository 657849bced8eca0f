/** From "this path is wrong" to "gateway.yaml:12:3 servers[0].comand: unknown key; did you mean "command"?". */
import { isAlias, isMap, isNode, isScalar, isSeq, type Document, type LineCounter, type Pair } from 'yaml'

export type Path = readonly (string | number)[]

/** One thing that is wrong, before it has a line. `at: 'key'` points at the map key instead of at the value. */
export type Problem = {
  readonly path: Path
  readonly message: string
  readonly suggestion?: string
  /** The environment variable whose absence is all that is wrong here. */
  readonly variable?: string
  readonly at?: 'key'
  /** Where it is, when the finder already holds the node. */
  readonly node?: unknown
}

/** One thing that is wrong, as an editor wants it. Lines and columns count from 1. */
export type ConfigFinding = {
  readonly line: number
  readonly column: number
  /** `servers[0].command`; empty for the file as a whole. */
  readonly path: string
  readonly message: string
  /** The key that was probably meant. */
  readonly suggestion?: string
  /** The environment variable whose absence is all that is wrong here. */
  readonly variable?: string
}

/** Thrown by `parseConfig` with everything that is wrong; its message is for people, one finding a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'CONFIG_INVALID'
  readonly findings: readonly ConfigFinding[]
  constructor(file: string, findings: readonly ConfigFinding[]) {
    super(findings.map((finding) => describe(file, finding)).join('\n'))
    this.findings = findings
  }
}

/** Gives each problem its line, in the order of the file. */
export function locate(document: Document, lines: LineCounter, problems: readonly Problem[]): ConfigFinding[] {
  const findings = problems.map(({ path, message, suggestion, variable, at, node }) => {
    const { line, col } = lines.linePos(offsetOf(node) ?? findOffset(document, path, at))
    const place = { line: Math.max(line, 1), column: Math.max(col, 1), path: formatPath(path), message }
    return { ...place, ...(suggestion !== undefined && { suggestion }), ...(variable !== undefined && { variable }) }
  })
  return findings.sort((a, b) => a.line - b.line || a.column - b.column)
}

/** The candidate a person most likely meant, or nothing when none is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const lower = word.toLowerCase()
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(lower, candidate.toLowerCase())
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

function describe(file: string, { line, column, path, message, suggestion }: ConfigFinding): string {
  const hint = suggestion === undefined ? '' : `; did you mean "${suggestion}"?`
  return `${file}:${line}:${column} ${path === '' ? '' : `${path}: `}${message}${hint}`
}

function formatPath(path: Path): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (!/^[\w-]+$/.test(step)) text += `[${JSON.stringify(step)}]`
    else text += text === '' ? step : `.${step}`
  }
  return text
}

/** Walks down as far as the document goes: a missing key is reported where its parent begins. */
function findOffset(document: Document, path: Path, at: Problem['at']): number {
  let node: unknown = document.contents
  let offset = offsetOf(node) ?? 0
  for (const [index, step] of path.entries()) {
    const source = isAlias(node) ? node.resolve(document) : node
    const pair = isMap(source) ? source.items.find((item) => keyOf(item) === String(step)) : undefined
    const value: unknown = isSeq(source) ? source.items[Number(step)] : pair?.value
    if (pair !== undefined && at === 'key' && index === path.length - 1) return offsetOf(pair.key) ?? offset
    // `name:` with nothing after it has a null value without a place of its own worth showing: point at the key.
    const empty = isScalar(value) && value.value === null
    const found = (empty ? undefined : offsetOf(value)) ?? offsetOf(pair?.key)
    if (found === undefined) return offset
    offset = found
    node = value
  }
  return offset
}

function keyOf(pair: Pair): string {
  return String(isScalar(pair.key) ? pair.key.value : pair.key)
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}

/** Optimal string alignment: a swap of neighbours ("nmae") is one edit. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) cost = Math.min(cost, (before[column - 2] ?? 0) + 1)
      current.push(cost)
    }
    ;[before, above] = [above, current]
  }
  return above[b.length] ?? 0
}
