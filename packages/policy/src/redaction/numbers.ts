/** Detectors of numbers: at the first digit of a word, or at `+` and `(`. */
import { isIPv6 } from 'node:net'
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
const ZERO = 48
const TWO = 50
const SIX = 54
const UPPER_A = 65

export function matchNumber(source: Source, start: number, enabled: ReadonlySet<Detector>): Found {
  const { text } = source
  if (isOpen(source, start, NUMBER_CHARS)) return NEED_MORE
  let end = start
  while (end < start + 20 && flagsAt(text, end) & DIGIT) end++
  const length = end - start
  const next = text.charCodeAt(end)
  // A cheap look at the first group decides which pattern could match at all.
  if (next === DOT && length <= 3) {
    if (enabled.has('ip') && !isDotted(text, start)) {
      const ipEnd = endOfIpv4(text, start)
      if (ipEnd !== undefined) return { start, end: ipEnd, detector: 'ip' }
    }
    return enabled.has('phone') && !isDotted(text, start) ? run(NANP, text, start, 'phone') : undefined
  }
  if (length === 3 && next === HYPHEN && enabled.has('ssn') && text.charCodeAt(start - 1) !== HYPHEN) {
    const ssn = run(SSN, text, start, 'ssn')
    if (ssn !== undefined) return ssn
  }
  if ((length === 4 && (next === SPACE || next === HYPHEN)) || length >= 13) {
    return enabled.has('credit_card') ? matchCard(text, start, length) : undefined
  }
  const mayBePhone = length === 3 || length === 4 || (length === 1 && text[start] === '1' && mayGoOn(text, end + 1))
  return enabled.has('phone') && mayBePhone && !isDotted(text, start) ? run(NANP, text, start, 'phone') : undefined
}

function endOfIpv4(text: string, start: number): number | undefined {
  let at = start
  for (let octet = 0; octet < 4; octet++) {
    if (octet > 0 && text.charCodeAt(at++) !== DOT) return undefined
    let value = 0
    const from = at
    while (at < from + 4 && flagsAt(text, at) & DIGIT) value = value * 10 + text.charCodeAt(at++) - ZERO
    if (at === from || at > from + 3 || value > 255) return undefined
  }
  // A fifth number, or `1.2.3.4a`, is no address; `1.2.3.4-` is one.
  const goesOn = text.charCodeAt(at) === DOT && (flagsAt(text, at + 1) & DIGIT) !== 0
  return flagsAt(text, at) & WORD || goesOn ? undefined : at
}

/** Behind the 1 of North America. */
function mayGoOn(text: string, index: number): boolean {
  return text.charCodeAt(index) >= TWO || text[index] === '('
}

/** Part of a longer number: `1.2.3.4.5`, `0.415-555-2671`, `2024-415-555-2671`. */
function isDotted(text: string, start: number): boolean {
  const before = text.charCodeAt(start - 1)
  return (before === DOT || before === HYPHEN) && (flagsAt(text, start - 2) & DIGIT) !== 0
}

/** 13 to 19 digits, in one piece or in the groups that are printed on cards: 4-4-4-1…7 or 4-6-4…5. By hand, see bench. */
function matchCard(text: string, start: number, length: number): Found {
  // The first digit tells the network: 3 to 6, and 2 of Mastercard.
  const first = text.charCodeAt(start)
  if (first < TWO || first > SIX) return undefined
  const end = length >= 13 ? start + length : endOfGroups(text, start)
  if (end === undefined || !endsNumber(text, end)) return undefined
  return isLuhn(text, start, end) ? { start, end, detector: 'credit_card' } : undefined
}

function endOfGroups(text: string, start: number): number | undefined {
  const separator = text.charCodeAt(start + 4)
  const second = digitsAt(text, start + 5, 7)
  const third = start + 6 + second
  if ((second !== 4 && second !== 6) || text.charCodeAt(third - 1) !== separator) return undefined
  const thirdLength = digitsAt(text, third, 6)
  if (second === 6) return thirdLength === 4 || thirdLength === 5 ? third + thirdLength : undefined
  if (thirdLength !== 4 || text.charCodeAt(third + 4) !== separator) return undefined
  const last = digitsAt(text, third + 5, 8)
  return last >= 1 && last <= 7 ? third + 5 + last : undefined
}

