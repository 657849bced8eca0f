/**
 * Changes to a configuration file that keep a person's comments and order: they are made on the YAML document, and the
 * result is checked before it is written. A variable that is not set in this shell is no reason to refuse a change.
 */
import { readFileSync } from 'node:fs'
import { ConfigError, parseConfig } from '@mcp-gateway/gateway'
import { isMap, isScalar, isSeq, parseDocument, visit, YAMLMap, YAMLSeq, type Document } from 'yaml'
import { writeAtomically } from './atomic-write.ts'
import { requireConfig, shown } from './config-file.ts'
import type { Context } from './context.ts'
import { CliError } from './errors.ts'

export type ConfigDocument = {
  readonly file: string
  /** As it was read. */
  readonly text: string
  readonly document: Document
}

export type List = 'servers' | 'keys'
export type Entry = Readonly<Record<string, unknown>>

const paths: Readonly<Record<List, readonly string[]>> = { servers: ['servers'], keys: ['auth', 'keys'] }

/** @throws ConfigError when the file is wrong in any other way than a variable that is not set here. */
export function openConfig(context: Context): ConfigDocument {
  const file = requireConfig(context)
  const text = readFileSync(file, 'utf8')
  check(context, file, text)
  return { file, text, document: parseDocument(text) }
}

/** The entries as the file has them: references stay references. */
export function entriesOf({ document }: ConfigDocument, list: List): readonly Entry[] {
  const found: unknown = paths[list].reduce((value: unknown, key) => Object(value)[key], document.toJS())
  return Array.isArray(found) ? (found as Entry[]) : []
}

export function append({ document }: ConfigDocument, list: List, entry: Entry): void {
  const sequence = sequenceAt(document, paths[list])
  if (sequence.items.length === 0) sequence.flow = false
  sequence.add(nodeOf(document, entry))
}

export function remove({ document }: ConfigDocument, list: List, id: string): boolean {
  const sequence = sequenceAt(document, paths[list])
  const index = indexOf(sequence, id)
  if (index === -1) return false
  sequence.delete(index)
  if (sequence.items.length === 0) sequence.flow = true
  return true
}

export function replace({ document }: ConfigDocument, list: List, entry: Entry): void {
  const sequence = sequenceAt(document, paths[list])
  sequence.set(indexOf(sequence, String(entry['id'])), nodeOf(document, entry))
}

export function setField({ document }: ConfigDocument, list: List, id: string, field: string, value: unknown): void {
  const item = sequenceAt(document, paths[list]).items.find((candidate) => idOf(candidate) === id)
  if (isMap(item)) item.set(field, value)
}

/** Checks the changed document and puts it in the place of the file, unless the file was changed meanwhile. */
export function save(context: Context, { file, text, document }: ConfigDocument): void {
  const next = file.endsWith('.json') ? `${JSON.stringify(document.toJS(), null, 2)}\n` : renderYaml(document, text)
  check(context, file, next)
  writeAtomically(file, next, { expected: text })
}

/** In the style of the file: `[a]` or `[ a ]`, each as it was; dashes indented or not. */
export function renderYaml(document: Document, style: string): string {
  visit(document, {
    Collection(_, node) {
      if (node.flow !== true || !node.range) return
      const flowCollectionPadding = /\s/.test(style.charAt(node.range[0] + 1)) ? ' ' : ''
      // yaml has one setting for all collections; prettier and oxfmt write `{ a: 1 }` and `[1]`.
      const write = node.toString.bind(node)
      node.toString = (context, ...rest) => write(context && { ...context, flowCollectionPadding }, ...rest)
    },
  })
  return document.toString({ lineWidth: 0, flowCollectionPadding: false, indentSeq: !/^- /m.test(style) })
}

function check(context: Context, file: string, text: string): void {
  try {
    parseConfig(text, { env: context.env, file: shown(context, file) })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    if (error.findings.some(({ variable }) => variable === undefined)) throw error
  }
}

function sequenceAt(document: Document, path: readonly string[]): YAMLSeq {
  document.contents ??= new YAMLMap()
  const node = document.getIn(path, true)
  if (isSeq(node)) return node
  if (node !== undefined && !(isScalar(node) && node.value === null)) {
    throw new CliError('CLI_FAILED', `${path.join('.')} is written in a way this command cannot change`, {
      hint: 'It is an alias, or made of one: edit the file by hand.',
    })
  }
  // `auth:` with nothing after it holds a null, which setIn cannot enter.
  for (const depth of path.keys()) {
    const parent = document.getIn(path.slice(0, depth), true)
    if (depth > 0 && !isMap(parent)) document.setIn(path.slice(0, depth), new YAMLMap())
  }
  const sequence = new YAMLSeq()
  document.setIn(path, sequence)
  return sequence
}

/** As a person would write it: a few words on one line. */
function nodeOf(document: Document, entry: Entry): unknown {
  const node = document.createNode(entry)
  for (const { value } of isMap(node) ? node.items : []) {
    if (isSeq(value) && JSON.stringify(value.toJSON()).length <= 60) value.flow = true
  }
  return node
}

function indexOf(sequence: YAMLSeq, id: string): number {
  return sequence.items.findIndex((item) => idOf(item) === id)
}

function idOf(item: unknown): string | undefined {
  return isMap(item) ? String(item.get('id')) : undefined
}
