/**
 * Structured fields (RFC 9651): the dictionaries that `Signature-Input`, `Signature` and `Content-Digest` are.
 *
 * One pass, no backtracking, no regular expression over more than a character: what an unknown client sends costs time
 * that is linear in its length, and the caller has bounded that. Each field is parsed once and every rule looks at that
 * parse; a verifier that validates one reading and authenticates another can be smuggled past (ERC-8128, security).
 */

export type BareItem =
  | { readonly kind: 'integer' | 'decimal' | 'date'; readonly value: number }
  | { readonly kind: 'string' | 'token' | 'display'; readonly value: string }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }
  | { readonly kind: 'boolean'; readonly value: boolean }

export type Parameters = ReadonlyMap<string, BareItem>
export type Item = { readonly value: BareItem; readonly parameters: Parameters }
export type InnerList = { readonly items: readonly Item[]; readonly parameters: Parameters }
export type Dictionary = ReadonlyMap<string, Item | InnerList>

type Cursor = { readonly text: string; at: number }

const KEY_START = /[a-z*]/
const KEY_CHARACTER = /[a-z0-9_.*-]/
const TOKEN_START = /[A-Za-z*]/
const TOKEN_CHARACTER = /[A-Za-z0-9!#$%&'*+.^_`|~:/-]/
const DIGIT = /[0-9]/
const BASE64_CHARACTER = /[A-Za-z0-9+/=]/

/** RFC 9651 §4.2.2. Of a key that comes twice the last value counts, in the place of the first. @throws SyntaxError */
export function parseDictionary(text: string): Dictionary {
  const members = new Map<string, Item | InnerList>()
  const cursor: Cursor = { text, at: 0 }
  skip(cursor, ' ')
  while (!isAtEnd(cursor)) {
    const key = readKey(cursor)
    if (peek(cursor) !== '=') {
      members.set(key, { value: { kind: 'boolean', value: true }, parameters: readParameters(cursor) })
    } else {
      cursor.at++
      members.set(key, peek(cursor) === '(' ? readInnerList(cursor) : readItem(cursor))
    }
    skip(cursor, ' \t')
    if (isAtEnd(cursor)) return members
    expect(cursor, ',')
    skip(cursor, ' \t')
    if (isAtEnd(cursor)) throw new SyntaxError('a dictionary ends with a comma')
  }
  return members
}

/** RFC 9651 §4.1.1, with one text for one value: what a signature covers is this, not what was received. */
export function serializeInnerList({ items, parameters }: InnerList): string {
  return `(${items.map(serializeItem).join(' ')})${serializeParameters(parameters)}`
}

export function serializeItem({ value, parameters }: Item): string {
  return serializeBareItem(value) + serializeParameters(parameters)
}

function serializeParameters(parameters: Parameters): string {
  let text = ''
  for (const [key, value] of parameters) {
    text += value.kind === 'boolean' && value.value ? `;${key}` : `;${key}=${serializeBareItem(value)}`
  }
  return text
}

function serializeBareItem(item: BareItem): string {
  if (item.kind === 'string') return `"${item.value.replace(/[\\"]/g, '\\$&')}"`
  if (item.kind === 'bytes') return `:${Buffer.from(item.value).toString('base64')}:`
  if (item.kind === 'boolean') return item.value ? '?1' : '?0'
  if (item.kind === 'decimal') return item.value.toFixed(3).replace(/0{1,2}$/, '')
  if (item.kind === 'date') return `@${item.value}`
  if (item.kind === 'display') return `%"${Array.from(Buffer.from(item.value), percent).join('')}"`
  return String(item.value)
}

function percent(byte: number): string {
  const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25 && byte !== 0x22
  return isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`
}

function readInnerList(cursor: Cursor): InnerList {
  expect(cursor, '(')
  const items: Item[] = []
  for (;;) {
    skip(cursor, ' ')
    if (peek(cursor) === ')') {
      cursor.at++
      return { items, parameters: readParameters(cursor) }
    }
    items.push(readItem(cursor))
    if (peek(cursor) !== ' ' && peek(cursor) !== ')') throw new SyntaxError('an inner list goes on without a space')
  }
}

function readItem(cursor: Cursor): Item {
  return { value: readBareItem(cursor), parameters: readParameters(cursor) }
}

function readParameters(cursor: Cursor): Parameters {
  const parameters = new Map<string, BareItem>()
  while (peek(cursor) === ';') {
    cursor.at++
    skip(cursor, ' ')
    const key = readKey(cursor)
    if (peek(cursor) === '=') {
      cursor.at++
      parameters.set(key, readBareItem(cursor))
    } else parameters.set(key, { kind: 'boolean', value: true })
  }
  return parameters
}

function readBareItem(cursor: Cursor): BareItem {
  const first = peek(cursor)
  if (first === '"') return { kind: 'string', value: readString(cursor) }
  if (first === ':') return { kind: 'bytes', value: readBytes(cursor) }
  if (first === '?') return { kind: 'boolean', value: readBoolean(cursor) }
  if (first === '@') return readDate(cursor)
  if (first === '%') return { kind: 'display', value: readDisplayString(cursor) }
  if (first === '-' || DIGIT.test(first)) return readNumber(cursor)
  if (TOKEN_START.test(first)) return { kind: 'token', value: takeWhile(cursor, TOKEN_CHARACTER) }
  throw new SyntaxError('no item begins like this')
}

function readKey(cursor: Cursor): string {
  if (!KEY_START.test(peek(cursor))) throw new SyntaxError('no key begins like this')
  return takeWhile(cursor, KEY_CHARACTER)
}

/** RFC 9651 §4.2.4: 15 digits, or 12 and a point and 3. */
function readNumber(cursor: Cursor): BareItem {
  const sign = peek(cursor) === '-' ? -1 : 1
  if (sign === -1) cursor.at++
  const whole = takeWhile(cursor, DIGIT)
  if (whole === '') throw new SyntaxError('a number without digits')
  if (peek(cursor) !== '.') {
    if (whole.length > 15) throw new SyntaxError('an integer is too long')
    // `|| 0`: "-0" is 0.
    return { kind: 'integer', value: sign * Number(whole) || 0 }
  }
  cursor.at++
  const fraction = takeWhile(cursor, DIGIT)
  if (whole.length > 12 || fraction.length < 1 || fraction.length > 3)
    throw new SyntaxError('no decimal looks like this')
  return { kind: 'decimal', value: sign * Number(`${whole}.${fraction}`) || 0 }
}

function readDate(cursor: Cursor): BareItem {
  expect(cursor, '@')
  const number = readNumber(cursor)
  if (number.kind !== 'integer') throw new SyntaxError('a date is a whole number')
  return { kind: 'date', value: number.value }
}

function readString(cursor: Cursor): string {
  expect(cursor, '"')
  let value = ''
  for (;;) {
    const character = take(cursor)
    if (character === '"') return value
    if (character === '\\') {
      const escaped = take(cursor)
      if (escaped !== '"' && escaped !== '\\') throw new SyntaxError('a backslash before something else than " or \\')
      value += escaped
    } else if (character < ' ' || character > '~') throw new SyntaxError('a string has characters that are not ASCII')
    else value += character
  }
}

/** Stricter than RFC 9651 §4.2.7 has to be: padded, no stray bits. Two texts for one signature would be two requests. */
function readBytes(cursor: Cursor): Uint8Array {
  expect(cursor, ':')
  const text = takeWhile(cursor, BASE64_CHARACTER)
  expect(cursor, ':')
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw new SyntaxError('this is not canonical base64')
  return bytes
}

function readBoolean(cursor: Cursor): boolean {
  expect(cursor, '?')
  const digit = take(cursor)
  if (digit !== '0' && digit !== '1') throw new SyntaxError('a boolean is ?0 or ?1')
  return digit === '1'
}

function readDisplayString(cursor: Cursor): string {
  expect(cursor, '%')
  expect(cursor, '"')
  const bytes: number[] = []
  for (;;) {
    const character = take(cursor)
    if (character < ' ' || character > '~') throw new SyntaxError('a display string has characters that are not ASCII')
    if (character === '"')
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
    if (character !== '%') bytes.push(character.charCodeAt(0))
    else {
      const hex = take(cursor) + take(cursor)
      if (!/^[0-9a-f]{2}$/.test(hex)) throw new SyntaxError('a percent sign before something else than two hex digits')
      bytes.push(Number.parseInt(hex, 16))
    }
  }
}

function peek({ text, at }: Cursor): string {
  return text.charAt(at)
}

function take(cursor: Cursor): string {
  if (isAtEnd(cursor)) throw new SyntaxError('the field ends in the middle of an item')
  return cursor.text.charAt(cursor.at++)
}

function takeWhile(cursor: Cursor, pattern: RegExp): string {
  const from = cursor.at
  while (!isAtEnd(cursor) && pattern.test(peek(cursor))) cursor.at++
  return cursor.text.slice(from, cursor.at)
}

function skip(cursor: Cursor, characters: string): void {
  while (!isAtEnd(cursor) && characters.includes(peek(cursor))) cursor.at++
}

function expect(cursor: Cursor, character: string): void {
  if (peek(cursor) !== character) throw new SyntaxError(`there should be a ${JSON.stringify(character)}`)
  cursor.at++
}

function isAtEnd({ text, at }: Cursor): boolean {
  return at >= text.length
}
