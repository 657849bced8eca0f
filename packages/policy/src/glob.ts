/**
 * Full globs for names of roles, servers and tools: `*`, `?`, `[a-z]`, `[!a-z]`, `{get,list}_*`, and `\` before any of
 * these. There are no path separators: `*` matches everything. Case counts.
 *
 * A pattern comes from the operator, a name from a caller or from a server that may be hostile. A RegExp for
 * `*a*a*a*b` takes a time that grows with a power of the name's length; this takes at most `pattern × name` steps.
 */

/** Alternatives that `{a,b}` may multiply to. */
const MAX_ALTERNATIVES = 256
export const MAX_GLOB_CHARS = 256

export type Glob = (name: string) => boolean

type Token = { readonly type: 'char'; readonly char: string } | { readonly type: 'any' | 'star' } | Class
type Class = {
  readonly type: 'class'
  readonly negated: boolean
  readonly ranges: readonly (readonly [string, string])[]
}

/** @throws SyntaxError with a message for the writer of the pattern */
export function compileGlob(pattern: string): Glob {
  if (pattern.length > MAX_GLOB_CHARS) throw new SyntaxError(`a pattern has at most ${MAX_GLOB_CHARS} characters`)
  const globs = expand(pattern).map((one) => compileOne(tokenize(one)))
  const [first, ...others] = globs
  if (first === undefined) throw new SyntaxError('an empty pattern matches nothing')
  return others.length === 0 ? first : (name) => globs.some((glob) => glob(name))
}

/** Matches when one of the patterns does. @throws SyntaxError */
export function compileGlobs(patterns: readonly string[]): Glob {
  const globs = patterns.map(compileGlob)
  const [first, ...others] = globs
  if (first === undefined) return () => false
  return others.length === 0 ? first : (name) => globs.some((glob) => glob(name))
}

function compileOne(tokens: readonly Token[]): Glob {
  const literal = tokens.every((token) => token.type === 'char')
  if (literal) {
    const text = tokens.map(({ char }) => char).join('')
    return (name) => name === text
  }
  if (tokens.length === 1 && tokens[0]?.type === 'star') return () => true
  return (name) => match(tokens, name)
}

/** Greedy, with one place to come back to: only the last star can need to take more. */
function match(tokens: readonly Token[], name: string): boolean {
  const chars = Array.from(name)
  let token = 0
  let char = 0
  let star = -1
  let starChar = 0
  while (char < chars.length) {
    const current = tokens[token]
    if (current?.type === 'star') {
      star = token++
      starChar = char
    } else if (current !== undefined && matchesChar(current, chars[char] ?? '')) {
      token++
      char++
    } else if (star >= 0) {
      token = star + 1
      char = ++starChar
    } else return false
  }
  while (tokens[token]?.type === 'star') token++
  return token === tokens.length
}

function matchesChar(token: Token, char: string): boolean {
  if (token.type === 'char') return token.char === char
  if (token.type !== 'class') return token.type === 'any'
  return token.ranges.some(([from, to]) => from <= char && char <= to) !== token.negated
}

function tokenize(pattern: string): Token[] {
  const chars = Array.from(pattern)
  const tokens: Token[] = []
  for (let index = 0; index < chars.length; index++) {
    const char = chars[index] ?? ''
    if (char === '\\') {
      const escaped = chars[++index]
      if (escaped === undefined) throw new SyntaxError('a "\\" at the end escapes nothing')
      tokens.push({ type: 'char', char: escaped })
    } else if (char === '*') {
      if (tokens.at(-1)?.type !== 'star') tokens.push({ type: 'star' })
    } else if (char === '?') tokens.push({ type: 'any' })
    else if (char === '[') {
      const end = endOfClass(chars, index)
      tokens.push(readClass(chars.slice(index + 1, end)))
      index = end
    } else tokens.push({ type: 'char', char })
  }
  return tokens
}

function endOfClass(chars: readonly string[], start: number): number {
  // `[]…]` and `[!]…]` hold a bracket.
  const first = chars[start + 1] === '!' ? start + 2 : start + 1
  const end = chars.indexOf(']', first + 1)
  if (end < 0) throw new SyntaxError('a "[" is not closed; write "\\[" for the character')
  return end
}

function readClass(content: readonly string[]): Class {
  const negated = content[0] === '!'
  const chars = negated ? content.slice(1) : content
  const ranges: (readonly [string, string])[] = []
  for (let index = 0; index < chars.length; index++) {
    const from = chars[index] ?? ''
    const to = chars[index + 1] === '-' ? chars[index + 2] : undefined
    if (to === undefined) ranges.push([from, from])
    else {
      if (to < from) throw new SyntaxError(`the range "${from}-${to}" is empty`)
      ranges.push([from, to])
      index += 2
    }
  }
  if (ranges.length === 0) throw new SyntaxError('a "[]" matches nothing')
  return { type: 'class', negated, ranges }
}

/** `{a,b}_{c,d}` is four patterns. */
function expand(pattern: string): string[] {
  let done: string[] = []
  let open = [pattern]
  while (open.length > 0) {
    if (done.length + open.length > MAX_ALTERNATIVES) {
      throw new SyntaxError(`a pattern has at most ${MAX_ALTERNATIVES} alternatives`)
    }
    const split = open.map((one) => splitBraces(one))
    done = done.concat(split.flatMap((one, index) => (one === undefined ? (open[index] ?? []) : [])))
    open = split.flatMap((one) => one ?? [])
  }
  return [...new Set(done)]
}

/** One step: the first group replaced by each of its alternatives, or nothing when there is no group. */
function splitBraces(pattern: string): string[] | undefined {
  const start = findUnescaped(pattern, '{')
  if (start < 0) {
    if (findUnescaped(pattern, '}') >= 0) throw new SyntaxError('a "}" has no "{"; write "\\}" for the character')
    return undefined
  }
  const alternatives: string[] = []
  let depth = 0
  let from = start + 1
  for (let index = start; index < pattern.length; index++) {
    const char = pattern[index]
    if (char === '\\') index++
    else if (char === '{') depth++
    else if (char === ',' && depth === 1) {
      alternatives.push(pattern.slice(from, index))
      from = index + 1
    } else if (char === '}' && --depth === 0) {
      alternatives.push(pattern.slice(from, index))
      return alternatives.map((one) => pattern.slice(0, start) + one + pattern.slice(index + 1))
    }
  }
  throw new SyntaxError('a "{" is not closed; write "\\{" for the character')
}

function findUnescaped(pattern: string, wanted: string): number {
  for (let index = 0; index < pattern.length; index++) {
    if (pattern[index] === '\\') index++
    else if (pattern[index] === wanted) return index
  }
  return -1
}
