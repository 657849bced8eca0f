// JSON as text: what two texts mean, compared without `JSON.parse`, which is what the gateway itself uses.
// Two texts mean the same when they differ only in white space, in the order of members and in how strings are escaped.
// Numbers are compared by their spelling: 1.0 is not 1, and 12345678901234567890 is not the double next to it.

/** One text for all texts of the same meaning. Throws where the text is no JSON. */
export function canonical(text: string): string {
  const found = readValue(text, skipSpace(text, 0))
  if (skipSpace(text, found.end) !== text.length) throw new SyntaxError(`more than one value: ${text.slice(0, 200)}`)
  return found.canonical
}

/** The raw text of each member of an object. */
export function membersOf(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>()
  const start = skipSpace(text, 0)
  if (text[start] !== '{') throw new SyntaxError(`no object: ${text.slice(0, 200)}`)
  let at = skipSpace(text, start + 1)
  while (text[at] !== '}') {
    const key = readString(text, at)
    const from = skipSpace(text, expectAt(text, skipSpace(text, key.end), ':'))
    const { end } = readValue(text, from)
    const name = JSON.parse(key.canonical) as string
    if (members.has(name)) throw new SyntaxError(`two members are named ${key.canonical}`)
    members.set(name, text.slice(from, end))
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return members
}

/** The text with the member at `path` set to `value`, where there is such a member. */
export function withMember(text: string, [name, ...rest]: readonly string[], value: string): string {
  if (name === undefined) return value
  if (text[skipSpace(text, 0)] !== '{') return text
  const members = membersOf(text)
  if (!members.has(name)) return text
  const written = Array.from(members, ([key, old]) => {
    return `${JSON.stringify(key)}:${key === name ? withMember(old, rest, value) : old}`
  })
  return `{${written.join()}}`
}

type Found = { readonly canonical: string; readonly end: number }

function readValue(text: string, at: number): Found {
  switch (text[at]) {
    case '{': {
      const members = [...readItems(text, at, '}')]
      return {
        canonical: `{${members
          .map((item) => item.canonical)
          .sort()
          .join()}}`,
        end: endOf(text, at, members),
      }
    }
    case '[': {
      const items = [...readItems(text, at, ']')]
      return { canonical: `[${items.map((item) => item.canonical).join()}]`, end: endOf(text, at, items) }
    }
    case '"':
      return readString(text, at)
    default:
      return readWord(text, at)
  }
}

/** The items of an array, or the members of an object as `"key":value`. */
function* readItems(text: string, open: number, close: '}' | ']'): Generator<Found> {
  let at = skipSpace(text, open + 1)
  while (text[at] !== close) {
    const item = close === '}' ? readMember(text, at) : readValue(text, at)
    yield item
    at = skipSpace(text, item.end)
    if (text[at] !== close) at = skipSpace(text, expectAt(text, at, ','))
  }
}

function readMember(text: string, at: number): Found {
  const key = readString(text, at)
  const value = readValue(text, skipSpace(text, expectAt(text, skipSpace(text, key.end), ':')))
  return { canonical: `${key.canonical}:${value.canonical}`, end: value.end }
}

/** Behind the closing bracket. */
function endOf(text: string, open: number, items: readonly Found[]): number {
  return skipSpace(text, items.at(-1)?.end ?? open + 1) + 1
}

/** Strings are the one thing that is left to `JSON.parse`: escapes have one meaning. */
function readString(text: string, at: number): Found {
  const match = matchAt(/"[^"\\\n]*(?:\\.[^"\\\n]*)*"/y, text, at)
  return { canonical: JSON.stringify(JSON.parse(match)), end: at + match.length }
}

function readWord(text: string, at: number): Found {
  const word = matchAt(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y, text, at)
  return { canonical: word, end: at + word.length }
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at
  const [found] = pattern.exec(text) ?? []
  if (found === undefined) throw new SyntaxError(`no JSON at ${at}: ${text.slice(at, at + 100)}`)
  return found
}

function expectAt(text: string, at: number, char: string): number {
  if (text[at] !== char) throw new SyntaxError(`no ${char} at ${at}: ${text.slice(at, at + 100)}`)
  return at + 1
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1
  return at
}
