import { parseBody, parseJson, parseMessage, parseUpstream } from '@mcp-gateway/wire'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const code = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return (error as { code?: string }).code
  }
  return undefined
}

describe('parseJson', () => {
  it('stringify(parse(text)) ≡ text, for any JSON text without spaces, duplicates and integer-like keys', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 12 }), (text) => {
        const compact = JSON.stringify(JSON.parse(text))
        expect(JSON.stringify(parseJson(compact, 128))).toBe(compact)
      }),
      { numRuns: 2000 },
    )
  })

  it('keeps the spelling of every number, however large, small or padded', () => {
    const digits = fc.stringMatching(/^[1-9][0-9]{0,40}$/)
    const number = fc
      .tuple(
        fc.constantFrom('', '-'),
        digits,
        fc.option(fc.stringMatching(/^[0-9]{1,30}$/)),
        fc.option(fc.stringMatching(/^[eE][+-]?[0-9]{1,3}$/)),
      ) // prettier-ignore
      .map(
        ([sign, whole, fraction, exponent]) =>
          `${sign}${whole}${fraction === null ? '' : `.${fraction}`}${exponent ?? ''}`,
      )
    fc.assert(
      fc.property(fc.array(number, { maxLength: 5 }), (numbers) => {
        const text = `{"a":[${numbers.join(',')}],"b":"x"}`
        expect(JSON.stringify(parseJson(text, 128))).toBe(text)
      }),
      { numRuns: 5000 },
    )
  })

  it('keeps numbers that a double would change', () => {
    for (const text of ['12345678901234567890', '1.0', '-0', '1e400', '0.1000', '100000000000000000000.5']) {
      expect(JSON.stringify(parseJson(`{"n":${text}}`, 8))).toBe(`{"n":${text}}`)
    }
  })

  it('counts nesting outside of strings only', () => {
    const inString = JSON.stringify({ text: '[{"\\"['.repeat(500) })
    expect(parseJson(inString, 2)).toEqual(JSON.parse(inString))
    expect(code(() => parseJson('['.repeat(129) + ']'.repeat(129), 128))).toBe('WIRE_TOO_DEEP')
    expect(code(() => parseJson('['.repeat(128) + ']'.repeat(128), 128))).toBeUndefined()
  })

  it('survives a million brackets', () => {
    expect(code(() => parseJson('['.repeat(1_000_000), 128))).toBe('WIRE_TOO_DEEP')
  })

  it('keeps a member called __proto__ as an ordinary member', () => {
    const value = parseJson('{"__proto__":{"polluted":true},"n":1.0}', 8)
    expect(JSON.stringify(value)).toBe('{"__proto__":{"polluted":true},"n":1.0}')
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

describe('parseMessage', () => {
  it('keeps unknown members at every level', () => {
    const text =
      '{"jsonrpc":"2.0","id":1,"method":"x/y","params":{"_meta":{"traceparent":"00-1","z":1}},"extra":{"a":[]}}'
    expect(JSON.stringify(parseMessage(text))).toBe(text)
  })

  it.each([
    ['not JSON', '{"jsonrpc":', 'WIRE_PARSE_ERROR'],
    ['a number', '1', 'WIRE_INVALID_MESSAGE'],
    ['null', 'null', 'WIRE_INVALID_MESSAGE'],
    ['an array', '[]', 'WIRE_INVALID_MESSAGE'],
    ['another version', '{"jsonrpc":"1.0","id":1,"method":"a"}', 'WIRE_INVALID_MESSAGE'],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"a"}', 'WIRE_INVALID_MESSAGE'],
    ['an id that is null', '{"jsonrpc":"2.0","id":null,"method":"a"}', 'WIRE_INVALID_MESSAGE'],
    ['neither method nor result', '{"jsonrpc":"2.0","id":1}', 'WIRE_INVALID_MESSAGE'],
    ['a method that is a number', '{"jsonrpc":"2.0","id":1,"method":7}', 'WIRE_INVALID_MESSAGE'],
  ])('refuses %s', (_what, text, expected) => {
    expect(code(() => parseMessage(text))).toBe(expected)
  })

  it('limits batches', () => {
    const one = '{"jsonrpc":"2.0","method":"a"}'
    const limits = { maxDepth: 8, maxBatch: 2 }
    expect(parseBody(`[${one},${one}]`, limits)).toHaveLength(2)
    expect(code(() => parseBody(`[${one},${one},${one}]`, limits))).toBe('WIRE_BATCH_TOO_LARGE')
    expect(code(() => parseBody('[]', limits))).toBe('WIRE_INVALID_MESSAGE')
    expect(code(() => parseBody(`[${one},1]`, limits))).toBe('WIRE_INVALID_MESSAGE')
  })
})

describe('parseUpstream', () => {
  it('takes what real servers send', () => {
    expect(parseUpstream('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x","more":1}}')).toMatchObject({
      id: null,
    })
    expect(parseUpstream('{"id":1,"result":{}}')).toEqual({ jsonrpc: '2.0', id: 1, result: {} })
  })
  it('returns undefined for what is no message, and never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const message = parseUpstream(text)
        expect(message === undefined || message.jsonrpc === '2.0').toBe(true)
      }),
    )
  })
})
