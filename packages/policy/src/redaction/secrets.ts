/**
 * Secrets that say what they are by how they begin, as their issuers publish it. A secret without a prefix cannot be
 * told from any other random text: what the vault knows it scrubs by value, which is not this package's work.
 */
import { codeAt } from './codes.ts'
import { NEED_MORE, type Found, type Source } from './span.ts'
import { flagsAt, WORD } from './words.ts'

type Rule = {
  readonly prefix: string
  /** One character of what follows. */
  readonly body: RegExp
  readonly min: number
  readonly max: number
}

/** The longest secret that is one piece; what goes on behind it is left. */
const MAX_TOKEN_CHARS = 4096
const MAX_PEM_CHARS = 16_384
const MAX_PEM_LABEL_CHARS = 64
const HYPHEN = 45

const ALNUM = /[A-Za-z0-9]/
const WORDS = /[\w-]/
const HEX = /[0-9a-f]/
const UPPER = /[A-Z0-9]/
const DOTTED = /[\w.-]/

const RULES: readonly Rule[] = [
  ...['AKIA', 'ASIA', 'ABIA', 'ACCA'].map((prefix) => ({ prefix, body: UPPER, min: 16, max: 16 })),
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((prefix) => ({ prefix, body: ALNUM, min: 36, max: 255 })),
  rule('github_pat_', /\w/, 22),
  ...['glpat-', 'gldt-', 'glrt-', 'glcbt-'].map((prefix) => rule(prefix, DOTTED, 20)),
  ...['xoxb-', 'xoxp-', 'xoxa-', 'xoxr-', 'xoxs-', 'xapp-'].map((prefix) => rule(prefix, WORDS, 10)),
  ...['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_'].map((prefix) => rule(prefix, ALNUM, 16)),
  rule('whsec_', /[A-Za-z0-9+/=]/, 24),
  ...['sk-ant-', 'sk-proj-', 'sk-svcacct-', 'sk-or-'].map((prefix) => rule(prefix, WORDS, 20)),
  rule('sk-', ALNUM, 32),
  { prefix: 'AIza', body: WORDS, min: 35, max: 35 },
  rule('GOCSPX-', WORDS, 20),
  rule('ya29.', WORDS, 20),
  rule('npm_', ALNUM, 36),
  rule('pypi-', WORDS, 50),
  rule('hf_', ALNUM, 30),
  rule('SG.', DOTTED, 40),
  ...['dop_v1_', 'doo_v1_', 'dor_v1_'].map((prefix) => rule(prefix, HEX, 64)),
  ...['shpat_', 'shpss_', 'shpca_', 'shppa_'].map((prefix) => rule(prefix, /[0-9a-fA-F]/, 32)),
  rule('AGE-SECRET-KEY-1', UPPER, 50),
  ...['hvs.', 'hvb.'].map((prefix) => rule(prefix, WORDS, 24)),
  rule('dckr_pat_', WORDS, 20),
  rule('lin_api_', ALNUM, 32),
  rule('sntrys_', /[\w+/=-]/, 40),
  rule('figd_', WORDS, 30),
  rule('tskey-', WORDS, 20),
  rule('xkeysib-', WORDS, 60),
  rule('rubygems_', HEX, 48),
  rule('pscale_tkn_', DOTTED, 32),
  rule('gw_', WORDS, 40),
  rule('mcpwt_', WORDS, 20),
  rule('Bearer ', /[\w.~+/=-]/, 20),
  rule('bearer ', /[\w.~+/=-]/, 20),
]

function rule(prefix: string, body: RegExp, min: number): Rule {
  return { prefix, body, min, max: MAX_TOKEN_CHARS }
}

type Compiled = {
  readonly prefix: string
  /** Its third and fourth character; 0 when it is not that long. */
  readonly third: number
  readonly fourth: number
  readonly body: Uint8Array
  readonly min: number
  readonly max: number
}

const JWT_START = startOf('ey'.charCodeAt(0), 'ey'.charCodeAt(1))
/** The longest prefix first, by how it starts. Asked at every word, and most words begin like no secret. */
const BY_START: (readonly Compiled[] | undefined)[] = Array.from({ length: 128 * 128 }, () => undefined)
BY_START[JWT_START] = []
for (const { prefix, body, min, max } of RULES.toSorted((a, b) => b.prefix.length - a.prefix.length)) {
  const [first = 0, second = 0, third = 0, fourth = 0] = Array.from(prefix, (char) => char.charCodeAt(0))
  const table = Uint8Array.from({ length: 128 }, (_, code) => (body.test(String.fromCharCode(code)) ? 1 : 0))
  const start = startOf(first, second)
  BY_START[start] = [...(BY_START[start] ?? []), { prefix, third, fourth, body: table, min, max }]
}
const URL_SAFE = Uint8Array.from({ length: 128 }, (_, code) => (/[\w-]/.test(String.fromCharCode(code)) ? 1 : 0))

