/** Detectors of numbers: at the first digit of a word, or at `+` and `(`. */
import { isIPv6 } from 'node:net'
import { codeAt } from './codes.ts'
import { NEED_MORE, type Detector, type Found, type Source } from './span.ts'
import { DIGIT, flagsAt, HEX, LETTER, WORD } from './words.ts'

/** None of the patterns below reads further than this, nor further than one character behind a run of its own. */
const WINDOW_CHARS = 64
const NUMBER_CHARS = tableOf(/[\d .()-]/)
const IBAN_CHARS = tableOf(/[A-Z0-9 ]/)

/** United States social security numbers that are issued (SSA, since 2011). */
const SSN = /(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])/y
/** North American numbers: neither the area nor the exchange begins with 0 or 1. */
const NANP = /(?:1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}([ .-]))[2-9]\d{2}(?:\1|[ .-])\d{4}(?!\w|[-.]\d)/y
/** E.164, 8 to 15 digits. Each round takes one digit: with `\d{1,5}` in a repetition there would be a choice to try. */
const INTERNATIONAL = /\+[1-9](?:[ .-]?\(?\d\)?){7,14}(?!\w)/y
const IBAN = /[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,4})?)(?!\w)/y

const DOT = 46
const HYPHEN = 45
const SPACE = 32
const COLON = 58
const PARENTHESIS = 40
const ZERO = 48
const ONE = 49
const TWO = 50
const SIX = 54
const UPPER_A = 65

export function matchNumber(source: Source, start: number, enabled: ReadonlySet<Detector>): Found {
  const { text, codes } = source
  if (isOpen(source, start, NUMBER_CHARS)) return NEED_MORE
  let end = start
  while (end < start + 20 && flagsAt(codes, end) & DIGIT) end++
  const length = end - start
  const next = codeAt(codes, end)
  // A cheap look at the first group decides which pattern could match at all.
  if (next === DOT && length <= 3) {
    if (enabled.has('ip') && !isDotted(codes, start)) {
      const ipEnd = endOfIpv4(codes, start)
      if (ipEnd !== undefined) return { start, end: ipEnd, detector: 'ip' }
    }
    return enabled.has('phone') && !isDotted(codes, start) ? run(NANP, text, start, 'phone') : undefined
  }
  if (length === 3 && next === HYPHEN && enabled.has('ssn') && codeAt(codes, start - 1) !== HYPHEN) {
    const ssn = run(SSN, text, start, 'ssn')
    if (ssn !== undefined) return ssn
  }
  if ((length === 4 && (next === SPACE || next === HYPHEN)) || length >= 13) {
    return enabled.has('credit_card') ? matchCard(codes, start, length) : undefined
  }
  const mayBePhone =
    length === 3 || length === 4 || (length === 1 && codeAt(codes, start) === ONE && mayGoOn(codes, end + 1))
  return enabled.has('phone') && mayBePhone && !isDotted(codes, start) ? run(NANP, text, start, 'phone') : undefined
}

function endOfIpv4(codes: Uint16Array, start: number): number | undefined {
  let at = start
  for (let octet = 0; octet < 4; octet++) {
    if (octet > 0 && codeAt(codes, at++) !== DOT) return undefined
    let value = 0
    const from = at
    while (at < from + 4 && flagsAt(codes, at) & DIGIT) value = value * 10 + codeAt(codes, at++) - ZERO
    if (at === from || at > from + 3 || value > 255) return undefined
  }
  // A fifth number, or `1.2.3.4a`, is no address; `1.2.3.4-` is one.
  const goesOn = codeAt(codes, at) === DOT && (flagsAt(codes, at + 1) & DIGIT) !== 0
  return flagsAt(codes, at) & WORD || goesOn ? undefined : at
}

/** Behind the 1 of North America. */
function mayGoOn(codes: Uint16Array, index: number): boolean {
  return codeAt(codes, index) >= TWO || codeAt(codes, index) === PARENTHESIS
}

/** Part of a longer number: `1.2.3.4.5`, `0.415-555-2671`, `2024-415-555-2671`. */
function isDotted(codes: Uint16Array, start: number): boolean {
  const before = codeAt(codes, start - 1)
  return (before === DOT || before === HYPHEN) && (flagsAt(codes, start - 2) & DIGIT) !== 0
}

/** 13 to 19 digits, in one piece or in the groups that are printed on cards: 4-4-4-1…7 or 4-6-4…5. By hand, see bench. */
function matchCard(codes: Uint16Array, start: number, length: number): Found {
  // The first digit tells the network: 3 to 6, and 2 of Mastercard.
  const first = codeAt(codes, start)
  if (first < TWO || first > SIX) return undefined
  const end = length >= 13 ? start + length : endOfGroups(codes, start)
  if (end === undefined || !endsNumber(codes, end)) return undefined
  return isLuhn(codes, start, end) ? { start, end, detector: 'credit_card' } : undefined
}

