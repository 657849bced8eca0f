/**
 * Additions to a JSON file of somebody else, comments and trailing commas included. New members go first: whatever was
 * there keeps every byte, and a comment behind the last entry stays behind it.
 */
import { findNodeAtLocation, parseTree, type Node } from 'jsonc-parser'

/** Sets a member of the object at `path`, making objects on the way; an existing value is replaced. */
export function setMember(text: string, path: readonly [string, ...string[]], value: unknown): string {
  const existing = findNodeAtLocation(treeOf(text), [...path])
  if (existing !== undefined) {
    const pretty = JSON.stringify(value, null, unitOf(text)).replaceAll(
      '\n',
      eolOf(text) + indentAt(text, existing.offset),
    )
    return text.slice(0, existing.offset) + pretty + text.slice(existing.offset + existing.length)
  }
  const [key, ...rest] = path
  const parent = path.slice(0, -1)
  const owner = findNodeAtLocation(treeOf(text), parent)
  if (owner !== undefined && owner.type === 'object') return insertFirst(text, owner, value, path.at(-1))
  // One level is enough for what clients' files look like: {"mcpServers": {"name": …}}
  return insertFirst(
    text,
    treeOf(text),
    rest.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value),
    key,
  )
}

/** Adds an element to the array `key` of the root, making it when there is none. */
export function addElement(text: string, key: string, value: unknown): string {
  const array = findNodeAtLocation(treeOf(text), [key])
  if (array?.type !== 'array') return setMember(text, [key], [value])
  return insertFirst(text, array, value)
}

function insertFirst(text: string, owner: Node, value: unknown, key?: string): string {
  const eol = eolOf(text)
  const outer = indentAt(text, owner.offset)
  const [first] = owner.children ?? []
  const inner = outer + unitOf(text)
  const pretty = JSON.stringify(value, null, unitOf(text)).replaceAll('\n', eol + inner)
  const item = `${eol}${inner}${key === undefined ? '' : `${JSON.stringify(key)}: `}${pretty}`
  const start = owner.offset + 1
  const end = owner.offset + owner.length - 1
  if (first !== undefined) {
    const isOnSameLine = !text.slice(start, first.offset).includes('\n')
    const rest = isOnSameLine ? `${eol}${inner}${text.slice(start).trimStart()}` : text.slice(start)
    return `${text.slice(0, start)}${item},${rest}`
  }
  const comments = text.slice(start, end).trimEnd()
  return `${text.slice(0, start)}${item}${comments}${eol}${outer}${text.slice(end)}`
}

function treeOf(text: string): Node {
  const tree = parseTree(text, [], { allowTrailingComma: true, disallowComments: false })
  if (tree?.type !== 'object') throw new TypeError('the root must be an object')
  return tree
}

function indentAt(text: string, offset: number): string {
  const line = text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset)
  return /^[ \t]*/.exec(line)?.[0] ?? ''
}

function unitOf(text: string): string {
  return /^([ \t]+)\S/m.exec(text)?.[1] ?? '  '
}

function eolOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n'
}
