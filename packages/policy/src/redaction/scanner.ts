/**
 * Finds what the built-in detectors know, in one pass from left to right.
 *
 * The adversary writes the text (a hostile server, or a caller) and wants the gateway's time: with patterns like
 * `[a-z]+@…`, 50 KB of "aaaa…" took 4 seconds in a library we measured. Here no detector looks further than a window
 * with a name, each starts only where its kind of word starts, and what was looked at in vain is not looked at again.
 *
 * A decision at a place depends on LOOK_BEHIND_CHARS before it and on what follows, so a stream can stop at a place that
 * needs more and go on there: redacting the chunks of a text gives the same as redacting the text.
 */
import {
  ATOM,
  DIGIT,
  FLAGS,
  flagsAt,
  HEX,
  isUrlStart,
  matchEmail,
  matchUrlPassword,
  MAX_LOCAL_CHARS,
  WORD,
} from './words.ts'
import { codeAt, codesOf } from './codes.ts'
import { matchNumber, matchPlus, matchParenthesis, matchIpv6, matchIban } from './numbers.ts'
import { matchPem, matchSecret } from './secrets.ts'
import { NEED_MORE, type Detector, type Found, type Source, type Span } from './span.ts'

/** What a matcher may look at before its place, and a stream therefore keeps. */
export const LOOK_BEHIND_CHARS = 4

const PLUS = 43
const PARENTHESIS = 40
const DASH = 45
const ZERO = 48
const COLON = 58
const UPPER_Z = 90

/** What is looked for, read from a set of detectors once: seven look-ups cost as much as scanning a short text. */
export type Looks = {
  readonly enabled: ReadonlySet<Detector>
  readonly numbers: boolean
  readonly email: boolean
  readonly phone: boolean
  readonly ip: boolean
  readonly iban: boolean
  readonly secret: boolean
}

/** One pass over a text: what is looked for, and where the next @ and the next colon are. */
type Pass = Source & { readonly looks: Looks; nextAt: number; nextColon: number }

export function looksOf(enabled: ReadonlySet<Detector>): Looks {
  const has = (detector: Detector): boolean => enabled.has(detector)
  const numbers = has('ssn') || has('credit_card') || has('phone') || has('ip')
  const others = { email: has('email'), phone: has('phone'), ip: has('ip'), iban: has('iban'), secret: has('secret') }
  return { enabled, numbers, ...others }
}

/** The shortest secret that is made of letters only has 14 characters, and whatever else is shorter has one of these in it. */
const SHORT_CHARS = 13
const AT = 64

/** Of most values, such as `text` and `complete`, a look at their letters tells that there is nothing in them. */
export function isPlain(text: string): boolean {
  if (text.length > SHORT_CHARS) return false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if ((code >= ZERO && code <= COLON) || code === AT) return false
  }
  return true
}

/**
 * Adds what it finds from `from` on to `spans`, in order and without overlaps.
 * @param isFresh whether a span ended at `from`
 * @returns where to go on when there is more text: everything before is decided
 */
export function scan(
  { text, isFinal }: Omit<Source, 'codes'>,
  from: number,
  isFresh: boolean,
  looks: Looks,
  spans: Span[],
): number {
  const codes = codesOf(text)
  const pass: Pass = { text, codes, isFinal, looks, nextAt: -1, nextColon: -1 }
  let previous = isFresh || from === 0 ? 0 : flagsAt(codes, from - 1)
  let index = from
  const { length } = text
  while (index < length) {
    const flags = FLAGS[codeAt(codes, index)] ?? 0
    // Inside of a word nothing begins, and neither does anything at most other characters.
    if (flags === 0 || (flags & WORD && previous & WORD)) {
      previous = flags
      index++
      continue
    }
    const found = flags & WORD ? matchWord(pass, index, flags, previous) : matchSign(pass, index, flags, previous)
    if (found === NEED_MORE) return index
    if (found === undefined) {
      previous = flags
      index++
    } else {
      spans.push(found)
      index = found.end
      // What stands in its place ends a word; without this, the rest of one that was cut would be looked at by nobody.
      previous = 0
    }
  }
  return index
}

/** At the first letter, digit or `_` of a word. */
function matchWord(pass: Pass, index: number, flags: number, previous: number): Found {
  const { text, codes, looks } = pass
  if (looks.email && !(previous & ATOM)) {
    const found = matchAddress(pass, index)
    if (found !== undefined) return found
  }
  if (flags & DIGIT) {
    const found = looks.numbers ? matchNumber(pass, index, looks.enabled) : undefined
    if (found !== undefined) return found
  } else {
    const found = looks.secret ? matchSecret(pass, index) : undefined
    if (found !== undefined) return found
    const iban = looks.iban && codeAt(codes, index) <= UPPER_Z ? matchIban(pass, index) : undefined
    if (iban !== undefined) return iban
  }
  if (!looks.ip || !(flags & HEX) || !isHexStart(codes, index, previous)) return undefined
  if (pass.nextColon < index) pass.nextColon = orEnd(text.indexOf(':', index), text)
  // A group has at most four digits.
  return pass.nextColon - index <= 4 ? matchIpv6(pass, index) : undefined
}

/** At anything else that something begins with. */
function matchSign(pass: Pass, index: number, flags: number, previous: number): Found {
  const { codes, looks } = pass
  const code = codeAt(codes, index)
  if (looks.email && flags & ATOM && !(previous & ATOM)) {
    const found = matchAddress(pass, index)
    if (found !== undefined) return found
  }
  if (code === PLUS) return looks.phone && !(previous & WORD) ? matchPlus(pass, index) : undefined
  if (code === PARENTHESIS) return looks.phone ? matchParenthesis(pass, index) : undefined
  if (code === DASH) {
    // Of five; most stand alone, between two words.
    const isNoStart = codeAt(codes, index - 1) === DASH || (codes[index + 1] !== DASH && index + 1 < pass.text.length)
    return looks.secret && !isNoStart ? matchPem(pass, index) : undefined
  }
  return code === COLON && looks.secret && isUrlStart(pass, index) ? matchUrlPassword(pass, index) : undefined
}

/** The next @ is found faster than looked for at every word. */
function matchAddress(pass: Pass, index: number): Found {
  if (pass.nextAt < index) pass.nextAt = orEnd(pass.text.indexOf('@', index), pass.text)
  if (pass.nextAt - index > MAX_LOCAL_CHARS || (pass.isFinal && pass.nextAt === pass.text.length)) return undefined
  return matchEmail(pass, index)
}

function orEnd(index: number, text: string): number {
  return index < 0 ? text.length : index
}

/** `addr:2001:db8::1` begins behind the first colon. */
function isHexStart(codes: Uint16Array, index: number, previous: number): boolean {
  if (!(previous & HEX)) return true
  return codeAt(codes, index - 1) === COLON && !(flagsAt(codes, index - 2) & HEX)
}