function endOfGroups(codes: Uint16Array, start: number): number | undefined {
  const separator = codeAt(codes, start + 4)
  const second = digitsAt(codes, start + 5, 7)
  const third = start + 6 + second
  if ((second !== 4 && second !== 6) || codeAt(codes, third - 1) !== separator) return undefined
  const thirdLength = digitsAt(codes, third, 6)
  if (second === 6) return thirdLength === 4 || thirdLength === 5 ? third + thirdLength : undefined
  if (thirdLength !== 4 || codeAt(codes, third + 4) !== separator) return undefined
  const last = digitsAt(codes, third + 5, 8)
  return last >= 1 && last <= 7 ? third + 5 + last : undefined
}

function digitsAt(codes: Uint16Array, start: number, max: number): number {
  let count = 0
  while (count < max && flagsAt(codes, start + count) & DIGIT) count++
  return count
}

/** `(?!\w|[-.]\d)` */
function endsNumber(codes: Uint16Array, end: number): boolean {
  const code = codeAt(codes, end)
  return !(flagsAt(codes, end) & WORD) && !((code === HYPHEN || code === DOT) && flagsAt(codes, end + 1) & DIGIT)
}

/** ISO/IEC 7812-1 annex B, over what is no separator; wrong for nine of ten numbers that only look like a card's. */
function isLuhn(codes: Uint16Array, start: number, end: number): boolean {
  const first = codeAt(codes, start) - ZERO
  let sum = 0
  let count = 0
  let differs = false
  for (let index = end - 1; index >= start; index--) {
    const digit = codeAt(codes, index) - ZERO
    if (digit < 0) continue
    const doubled = digit << 1
    sum += (count & 1) === 0 ? digit : doubled > 9 ? doubled - 9 : doubled
    count++
    if (digit !== first) differs = true
  }
  // Nobody's card is all one digit.
  return sum % 10 === 0 && differs && count >= 13 && count <= 19
}

export function matchPlus(source: Source, start: number): Found {
  return isOpen(source, start + 1, NUMBER_CHARS) ? NEED_MORE : run(INTERNATIONAL, source.text, start, 'phone')
}

export function matchParenthesis(source: Source, start: number): Found {
  const { text, codes } = source
  if (isOpen(source, start + 1, NUMBER_CHARS)) return NEED_MORE
  return (flagsAt(codes, start + 1) & DIGIT) === 0 ? undefined : run(NANP, text, start, 'phone')
}

/** At the first character of a run of HEX characters: one look per run, however many words it has. */
export function matchIpv6({ text, codes, isFinal }: Source, start: number): Found {
  let end = start
  let colons = 0
  let doubles = 0
  let digits = 0
  while (end < start + 46 && flagsAt(codes, end) & HEX) {
    if (codeAt(codes, end) === COLON) {
      colons++
      if (codeAt(codes, end + 1) === COLON) doubles++
    }
    if (flagsAt(codes, end) & DIGIT) digits++
    end++
  }
  if (end === text.length && end < start + 46 && !isFinal) return NEED_MORE
  // Without a digit it is more likely `Abc::Def` of some programming language.
  if (colons < 2 || digits === 0 || end - start > 45 || flagsAt(codes, end) & WORD) return undefined
  if (doubles === 0 && colons < 6) return undefined
  const trimmed = /[:.]$/.test(text.slice(end - 2, end)) && !text.endsWith('::', end) ? end - 1 : end
  return isIPv6(text.slice(start, trimmed)) ? { start, end: trimmed, detector: 'ip' } : undefined
}

export function matchIban(source: Source, start: number): Found {
  const { text, codes } = source
  const isPossible = (offset: number, flag: number): boolean =>
    start + offset >= text.length || (flagsAt(codes, start + offset) & flag) !== 0
  if (!isPossible(1, LETTER) || !isPossible(2, DIGIT)) return undefined
  if (isOpen(source, start, IBAN_CHARS)) return NEED_MORE
  const span = run(IBAN, text, start, 'iban')
  if (span === undefined) return undefined
  return isIban(codes, start, span.end) ? span : undefined
}

/** ISO 7064 MOD 97-10, with the first four characters at the end; at most 34 characters. */
function isIban(codes: Uint16Array, start: number, end: number): boolean {
  let remainder = 0
  let count = 0
  for (let index = start + 4; index < end + 4; index++) {
    const code = codeAt(codes, index < end ? index : index - end + start)
    if (code === SPACE) continue
    count++
    remainder = (code >= UPPER_A ? remainder * 100 + code - UPPER_A + 10 : remainder * 10 + code - ZERO) % 97
  }
  return remainder === 1 && count <= 34
}

function tableOf(chars: RegExp): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => (chars.test(String.fromCharCode(code)) ? 1 : 0))
}

/** Whether a run of these characters reaches the end of what there is so far: then it may go on. */
function isOpen({ text, codes, isFinal }: Source, start: number, chars: Uint8Array): boolean {
  if (isFinal) return false
  const last = Math.min(text.length, start + WINDOW_CHARS)
  let end = start
  while (end < last && chars[codeAt(codes, end)] === 1) end++
  return end >= text.length
}

function run(pattern: RegExp, text: string, start: number, detector: Detector): Exclude<Found, typeof NEED_MORE> {
  pattern.lastIndex = start
  return pattern.test(text) ? { start, end: pattern.lastIndex, detector } : undefined
}
