import fc from 'fast-check'
import { parse } from 'jsonc-parser'
import { describe, expect, test } from 'vitest'
import { addElement, setMember } from '../src/json-edit.ts'

const read = (text: string): unknown => parse(text, [], { allowTrailingComma: true })

describe('setMember', () => {
  test.each<[string, string]>([
    ['{}', '{\n  "s": {\n    "a": 1\n  }\n}'],
    ['{}\n', '{\n  "s": {\n    "a": 1\n  }\n}\n'],
    ['{"s":{}}', '{"s":{\n  "a": 1\n}}'],
    ['{"s":{"b":2}}', '{"s":{\n  "a": 1,\n  "b":2}}'],
    ['{\n    "s": {\n        "b": 2\n    }\n}', '{\n    "s": {\n        "a": 1,\n        "b": 2\n    }\n}'],
    ['{\n\t"s": {\n\t\t// none yet\n\t}\n}', '{\n\t"s": {\n\t\t"a": 1\n\t\t// none yet\n\t}\n}'],
    ['{\r\n  "t": 1\r\n}', '{\r\n  "s": {\r\n    "a": 1\r\n  },\r\n  "t": 1\r\n}'],
    ['{ "s": { "a": [2], "b": 3 } }', '{ "s": { "a": 1, "b": 3 } }'],
  ])('%j ≡ %j', (before, after) => {
    expect(setMember(before, ['s', 'a'], 1)).toBe(after)
  })

  test('parse(setMember(t, [s, k], v)) ≡ parse(t) with s.k = v, for every t', () => {
    // jsonc-parser, which reads the results here, loses a member called __proto__.
    const values = fc.jsonValue({ maxDepth: 2 }).filter((value) => !JSON.stringify(value).includes('__proto__'))
    const members = fc.dictionary(fc.constantFrom('a', 'b', 's', 'x"y'), values)
    const key = fc.constantFrom('a', 'new', 'x"y')
    const space = fc.constantFrom(undefined, 2, 4, '\t')
    fc.assert(
      fc.property(members, members, key, values, space, (root, inner, name, value, indent) => {
        const before = { ...root, s: inner }
        const expected = JSON.parse(JSON.stringify({ ...before, s: { ...inner, [name]: value } })) as unknown
        expect(read(setMember(JSON.stringify(before, null, indent), ['s', name], value))).toEqual(expected)
      }),
    )
  })
})

test('addElement makes the array or adds to it', () => {
  expect(read(addElement('{ "x": 1 }', 'inputs', { id: 'a' }))).toEqual({ x: 1, inputs: [{ id: 'a' }] })
  expect(read(addElement('{ "inputs": [] }', 'inputs', { id: 'a' }))).toEqual({ inputs: [{ id: 'a' }] })
  expect(read(addElement('{ "inputs": [{ "id": "b" }, ] }', 'inputs', { id: 'a' }))).toEqual({
    inputs: [{ id: 'a' }, { id: 'b' }],
  })
})
