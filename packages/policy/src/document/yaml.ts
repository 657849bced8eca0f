/** YAML in, a plain value or findings with lines out. The writer is trusted, but may be wrong in every possible way. */
import { isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node, type Pair } from 'yaml'
import { PolicyError, type PolicyFinding } from '../errors.ts'
import type { Field, Path, Problem } from './reader.ts'

/** A document of 5,000 rules has about this size. */
const MAX_DOCUMENT_CHARS = 1_000_000
/** Findings that are told; nobody reads more, and a text of quotes has one for every second character. */
const MAX_FINDINGS = 200
/** Flow collections that are open at once; the parser recurses into each. */
const MAX_FLOW_DEPTH = 64
/** What aliases may expand to, as a multiple of what is written: a "billion laughs" needs millions. */
const MAX_ALIAS_COUNT = 100

/**
 * Parses `source` and gives its root to `read`, which reports what it finds wrong.
 * @throws PolicyError POLICY_DOCUMENT_INVALID with every finding; its message is for people, one finding a line
 */
export function readYaml<T>(source: string, file: string, read: (root: Field) => T | undefined): T {
  const lines = new LineCounter()
  const document = parse(source, file, lines)
  const syntax = [...document.errors.slice(0, MAX_FINDINGS), ...findTwins(document)].map(({ message, pos }) => {
    const { line, col } = lines.linePos(pos[0])
    return { line, column: col, path: '', message: message.split('\n')[0] ?? message }
  })
  if (syntax.length > 0) throw invalid(file, syntax)
  const problems: Problem[] = []
  const result = read({ value: toValue(document, file), path: [], problems })
  if (problems.length === 0 && result !== undefined) return result
  throw invalid(file, locate(document, lines, problems.slice(0, MAX_FINDINGS)))
}

/** @throws PolicyError POLICY_DOCUMENT_INVALID */
export function readValue<T>(value: unknown, name: string, read: (root: Field) => T | undefined): T {
  const problems: Problem[] = []
  const result = read({ value, path: [], problems })
  if (problems.length === 0 && result !== undefined) return result
  throw invalid(
    name,
    problems.map(({ path, message }) => ({ line: 1, column: 1, path: formatPath(path), message })),
  )
}

function parse(source: string, file: string, lines: LineCounter): Document.Parsed {
  if (source.length > MAX_DOCUMENT_CHARS) {
    throw invalid(file, [whole(`is longer than ${MAX_DOCUMENT_CHARS} characters`)])
  }
  if (openBrackets(source) > MAX_FLOW_DEPTH) throw invalid(file, [whole('is nested too deeply')])
  try {
    // Excerpts for errors and the search for twins take a time that is quadratic in their number: both are done here.
    const quick = { prettyErrors: false, uniqueKeys: false, logLevel: 'silent' } as const
    return parseDocument(source, { lineCounter: lines, version: '1.2', schema: 'core', ...quick })
  } catch (error) {
    // `- - - - …` nests a list per two characters, and the parser recurses.
    if (error instanceof RangeError) throw invalid(file, [whole('is nested too deeply')], error)
    throw error
  }
}

function toValue(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIAS_COUNT }) as unknown
  } catch (error) {
    if (error instanceof ReferenceError) throw invalid(file, [whole(error.message)], error)
    if (error instanceof RangeError) throw invalid(file, [whole('is nested too deeply')], error)
    throw error
  }
}

/** How many brackets are open at once, or closed without having been opened. */
function openBrackets(source: string): number {
  let depth = 0
  let most = 0
  for (const bracket of source.matchAll(/[[\]{}]/g)) {
    depth += bracket[0] === '[' || bracket[0] === '{' ? 1 : -1
    most = Math.max(most, Math.abs(depth))
  }
  return most
}

type Twin = { readonly message: string; readonly pos: readonly [number] }

/** Of two members with one name only the last one would be read. */
function findTwins(document: Document.Parsed): Twin[] {
  const twins: Twin[] = []
  if (document.errors.length > 0) return twins
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<unknown>()
      for (const { key } of items) {
        const name: unknown = isScalar(key) ? key.value : undefined
        if (seen.has(name) && twins.length < MAX_FINDINGS) {
          twins.push({ message: `the key "${String(name)}" is there twice`, pos: [(key as Node).range?.[0] ?? 0] })
        }
        seen.add(name)
      }
    },
  })
  return twins
}

function whole(message: string): PolicyFinding {
  return { line: 1, column: 1, path: '', message }
}

function invalid(file: string, findings: readonly PolicyFinding[], cause?: unknown): PolicyError {
  const told = findings.length > 0 ? findings.slice(0, MAX_FINDINGS) : [whole('is empty')]
  const message = told
    .map(({ line, column, path, message }) => `${file}:${line}:${column} ${path === '' ? '' : `${path}: `}${message}`)
    .join('\n')
  return new PolicyError('POLICY_DOCUMENT_INVALID', message, { findings: told, cause })
}

function locate(document: Document.Parsed, lines: LineCounter, problems: readonly Problem[]): PolicyFinding[] {
  const findings = problems.map(({ path, message, at }) => {
    const { line, col } = lines.linePos(offsetOf(document, path, at))
    return { line: Math.max(line, 1), column: Math.max(col, 1), path: formatPath(path), message }
  })
  return findings.sort((a, b) => a.line - b.line || a.column - b.column)
}

/** Where the node at `path` begins, or the nearest one around it that is written down. */
function offsetOf(document: Document.Parsed, path: Path, at: 'key' | undefined): number {
  let node: Node | null = document.contents
  let offset = node?.range?.[0] ?? 0
  for (const [index, step] of path.entries()) {
    let next: unknown
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find(
        (one) => isScalar(one.key) && String(one.key.value) === String(step),
      )
      const isLast = index === path.length - 1
      if (pair === undefined) return offset
      if (isLast && at === 'key') return (pair.key as Node).range?.[0] ?? offset
      next = pair.value
    } else if (isSeq(node)) next = node.items[Number(step)]
    if (next === undefined || next === null) return offset
    node = next as Node
    offset = node.range?.[0] ?? offset
  }
  return offset
}

/** `policies[0].rules[2].tool` */
function formatPath(path: Path): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index > 0 ? '.' : ''}${step}`)).join('')
}
