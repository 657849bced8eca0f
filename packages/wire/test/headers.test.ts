import { checkHeaders, checkParamHeaders, decodeHeaderValue, encodeHeaderValue, mirrorHeaders, mirrorParamHeaders, paramHeadersOf, type JsonRpcRequest } from '@mcp-gateway/wire' // prettier-ignore
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const call = (name: string): JsonRpcRequest => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } },
})

describe('header values (SEP-2243)', () => {
  it('decode(encode(text)) ≡ text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(decodeHeaderValue(encodeHeaderValue(text))).toBe(text)
      }),
      { numRuns: 5000 },
    )
  })
  it('encode(text) is always safe in a header', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(encodeHeaderValue(text)).toMatch(/^[\x20-\x7e\t]*$/)
      }),
    )
  })
  it('a text that looks encoded is encoded', () => {
    expect(encodeHeaderValue('=?base64?eA==?=')).toBe('=?base64?PT9iYXNlNjQ/ZUE9PT89?=')
  })
  it.each(['=?base64?e?=', '=?base64?eA?=', '=?base64?e A==?=', '=?base64?/w==?='])('refuses %s', (value) => {
    expect(decodeHeaderValue(value)).toBeUndefined()
  })
})

describe('checkHeaders', () => {
  it('check(mirror(message)) ≡ ok, for every name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        checkHeaders(call(name), mirrorHeaders(call(name)))
      }),
    )
  })
  it.each([
    ['no version', { 'mcp-method': 'tools/call', 'mcp-name': 'a' }],
    ['no method', { 'mcp-protocol-version': '2026-07-28', 'mcp-name': 'a' }],
    ['another method', { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list', 'mcp-name': 'a' }],
    ['another name', { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'b' }],
    ['no name', { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call' }],
    ['two names', { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': ['a', 'a'] }],
  ])('refuses %s', (_what, headers) => {
    expect(() => checkHeaders(call('a'), headers)).toThrow(expect.objectContaining({ code: 'WIRE_HEADER_MISMATCH' }))
  })
})

describe('x-mcp-header', () => {
  const schema = {
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      nested: { type: 'object', properties: { count: { type: 'integer', 'x-mcp-header': 'Count' } } },
    },
  }
  it('finds declarations through properties', () => {
    expect(paramHeadersOf(schema)).toEqual([
      { header: 'mcp-param-region', path: ['region'], type: 'string' },
      { header: 'mcp-param-count', path: ['nested', 'count'], type: 'integer' },
    ])
  })
  it.each([
    ['a number', { a: { type: 'number', 'x-mcp-header': 'A' } }],
    ['a bad name', { a: { type: 'string', 'x-mcp-header': 'A B' } }],
    ['a name twice', { a: { type: 'string', 'x-mcp-header': 'A' }, b: { type: 'string', 'x-mcp-header': 'a' } }],
  ])('refuses a schema with %s', (_what, properties) => {
    expect(paramHeadersOf({ type: 'object', properties })).toBeUndefined()
  })
  it('compares integers by value and everything else by text; ignores absent arguments', () => {
    const declared = paramHeadersOf(schema) ?? []
    const args = { region: 'Zürich', nested: { count: 42 } }
    checkParamHeaders(declared, args, mirrorParamHeaders(declared, args))
    checkParamHeaders(declared, { nested: { count: 42 } }, { 'mcp-param-count': '42.0' })
    checkParamHeaders(declared, {}, { 'mcp-param-region': 'anything' })
    expect(() => checkParamHeaders(declared, args, { 'mcp-param-count': '42' })).toThrow(/region/)
    expect(() => checkParamHeaders(declared, args, { ...mirrorParamHeaders(declared, args), 'mcp-param-count': '43' })).toThrow(/count/) // prettier-ignore
  })
})
