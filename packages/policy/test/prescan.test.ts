import {
  createRedactor,
  DEFAULT_REDACTION,
  DETECTORS,
  type CallRedactor,
  type RedactionRule,
} from '@mcp-gateway/policy'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { corpus } from './redaction-corpus.ts'

const RUNS = Number(process.env['POLICY_PROPERTY_RUNS'] ?? 10_000)

function redactor(changes: Partial<RedactionRule>): CallRedactor {
  const [rule] = DEFAULT_REDACTION
  if (rule === undefined) throw new Error('there is no default')
  return createRedactor([{ ...rule, ...changes }]).forCall('s', 't', 'logs')
}
const usual = redactor({})

const samples = Object.values(corpus).flatMap((list) => list.map(([text]) => text))
const names = ['password', 'PassWord', 'to\u212aen', 'cooKie', 'pass\tword', 'a"b', 'x', '', 'ΑΣ', 'é']
const noise = fc.string({
  unit: fc.constantFrom(
    ...'aA1.@-+ (:/_eyJ=4\n\t\b"\\[{'.split(''),
    '\u2028',
    '😀',
    '\ud800',
    'ghp_',
    '::',
    '4111 1111',
  ),
  maxLength: 30,
})
const inner = fc.dictionary(fc.constantFrom(...names), fc.constantFrom(1, 'a')).map((value) => JSON.stringify(value))
const text = fc.oneof(
  noise,
  fc.tuple(noise, fc.constantFrom(...samples), noise).map((parts) => parts.join('')),
  inner,
  fc.constantFrom('{"\\u0070assword":"x"}', '{"password":"x"', '\nAKIAIOSFODNN7EXAMPLE', '{"a":"\\nghp_'),
)
const key = fc.oneof(fc.constantFrom(...names), text)
const { value: anything } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    text,
    fc.oneof(fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ),
}))
const rules = fc
  .record({
    detectors: fc.subarray([...DETECTORS]),
    fields: fc.subarray(['**.password', 'a.*', '**.token', '["a\\"b"]', '**.ας', '["x"]', '**["."]', '**.cookie']),
  })
  .map(redactor)

test('what is clean by its text is left as it is by a walk, and nothing is found in it', () => {
  fc.assert(
    fc.property(fc.oneof(fc.constant(usual), rules), anything, (redact, value) => {
      const json = JSON.stringify(value)
      fc.pre(redact.isClean(json))
      const { value: redacted, findings } = redact.value(JSON.parse(json))
      expect(findings).toEqual({})
      expect(JSON.stringify(redacted)).toBe(json)
    }),
    { numRuns: RUNS, maxSkipsPerRun: 1000 },
  )
})

test('nothing of the corpus is clean, wherever it stands in a value', () => {
  for (const [name, list] of Object.entries(corpus)) {
    for (const [sample, ...parts] of list) {
      if (parts.length === 0) continue
      for (const value of [sample, [sample], { a: `\n${sample}\n` }, { [sample]: 1 }, `"${sample}"`, `\\${sample}`]) {
        if (Object.keys(usual.value(value).findings).length > 0)
          expect(usual.isClean(JSON.stringify(value)), `${name}: ${JSON.stringify(value)}`).toBe(false)
      }
    }
  }
})

test('usual small results are clean, line breaks and quotes included', () => {
  const value = { content: [{ type: 'text', text: 'It said "sunny",\nat 21 degrees.' }], isError: false }
  expect(usual.isClean(JSON.stringify(value))).toBe(true)
  expect(usual.isClean(JSON.stringify({ note: 'a', apiKey: 'b' }))).toBe(false)
})

test('what is nested so deep that a walk refuses is not clean, and neither is anything under patterns', () => {
  let value: unknown = 'x'
  for (let depth = 0; depth < 300; depth++) value = [value]
  expect(usual.isClean(JSON.stringify(value))).toBe(false)
  expect(redactor({ patterns: [{ name: 'p', pattern: 'x' }] }).isClean('{}')).toBe(false)
})
