/**
 * Random inputs for everything that parses: nothing may crash, hang or accept what it should not. POLICY_FUZZ_RUNS is
 * the number of all inputs together; 1,000,000 take some minutes.
 */
import {
  compileAddresses,
  compileGlob,
  createClientAddress,
  createPolicyEngine,
  createRedactor,
  createToolGuard,
  DETECTORS,
  parseAddress,
  parsePolicyFile,
  parsePolicyTable,
  parseRate,
  PolicyError,
} from '@mcp-gateway/policy'
import fc from 'fast-check'
import { isIP } from 'node:net'
import { expect, test } from 'vitest'

const RUNS = Number(process.env['POLICY_FUZZ_RUNS'] ?? 40_000)
const share = (part: number): { numRuns: number } => ({ numRuns: Math.ceil(RUNS * part) })

function refuses(action: () => unknown, isExpected: (error: unknown) => boolean): boolean {
  try {
    action()
    return false
  } catch (error) {
    if (isExpected(error)) return true
    throw error
  }
}
const isSyntax = (error: unknown): boolean => error instanceof SyntaxError
const isDocument = (error: unknown): boolean =>
  error instanceof PolicyError && error.code === 'POLICY_DOCUMENT_INVALID' && error.findings.length > 0

const words = [
  'policies:',
  '- ',
  '  ',
  '\n',
  ': ',
  'id: a',
  'roles: ["*"]',
  'rules:',
  'action: allow',
  'tool: ',
  '*',
  '&a',
  '*a',
  '{',
  '}',
  '[',
  ']',
  ',',
  '"',
  "'",
  '|',
  '>',
  '#',
  '?',
  '!!x',
  '%',
  '---',
  '\t',
  '~',
  '<<: ',
  'conditions: []',
  'when: ',
]
const yaml = fc.oneof(
  fc.string({ unit: fc.constantFrom(...words), maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.json().map((text) => `policies: ${text}`),
)

test('YAML: a text is refused with findings, or is a file that allows nobody by accident', () => {
  fc.assert(
    fc.property(yaml, (source) => {
      let allowed = false
      const refused = refuses(() => {
        const engine = createPolicyEngine(parsePolicyFile(source))
        allowed = engine.decide({ id: 'x', roles: [] }, { server: 's', tool: 't' }).allowed
      }, isDocument)
      // Only somebody who wrote these three can have meant it.
      return refused || !allowed || (source.includes('roles') && source.includes('*') && source.includes('allow'))
    }),
    share(0.15),
  )
})

test('YAML: no random text is a table', () => {
  fc.assert(
    fc.property(yaml, (source) => refuses(() => parsePolicyTable(source), isDocument)),
    share(0.1),
  )
})

test('globs: a pattern is refused, or answers', () => {
  const pattern = fc.string({
    unit: fc.constantFrom('*', '?', '[', ']', '{', '}', ',', '!', '-', '\\', 'a', 'b', '😀', '\n'),
    maxLength: 24,
  })
  fc.assert(
    fc.property(pattern, fc.string({ unit: 'binary', maxLength: 20 }), (source, name) => {
      let answer: unknown
      return refuses(() => (answer = compileGlob(source)(name)), isSyntax) || typeof answer === 'boolean'
    }),
    share(0.2),
  )
})

const address = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'0123456789abcf.:/*%[] '.split('')), maxLength: 24 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.ipV4(),
  fc.ipV6(),
)

test('networks: what is accepted is one, and holds its own first address', () => {
  fc.assert(
    fc.property(address, fc.option(fc.nat(140)), (base, prefix) => {
      const source = prefix === null ? base : `${base}/${prefix}`
      let has: ReturnType<typeof compileAddresses> | undefined
      if (refuses(() => (has = compileAddresses([source])), isSyntax)) return true
      const first = source.split('/')[0]?.replaceAll('*', '0') ?? ''
      return (
        isIP(
          first.split('.').length < 4 && !first.includes(':')
            ? `${first}.0.0.0`.split('.').slice(0, 4).join('.')
            : first,
        ) > 0 && has?.(first) !== false
      )
    }),
    share(0.15),
  )
})

test('addresses: what is one is one for node:net as well', () => {
  fc.assert(
    fc.property(address, (source) => {
      const parsed = parseAddress(source)
      return parsed === undefined ? isIP(source) === 0 || source.length > 64 : isIP(parsed.text) > 0
    }),
    share(0.1),
  )
})

test('forwarding headers: a forged one never names an address that no trusted proxy wrote', () => {
  const find = createClientAddress({ trustedProxies: ['10.0.0.1'] })
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.array(address, { maxLength: 4 }), (junk, forged) => {
      const header = [...forged, junk.replaceAll(',', ''), '203.0.113.7'].join(', ')
      return find({ peer: '10.0.0.1', headers: { 'x-forwarded-for': header } }) === '203.0.113.7'
    }),
    share(0.1),
  )
})

test('rates: what is accepted is a whole number of calls in a time', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'0123456789/smindayh.-e '.split('')), maxLength: 10 }),
      (source) => {
        const rate = parseRate(source)
        return rate === undefined || (Number.isInteger(rate.count) && rate.count > 0 && rate.windowMs >= 1)
      },
    ),
    share(0.1),
  )
})

test('redaction and the guard take any value', () => {
  const redactor = createRedactor([
    {
      id: 'r',
      server: ['*'],
      tool: ['*'],
      on: ['results'],
      detectors: DETECTORS,
      fields: ['**.a', 'b.*'],
      patterns: [],
      applies: 'always',
    },
  ]).forCall('s', 't').results
  const guard = createToolGuard()
  const text = fc.string({ unit: fc.constantFrom(...'aeyJ.@-+ (:/_=41[]{}"\\\n\u200B'.split('')), maxLength: 80 })
  fc.assert(
    fc.property(fc.oneof(fc.anything({ withBigInt: true, withNullPrototype: true }), text, fc.json()), (value) => {
      redactor.value(value)
      guard.inspectTool('s', value)
    }),
    share(0.1),
  )
  expect(redactor.isActive).toBe(true)
})
