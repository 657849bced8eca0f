/** Kinds of characters, and the detectors that are words: addresses of e-mail and passwords in URLs. */
import { codeAt } from './codes.ts'
import { NEED_MORE, type Found, type Source } from './span.ts'

/** `[A-Za-z0-9_]` */
export const WORD = 1
export const DIGIT = 2
/** What the part before the @ is made of: `[A-Za-z0-9._%+-]` */
export const ATOM = 4
/** What an IPv6 address is made of: hexadecimal digits, `:` and `.` */
export const HEX = 8
export const LETTER = 16
/** `+`, `(`, `-` and `:`, which something can begin with. */
const SIGN = 32

/** Bounds of what one detector looks at. An address has at most 254 characters (RFC 5321 section 4.5.3.1). */
export const MAX_LOCAL_CHARS = 256
const MAX_DOMAIN_CHARS = 255
const MAX_URL_CHARS = 400

const AT = 64
const DOT = 46
const HYPHEN = 45

/** By code unit. */
export const FLAGS: Uint8Array = makeFlags()

export function flagsAt(codes: Uint16Array, index: number): number {
  // Outside of the text the code is 0, which has no flags.
  return FLAGS[codeAt(codes, index)] ?? 0
}

/** One entry for each code unit: with 128 of them, every other character would leave the fast path. */
function makeFlags(): Uint8Array {
  const flags = new Uint8Array(65_536)
  for (let code = 0; code < 128; code++) {
    const char = String.fromCharCode(code)
    let own = 0
    if (/\w/.test(char)) own |= WORD
    if (/\d/.test(char)) own |= DIGIT
    if (/[\w.%+-]/.test(char)) own |= ATOM
    if (/[0-9A-Fa-f:.]/.test(char)) own |= HEX
    if (/[A-Za-z]/.test(char)) own |= LETTER
    if (/[+(:-]/.test(char)) own |= SIGN
    flags[code] = own
  }
  return flags
}

/** At the first character of a run of ATOM characters. */
export function matchEmail({ text, codes, isFinal }: Source, start: number): Found {
  let at = start
  const last = Math.min(text.length, start + MAX_LOCAL_CHARS)
  while (at < last && flagsAt(codes, at) & ATOM) at++
  if (at === text.length && !isFinal && at < start + MAX_LOCAL_CHARS) return NEED_MORE
  if (at === start || codeAt(codes, at) !== AT) return undefined
  const end = endOfDomain(codes, at + 1, isFinal ? Infinity : text.length)
  if (end === NEED_MORE) return NEED_MORE
  return end === undefined ? undefined : { start, end, detector: 'email' }
}

/** Behind the last label of letters: in `example.com.` before the last dot, in `react@18.2.0` nowhere. */
function endOfDomain(codes: Uint16Array, start: number, seen: number): number | undefined | typeof NEED_MORE {
  let end: number | undefined
  let labelStart = start
  let hasDot = false
  let onlyLetters = true
  for (let index = start; index <= start + MAX_DOMAIN_CHARS; index++) {
    if (index >= seen) return NEED_MORE
    const flags = flagsAt(codes, index)
    const code = codeAt(codes, index)
    if ((flags & WORD && code !== 95) || code === HYPHEN) {
      onlyLetters &&= (flags & LETTER) !== 0
      continue
    }
    const length = index - labelStart
    if (length === 0 || length > 63) return end
    if (hasDot && onlyLetters && length >= 2) end = index
    if (code !== DOT) return end
    hasDot = true
    onlyLetters = true
    labelStart = index + 1
  }
  return end
}

export function isUrlStart({ text, isFinal }: Source, index: number): boolean {
  if (index + 2 >= text.length && !isFinal) return text.slice(index) === '://'.slice(0, text.length - index)
  return text.startsWith('://', index)
}

/** The password of `postgres://user:password@host`; `/` ends it, so that no two of these look at the same text. */
export function matchUrlPassword({ text, codes, isFinal }: Source, start: number): Found {
  let colon = -1
  for (let index = start + 3; index < start + MAX_URL_CHARS; index++) {
    if (index >= text.length) return isFinal ? undefined : NEED_MORE
    const code = codeAt(codes, index)
    if (code === AT) {
      return colon < 0 || colon + 1 === index ? undefined : { start: colon + 1, end: index, detector: 'secret' }
    }
    if (code === 58 && colon < 0) colon = index
    // Space and everything below, quotes, `/`, `<`, `>`, `\`: none of them is in the part before the @.
    if (code <= 32 || code === 34 || code === 39 || code === 47 || code === 60 || code === 62 || code === 92)
      return undefined
  }
  return undefined
}
