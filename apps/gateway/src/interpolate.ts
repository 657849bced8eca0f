/**
 * `${NAME}` and `${NAME:-default}` in the strings of a configuration, `$$` for a dollar sign.
 *
 * It runs on the parsed document, never on the text: a variable's value is data, so a value with a newline and
 * `auth: { type: none }` in it stays a string. A value is not looked at again, so a value cannot name another variable.
 * Map keys are left alone. `$NAME` without braces is ordinary text.
 */
import { isMap, isPair, isScalar, visit, type Document } from 'yaml'
import type { Path, Problem } from './config-findings.ts'

const token = /\$\$|\$\{([^}]*)\}?/g
const reference = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s

/** Replaces references in place and returns what could not be replaced, with the path of each. */
export function interpolate(document: Document, env: Readonly<Record<string, string | undefined>>): Problem[] {
  const problems: Problem[] = []
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('$')) return
      const path = pathOf([...ancestors, node])
      node.value = expand(node.value, env, (problem) => problems.push({ ...problem, path, node }))
    },
  })
  return problems
}

function expand(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  report: (problem: Pick<Problem, 'message' | 'variable'>) => void,
): string {
  return text.replaceAll(token, (whole, inner?: string) => {
    if (whole === '$$') return '$'
    const match = whole.endsWith('}') ? reference.exec(inner ?? '') : null
    if (match === null) {
      const message = `"${whole}" is not a reference to an environment variable (\${NAME} or \${NAME:-default})`
      report({ message: `${message}; "$$" is a "$"` })
      return whole
    }
    const [, name = '', fallback] = match
    // hasOwn: the environment may be a plain object, and `${constructor}` must not find Object's.
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    if (value !== undefined) return value
    if (fallback !== undefined) return fallback
    const message = `environment variable ${name} is not set, and \${${name}} has no default`
    report({ message, variable: name })
    return whole
  })
}

/** `ancestors` as yaml's `visit` gives them: the document, then collections and pairs down to the node. */
function pathOf(ancestors: readonly unknown[]): Path {
  const path: (string | number)[] = []
  for (const [index, node] of ancestors.entries()) {
    const child = ancestors[index + 1]
    if (isPair(node)) path.push(String(isScalar(node.key) ? node.key.value : node.key))
    else if (child !== undefined && !isPair(child) && hasItems(node)) path.push(node.items.indexOf(child))
  }
  return path
}

function hasItems(node: unknown): node is { readonly items: readonly unknown[] } {
  return !isMap(node) && typeof node === 'object' && node !== null && 'items' in node && Array.isArray(node.items)
}
