/**
 * Secrets that say what they are by how they begin, as their issuers publish it. A secret without a prefix cannot be
 * told from any other random text: what the vault knows it scrubs by value, which is not this package's work.
 */
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

type Compiled = { readonly prefix: string; readonly body: Uint8Array; readonly min: number; readonly max: number }

/** By the first two characters, the longest prefix first. */
const BY_START = new Map<number, readonly Compiled[]>()
for (const { prefix, body, min, max } of RULES.toSorted((a, b) => b.prefix.length - a.prefix.length)) {
  const key = keyAt(prefix, 0)
  const table = Uint8Array.from({ length: 128 }, (_, code) => (body.test(String.fromCharCode(code)) ? 1 : 0))
  BY_START.set(key, [...(BY_START.get(key) ?? []), { prefix, body: table, min, max }])
}
const JWT_START = keyAt('ey', 0)
/** Whether a secret begins with these two characters, at 128 × the first + the second: asked at every word. */
const STARTS = new Uint8Array(128 * 128)
for (const start of ['ey', ...RULES.map(({ prefix }) => prefix)]) {
  STARTS[start.charCodeAt(0) * 128 + start.charCodeAt(1)] = 1
}
const URL_SAFE = Uint8Array.from({ length: 128 }, (_, code) => (/[\w-]/.test(String.fromCharCode(code)) ? 1 : 0))

function keyAt(text: string, index: number): number {
  return text.charCodeAt(index) * 65_536 + text.charCodeAt(index + 1)
}

/** At the first letter of a word. */
export function matchSecret(source: Source, start: number): Found {
  const { text, isFinal } = source
  // One letter at the end: everything begins like this.
  if (start + 1 >= text.length) return isFinal ? undefined : NEED_MORE
  const [first, second] = [text.charCodeAt(start), text.charCodeAt(start + 1)]
  // A table is asked in a fifth of the time that a map takes, and most words begin like no secret.
  if (first >= 128 || second >= 128 || STARTS[first * 128 + second] === 0) return undefined
  const key = keyAt(text, start)
  // Behind a hyphen it is the middle of a run that was looked at from its start.
  if (key === JWT_START && text[start - 1] !== '-') return matchJwt(source, start)
  for (const { prefix, body, min, max } of BY_START.get(key) ?? []) {
    if (differs(text, start, prefix, 2) || differs(text, start, prefix, 3)) continue
    if (!text.startsWith(prefix, start)) {
      if (!isFinal && prefix.startsWith(text.slice(start, start + prefix.length))) return NEED_MORE
      continue
    }
    const from = start + prefix.length
    const end = endOfRun(text, from, max, body)
    if (end === text.length && end - from < max && !isFinal) return NEED_MORE
    // Of a length that is fixed, a longer word is something else.
    const isWhole = max === MAX_TOKEN_CHARS || (flagsAt(text, end) & WORD) === 0
    if (end - from >= min && isWhole) return { start, end, detector: 'secret' }
  }
  return undefined
}

/** One character tells most prefixes apart, and costs less than a comparison of all. */
function differs(text: string, start: number, prefix: string, offset: number): boolean {
  if (offset >= prefix.length || start + offset >= text.length) return false
  return text.charCodeAt(start + offset) !== prefix.charCodeAt(offset)
}

/** RFC 7519: three parts, of which the last may be empty (`alg: none`), and the first begins with `{"`. */
function matchJwt({ text, isFinal }: Source, start: number): Found {
  if (!text.startsWith('eyJ', start)) return start + 2 >= text.length && !isFinal ? NEED_MORE : undefined
  let end = start
  for (const [max, min] of [
    [512, 10],
    [MAX_TOKEN_CHARS, 2],
    [1024, 0],
  ] as const) {
    const from = end
    end = endOfRun(text, from, max, URL_SAFE)
    if (end === text.length && end - from < max && !isFinal) return NEED_MORE
    if (end - from < min) return undefined
    if (max === 1024) break
    if (text[end] !== '.') return undefined
    end++
  }
  return { start, end, detector: 'secret' }
}

function endOfRun(text: string, from: number, max: number, body: Uint8Array): number {
  const last = Math.min(text.length, from + max)
  let end = from
  while (end < last && body[text.charCodeAt(end)] === 1) end++
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
