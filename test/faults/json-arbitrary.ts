// Arbitrary JSON as text, in spellings that a parser which is not careful changes.
import fc from 'fast-check'

/** Members of an object without its braces. Keys that the protocol gives a meaning to are left out. */
export function membersText(maxMembers = 3): fc.Arbitrary<string> {
  return fc
    .uniqueArray(fc.tuple(key, value), { maxLength: maxMembers, selector: ([name]) => name })
    .map((members) => members.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join())
}

export const stringText: fc.Arbitrary<string> = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
      { weight: 3, arbitrary: fc.constantFrom('\u2028\u2029', '\u0000\u001f\u007f\u0085', '🦊é漢', '\ufeff\ufffe\uffff', '"\\/\b\f\n\r\t', '</script>', '\\u0041', 'data: x', '12345678901234567890') }, // prettier-ignore
    ),
    fc.boolean(),
  )
  .map(([text, escaped]) => (escaped ? escapeAll(text) : JSON.stringify(text)))

const digits = fc.string({
  unit: fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'),
  minLength: 1,
  maxLength: 40,
})

/** Every form that RFC 8259 §6 allows, most of which no double holds. */
const numberText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom('0', '-0', '1.0', '1e5', '1E+5', '-1.50', '0.1', '9007199254740993', '-9223372036854775808', '1e400', '5e-400', '12345678901234567890', '0.1000000000000000055511151231257827'), // prettier-ignore
  fc.integer().map(String),
  fc
    .tuple(
      fc.constantFrom('', '-'),
      digits,
      fc.option(digits),
      fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e-', 'E+'), fc.nat(999))),
    ) // prettier-ignore
    .map(([sign, whole, fraction, exponent]) => {
      const integer = whole.replace(/^0+(?=\d)/, '')
      return `${sign}${integer}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : exponent.join('')}`
    }),
)

/** What the protocol, or the mirror, gives a meaning to. */
const RESERVED = new Set(
  'jsonrpc id method params result error code message data _meta name uri arguments taskId progressToken requestId progress resultType received ref task cursor'.split(' '), // prettier-ignore
)

const key: fc.Arbitrary<string> = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 6 }),
    fc.constantFrom('__proto__', 'constructor', 'toString', 'toJSON', 'rawJSON', 'then', '', '1', '0', 'x-unknown', '$ref', 'é'), // prettier-ignore
  )
  .filter((name) => !RESERVED.has(name) && !name.startsWith('io.modelcontextprotocol/'))

const scalar: fc.Arbitrary<string> = fc.oneof(stringText, numberText, fc.constantFrom('true', 'false', 'null'))

const space = fc.constantFrom('', ' ', '\t')
const { tree } = fc.letrec<{ tree: string; list: string; object: string }>((tie) => ({
  tree: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, tie('list'), tie('object')),
  list: fc
    .tuple(fc.array(tie('tree'), { maxLength: 4 }), space)
    .map(([items, gap]) => `[${gap}${items.join(`,${gap}`)}]`),
  object: fc
    .tuple(fc.uniqueArray(fc.tuple(key, tie('tree')), { maxLength: 4, selector: ([name]) => name }), space)
    .map(
      ([members, gap]) => `{${members.map(([name, text]) => `${JSON.stringify(name)}${gap}:${gap}${text}`).join()}}`,
    ),
}))

/** As deep as the gateway's own limit of 128 allows beneath an envelope. */
const deep: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(fc.constantFrom(['[', ']'], ['{"a":', '}'], ['[0,', ',1]']), { minLength: 60, maxLength: 100 }),
    scalar,
  )
  .map(([brackets, text]) => brackets.reduce((inside, [open = '', close = '']) => `${open}${inside}${close}`, text))

const large: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(stringText, fc.nat(5000)).map(([text, times]) => JSON.stringify((JSON.parse(text) as string).repeat(times))),
  fc.tuple(numberText, fc.nat(2000)).map(([text, times]) => `[${Array.from({ length: times }, () => text).join()}]`),
)

const value: fc.Arbitrary<string> = fc.oneof(
  { weight: 60, arbitrary: tree },
  { weight: 1, arbitrary: deep },
  { weight: 1, arbitrary: large },
)

function escapeAll(text: string): string {
  const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at).toString(16).padStart(4, '0'))
  return `"${units.map((unit) => `\\u${unit}`).join('')}"`
}