function digitsAt(text: string, start: number, max: number): number {
  let count = 0
  while (count < max && flagsAt(text, start + count) & DIGIT) count++
  return count
}

/** `(?!\w|[-.]\d)` */
function endsNumber(text: string, end: number): boolean {
  const code = text.charCodeAt(end)
  return !(flagsAt(text, end) & WORD) && !((code === HYPHEN || code === DOT) && flagsAt(text, end + 1) & DIGIT)
}

/** ISO/IEC 7812-1 annex B, over what is no separator; wrong for nine of ten numbers that only look like a card's. */
function isLuhn(text: string, start: number, end: number): boolean {
  const first = (text.charCodeAt(start) | 0) - ZERO
  let sum = 0
  let count = 0
  let differs = false
  for (let index = end - 1; index >= start; index--) {
    const digit = (text.charCodeAt(index) | 0) - ZERO
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
  const { text } = source
  if (isOpen(source, start + 1, NUMBER_CHARS)) return NEED_MORE
  return (flagsAt(text, start + 1) & DIGIT) === 0 ? undefined : run(NANP, text, start, 'phone')
}

/** At the first character of a run of HEX characters: one look per run, however many words it has. */
export function matchIpv6({ text, isFinal }: Source, start: number): Found {
  let end = start
  let colons = 0
  let doubles = 0
  let digits = 0
  while (end < start + 46 && flagsAt(text, end) & HEX) {
    if (text.charCodeAt(end) === COLON) {
      colons++
      if (text.charCodeAt(end + 1) === COLON) doubles++
    }
    if (flagsAt(text, end) & DIGIT) digits++
    end++
  }
  if (end === text.length && end < start + 46 && !isFinal) return NEED_MORE
  // Without a digit it is more likely `Abc::Def` of some programming language.
  if (colons < 2 || digits === 0 || end - start > 45 || flagsAt(text, end) & WORD) return undefined
  if (doubles === 0 && colons < 6) return undefined
  const trimmed = /[:.]$/.test(text.slice(end - 2, end)) && !text.endsWith('::', end) ? end - 1 : end
  return isIPv6(text.slice(start, trimmed)) ? { start, end: trimmed, detector: 'ip' } : undefined
}

export function matchIban(source: Source, start: number): Found {
  const { text } = source
  const isPossible = (offset: number, flag: number): boolean =>
    start + offset >= text.length || (flagsAt(text, start + offset) & flag) !== 0
  if (!isPossible(1, LETTER) || !isPossible(2, DIGIT)) return undefined
  if (isOpen(source, start, IBAN_CHARS)) return NEED_MORE
  const span = run(IBAN, text, start, 'iban')
  if (span === undefined) return undefined
  return isIban(text, start, span.end) ? span : undefined
}

/** ISO 7064 MOD 97-10, with the first four characters at the end; at most 34 characters. */
function isIban(text: string, start: number, end: number): boolean {
  let remainder = 0
  let count = 0
  for (let index = start + 4; index < end + 4; index++) {
    const code = text.charCodeAt(index < end ? index : index - end + start)
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
function isOpen({ text, isFinal }: Source, start: number, chars: Uint8Array): boolean {
  if (isFinal) return false
  const last = Math.min(text.length, start + WINDOW_CHARS)
  let end = start
  while (end < last && chars[text.charCodeAt(end)] === 1) end++
  return end >= text.length
}

function run(pattern: RegExp, text: string, start: number, detector: Detector): Exclude<Found, typeof NEED_MORE> {
  pattern.lastIndex = start
  return pattern.test(text) ? { start, end: pattern.lastIndex, detector } : undefined
}
