import { canonicalize, readEntry, type JsonValue } from '@mcp-gateway/audit-chain/verify'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

describe('canonicalize', () => {
  test('the example of RFC 8785 §3.2.2', () => {
    const value = JSON.parse(
      String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"€$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
    ) as JsonValue
    expect(canonicalize(value)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    )
  })

  test('members in the order of UTF-16 code units, the example of RFC 8785 §3.2.3', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    }
    expect(Object.values(JSON.parse(canonicalize(value)) as Record<string, string>)).toHaveLength(7)
    expect([...canonicalize(value).matchAll(/:"([^"]+)"/g)].map(([, name]) => name)).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ])
  })

  // RFC 8785, appendix B
  test.each([
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ])('the number %s is written %s', (bits, text) => {
    expect(canonicalize(Buffer.from(bits, 'hex').readDoubleBE())).toBe(text)
  })

  test('canonicalize(parse(canonicalize(value))) ≡ canonicalize(value)', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        const text = canonicalize(value as JsonValue)
        expect(canonicalize(JSON.parse(text) as JsonValue)).toBe(text)
      }),
      { numRuns: 10_000 },
    )
  })

  test.each([
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['a lone surrogate', 'a\ud800'],
    ['a lone surrogate in a name', { '\udc00': 1 }],
    ['undefined', { a: undefined }],
    ['a hole', Object.assign([1], { length: 2 })],
    ['a function', { a: () => 1 }],
    ['a bigint', 1n],
    ['a date', new Date(0)],
    ['a map', new Map()],
  ])('%s has no canonical form', (_, value) => {
    expect(() => canonicalize(value as never)).toThrow(expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }))
  })

  test('a cycle and deep nesting are refused, and do not overflow the stack', () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    expect(() => canonicalize(cycle as never)).toThrow(expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }))
    const deep = Buffer.from(`{"v":1,"x":${'['.repeat(32_000)}${']'.repeat(32_000)}}`)
    expect(() => readEntry(deep)).toThrow(expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }))
  })
})

describe('readEntry', () => {
  const prev = 'ab'.repeat(32)
  const text = `{"clk":"ok","facts":{"a":"\u{1f600}","b":[1]},"id":"x","log":"l","prev":"${prev}","seq":0,"ts":"2026-11-20T12:00:00.012Z","type":"t","v":1}`

  test('reads what is canonical', () => {
    expect(readEntry(Buffer.from(text)).facts).toEqual({ a: '\u{1f600}', b: [1] })
  })

  test.each([
    ['white space', text.replace('"seq":0', '"seq": 0')],
    [
      'another order',
      text.replace('"seq":0,"ts":"2026-11-20T12:00:00.012Z"', '"ts":"2026-11-20T12:00:00.012Z","seq":0'),
    ],
    ['a member twice', text.replace('"seq":0', '"seq":0,"seq":0')],
    ['an escape where none is needed', text.replace('"l"', '"\\u006c"')],
    ['a number spelled differently', text.replace('"seq":0', '"seq":0.0')],
    ['a lone surrogate', text.replace('\u{1f600}', '\\ud800')],
    ['no version', text.replace(',"v":1', '')],
    ['another version', text.replace('"v":1', '"v":2')],
    ['a time in another form', text.replace('.012Z', 'Z')],
    ['an unknown clock', text.replace('"clk":"ok"', '"clk":"maybe"')],
    ['a short hash', text.replace(prev, 'ab')],
    ['a list', '[]'],
    ['no JSON', '{'],
    ['nothing', ''],
  ])('refuses %s', (_, changed) => {
    expect(() => readEntry(Buffer.from(changed))).toThrow(expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }))
  })

  test('refuses bytes that are no UTF-8, also where they decode to the same text', () => {
    const bytes = Buffer.from(text.replace('\u{1f600}', '\ufffd'))
    expect(readEntry(bytes).facts).toEqual({ a: '\ufffd', b: [1] })
    const at = bytes.indexOf('\ufffd')
    const invalid = Buffer.concat([bytes.subarray(0, at), Buffer.of(0xff), bytes.subarray(at + 3)])
    expect(invalid.toString()).toBe(bytes.toString())
    expect(() => readEntry(invalid)).toThrow(expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }))
  })
})