function startOf(first: number, second: number): number {
  return first * 128 + second
}

/** At the first letter of a word. */
export function matchSecret(source: Source, start: number): Found {
  const { text, codes, isFinal } = source
  // One letter at the end: everything begins like this.
  if (start + 1 >= text.length) return isFinal ? undefined : NEED_MORE
  const [first, second] = [codeAt(codes, start), codeAt(codes, start + 1)]
  if (first >= 128 || second >= 128) return undefined
  const key = startOf(first, second)
  const rules = BY_START[key]
  if (rules === undefined) return undefined
  // Behind a hyphen it is the middle of a run that was looked at from its start.
  if (key === JWT_START && codeAt(codes, start - 1) !== HYPHEN) return matchJwt(source, start)
  const [third, fourth] = [codeAt(codes, start + 2), codeAt(codes, start + 3)]
  for (const one of rules) {
    const { prefix, max } = one
    // One character tells most prefixes apart, and costs less than a comparison of all. 0: the text ends here.
    if (third !== 0 && one.third !== 0 && third !== one.third) continue
    if (fourth !== 0 && one.fourth !== 0 && fourth !== one.fourth) continue
    const isSeen = prefix.length < 5 && third !== 0 && fourth !== 0
    if (!isSeen && !text.startsWith(prefix, start)) {
      if (!isFinal && prefix.startsWith(text.slice(start, start + prefix.length))) return NEED_MORE
      continue
    }
    const from = start + prefix.length
    const end = endOfRun(codes, from, max, one.body)
    if (end === text.length && end - from < max && !isFinal) return NEED_MORE
    // Of a length that is fixed, a longer word is something else.
    const isWhole = max === MAX_TOKEN_CHARS || (flagsAt(codes, end) & WORD) === 0
    if (end - from >= one.min && isWhole) return { start, end, detector: 'secret' }
  }
  return undefined
}

/** RFC 7519: three parts, of which the last may be empty (`alg: none`), and the first begins with `{"`. */
function matchJwt({ text, codes, isFinal }: Source, start: number): Found {
  if (!text.startsWith('eyJ', start)) return start + 2 >= text.length && !isFinal ? NEED_MORE : undefined
  let end = start
  for (const [max, min] of [
    [512, 10],
    [MAX_TOKEN_CHARS, 2],
    [1024, 0],
  ] as const) {
    const from = end
    end = endOfRun(codes, from, max, URL_SAFE)
    if (end === text.length && end - from < max && !isFinal) return NEED_MORE
    if (end - from < min) return undefined
    if (max === 1024) break
    if (text[end] !== '.') return undefined
    end++
  }
  return { start, end, detector: 'secret' }
}

/** The zeros behind the text end it, too. */
function endOfRun(codes: Uint16Array, from: number, max: number, body: Uint8Array): number {
  const last = from + max
  let end = from
  while (end < last && body[codeAt(codes, end)] === 1) end++
  return end
}

/**
 * A private key in PEM, from BEGIN to END; without an END, to where its text stops looking like one. Whatever is found
 * is passed over at once, so that a thousand BEGINs cost what one costs.
 */
export function matchPem({ text, isFinal }: Source, start: number): Found {
  if (!isFinal && text.length - start < MAX_PEM_LABEL_CHARS) {
    const opening = '-----BEGIN '
    const seen = text.slice(start, start + opening.length)
    return opening.startsWith(seen) || seen === opening ? NEED_MORE : undefined
  }
  PEM_BEGIN.lastIndex = start
  if (!PEM_BEGIN.test(text)) return undefined
  const limit = Math.min(text.length, start + MAX_PEM_CHARS)
  let end = PEM_BEGIN.lastIndex
  while (end < limit && PEM_BODY.test(text[end] ?? '') && !text.startsWith('-----', end)) end++
  PEM_END.lastIndex = end
  if (!isFinal && text.length - end < MAX_PEM_LABEL_CHARS && end < start + MAX_PEM_CHARS) return NEED_MORE
  return { start, end: PEM_END.test(text) ? PEM_END.lastIndex : end, detector: 'secret' }
}

const PEM_BEGIN = /-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----/y
const PEM_END = /-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----/y
/** Base64, white space as it is or as `\n` of a JSON text, and `Proc-Type: 4,ENCRYPTED`. */
const PEM_BODY = /[A-Za-z0-9+/=\s\\:,-]/
