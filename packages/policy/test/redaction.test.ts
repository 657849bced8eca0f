import {
  createRedactor,
  DETECTORS,
  parsePolicyFile,
  PolicyError,
  type CallRedactor,
  type RedactionRule,
} from '@mcp-gateway/policy'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { corpus } from './redaction-corpus.ts'

function redactor(changes: Partial<RedactionRule> = {}): CallRedactor {
  const rule: RedactionRule = {
    id: 'r',
    server: ['*'],
    tool: ['*'],
    on: ['results'],
    detectors: DETECTORS,
    fields: [],
    patterns: [],
    applies: 'always',
    ...changes,
  }
  return createRedactor([rule]).forCall('s', 't').results
}
const all = redactor()

describe('detectors', () => {
  test('find what they should in the corpus, and nothing else: precision and recall per detector', () => {
    const lines: string[] = []
    for (const [name, samples] of Object.entries(corpus)) {
      let [hits, misses, falseHits] = [0, 0, 0]
      const wrong: string[] = []
      for (const [text, ...parts] of samples) {
        const { value, findings } = all.text(text)
        const found = Object.values(findings).reduce((sum, one) => sum + one, 0)
        const missed = parts.filter((part) => value.includes(part))
        hits += parts.length - missed.length
        misses += missed.length
        // A key that stands in several lines is one finding and several parts.
        const extra = parts.length === 0 ? found : Math.max(found - parts.length, 0)
        falseHits += extra
        if (missed.length > 0 || extra > 0) wrong.push(`${text} -> ${value}`)
      }
      const precision = hits + falseHits === 0 ? 1 : hits / (hits + falseHits)
      const recall = hits + misses === 0 ? 1 : hits / (hits + misses)
      lines.push(
        `${name.padEnd(12)} precision ${precision.toFixed(3)}  recall ${recall.toFixed(3)}  (${samples.length} samples)`,
      )
      expect([name, wrong]).toEqual([name, []])
      expect(Math.min(precision, recall)).toBeGreaterThanOrEqual(0.95)
    }
    console.log(lines.join('\n'))
  })

  test('leave what is around as it is', () => {
    expect(all.text('Dear jane@example.com, 536-22-1234!').value).toBe('Dear [REDACTED email], [REDACTED ssn]!')
  })

  test('those that are not asked for find nothing', () => {
    for (const [name, samples] of Object.entries(corpus)) {
      const others = DETECTORS.filter((one) => one !== name)
      for (const [text, ...parts] of samples) {
        const only = redactor({ detectors: others })
        if (parts.length > 0 && name !== 'prose') expect(only.text(text).findings).not.toHaveProperty(name)
      }
    }
  })

  test('count, and never repeat, what they found', () => {
    const { findings } = all.text('a@b.io c@d.io 203.0.113.9')
    expect(findings).toEqual({ email: 2, ip: 1 })
  })
})

describe('the texts before', () => {
  const numbers = '4111 1111 1111 1111 jane@example.com '.repeat(20)

  test('change nothing: redact(a), then redact(b) ≡ redact(b)', () => {
    const texts = [...Object.values(corpus).flatMap((samples) => samples.map(([text]) => text)), numbers]
    const beginning = fc
      .tuple(fc.constantFrom(...texts), fc.nat(80))
      .map(([text, cut]) => text.slice(0, Math.max(text.length - cut, 0)))
    fc.assert(
      fc.property(fc.constantFrom(...texts), beginning, (before, text) => {
        all.text(' '.repeat(1000))
        const alone = all.text(text)
        all.text(before)
        expect(all.text(text)).toEqual(alone)
      }),
      { numRuns: 2000 },
    )
  })

  test('and neither does where a text ends, short or long', () => {
    for (const length of [20, 63, 64, 65, 66, 65_535, 65_536, 65_537, 65_540, 200_000]) {
      const filling = 'é'.repeat(length - 12)
      expect(all.text(`${filling} a@bcdef.io`).value).toBe(`${filling} [REDACTED email]`)
      expect(all.text(`a@bcdef.io ${filling}`).value).toBe(`[REDACTED email] ${filling}`)
    }
  })
})

describe('streams', () => {
  const pieces = Object.values(corpus).flatMap((samples) => samples.map(([text]) => text))
  const noise = fc.string({
    unit: fc.constantFrom(
      ...'aA1.@-+ (:/_eyJ=4\n\\'.split(''),
      '😀',
      'é',
      'ghp_',
      '://',
      '-----BEGIN ',
      'PRIVATE KEY-----',
      'eyJ',
      '4111 1111',
    ),
    maxLength: 60,
  })
  const text = fc.array(fc.oneof(fc.constantFrom(...pieces), noise), { maxLength: 6 }).map((parts) => parts.join(' '))
  const cuts = fc.array(fc.nat(40), { minLength: 1, maxLength: 30 })

  const inChunks = (redact: CallRedactor, whole: string, sizes: readonly number[]): [string, unknown] => {
    const stream = redact.stream()
    let out = ''
    let at = 0
    for (let index = 0; at < whole.length; index++) {
      const size = Math.max(sizes[index % sizes.length] ?? 1, index % 7 === 0 ? 0 : 1)
      out += stream.push(whole.slice(at, at + size))
      at += size
    }
    return [out + stream.end(), stream.findings()]
  }

  test('redact(chunk₁) + … + redact(chunkₙ) ≡ redact(chunk₁ + … + chunkₙ), with the same findings', () => {
    fc.assert(
      fc.property(text, cuts, (whole, sizes) => {
        const { value, findings } = all.text(whole)
        expect(inChunks(all, whole, sizes)).toEqual([value, findings])
      }),
      { numRuns: Number(process.env['POLICY_PROPERTY_RUNS'] ?? 10_000) },
    )
  })

  test('the same for texts so short that a look at their letters may tell that nothing is in them', () => {
    const unit = fc.constantFrom(...'aeyJf.-:@1+('.split(''), 'eyJ', 'xoxb-', 'AKIA', '::', 'sk-', '-----', '.a')
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 10 }), (whole) => {
        const { value, findings } = all.text(whole)
        expect(inChunks(all, whole, [1000])).toEqual([value, findings])
      }),
      { numRuns: Number(process.env['POLICY_PROPERTY_RUNS'] ?? 10_000) },
    )
    // The shortest there is of each kind that needs no digit.
    for (const text of ['eyJaaaaaaa.aa.', 'xoxb-abcdefghij', 'a@b.co'])
      expect(all.text(text).value, text).toContain('[REDACTED')
  })

  test('the same with some of the detectors: one that waits for a word hides what another one looks back at', () => {
    const some = fc.subarray([...DETECTORS], { minLength: 1 }).map((detectors) => redactor({ detectors }))
    fc.assert(
      fc.property(some, text, cuts, (redact, whole, sizes) => {
        const { value, findings } = redact.text(whole)
        expect(inChunks(redact, whole, sizes)).toEqual([value, findings])
      }),
      { numRuns: Number(process.env['POLICY_PROPERTY_RUNS'] ?? 10_000) / 2 },
    )
  })

  test('the same with patterns of the operator’s own', () => {
    const own = redactor({
      patterns: [
        { name: 'staff', pattern: 'EMP-?\\d+' },
        { name: 'line', pattern: '(?i)secret.*' },
      ],
    })
    const lines = fc.array(fc.oneof(text, fc.constantFrom('EMP-123', 'EMP', '-1\n', 'SeCret a\nb', '\n')), {
      maxLength: 8,
    })
    fc.assert(
      fc.property(lines, cuts, (parts, sizes) => {
        const whole = parts.join('')
        const { value, findings } = own.text(whole)
        expect(inChunks(own, whole, sizes)).toEqual([value, findings])
      }),
      { numRuns: 2000 },
    )
  })

  test('what is harmless is not held back', () => {
    const stream = all.stream()
    expect(stream.push('Hello, world. ')).toBe('Hello, world. ')
    expect(stream.push('my mail is jane')).toBe('my mail is ')
    expect(stream.push('@example.com, ok')).toBe('[REDACTED email], ')
    expect(stream.end()).toBe('ok')
  })

  test('never ends with half a character', () => {
    const stream = all.stream()
    const [high = '', low = ''] = '😀'.split('')
    expect(stream.push(`a ${high}`)).toBe('a ')
    expect(stream.push(`${low} `)).toBe('😀 ')
  })
})

describe('values', () => {
  const redact = redactor({ fields: ['customer.ssn', 'items.*.price', '**.password', '["odd.name"]'] })

  test('are redacted in their texts and in the names of members, and otherwise kept', () => {
    const value = { a: ['x', 'jane@example.com', 5, true, null], 'jane@example.com': 1, n: JSON.rawJSON('1.0') }
    expect(redact.value(value)).toEqual({
      value: { a: ['x', '[REDACTED email]', 5, true, null], '[REDACTED email]': 1, n: JSON.rawJSON('1.0') },
      findings: { email: 2 },
    })
    expect(value.a[1]).toBe('jane@example.com')
  })

  test('without anything to redact are the same object', () => {
    const value = { a: [{ b: 'c' }] }
    expect(redact.value(value).value).toBe(value)
  })

  test('paths take out whatever is there, in any letter case and at any depth', () => {
    const value = {
      customer: { ssn: 5, SSN: { a: 1 }, name: 'x' },
      items: [{ price: 1 }, { price: [2], name: 'y' }],
      deep: [{ er: { Password: null } }],
      'odd.name': 1,
      ssn: 7,
    }
    expect(redact.value(value).value).toEqual({
      customer: { ssn: '[REDACTED field]', SSN: '[REDACTED field]', name: 'x' },
      items: [{ price: '[REDACTED field]' }, { price: '[REDACTED field]', name: 'y' }],
      deep: [{ er: { Password: '[REDACTED field]' } }],
      'odd.name': '[REDACTED field]',
      ssn: 7,
    })
  })

  test('more names and more places than are remembered are redacted like the first', () => {
    const long = 'n'.repeat(100)
    const paths = Array.from({ length: 12 }, (_, index) => `**.p${index}.**.q${index}`)
    const deep = redactor({ fields: ['**.password', ...paths], detectors: [] })
    for (let round = 0; round < 2000; round++) {
      const given = { [`m${round}`]: { [`p${round % 12}`]: { [long]: { [`Q${round % 12}`]: 1, q: 2, password: 3 } } } }
      expect(deep.value(given).value).toEqual({
        [`m${round}`]: {
          [`p${round % 12}`]: {
            [long]: { [`Q${round % 12}`]: '[REDACTED field]', q: 2, password: '[REDACTED field]' },
          },
        },
      })
    }
    const all = Object.fromEntries(paths.map((_, index) => [`p${index}`, 1]))
    const nested = Array.from({ length: 12 }).reduce<object>((inner, _, index) => ({ ...all, [`p${index}`]: inner }), {
      q3: 1,
    })
    expect(JSON.stringify(deep.value(nested).value)).toContain('"q3":"[REDACTED field]"')
  })

  test('JSON inside a text, as tools return it, is redacted by the same paths', () => {
    const inner = '{"customer":{"ssn":"x","n":12345678901234567890},"items":[]}'
    expect(redact.value({ content: [{ type: 'text', text: inner }] }).value).toEqual({
      content: [{ type: 'text', text: '{"customer":{"ssn":"[REDACTED field]","n":12345678901234567890},"items":[]}' }],
    })
    expect(redact.value('{"\\u0070assword":"x"}').value).toBe('{"password":"[REDACTED field]"}')
    expect(redact.value('{"password":"x","password":"y"}').value).toBe('{"password":"[REDACTED field]"}')
    expect(redact.value('{"a": [{"password":').value).toBe('{"a": [{"password":')
    expect(redact.value('{ "spaces" : "stay" }').value).toBe('{ "spaces" : "stay" }')
  })

  test('two names that become one stay two members, and __proto__ stays a member', () => {
    const { value } = redact.value(JSON.parse('{"a@b.io":1,"c@d.io":2,"__proto__":"a@b.io"}'))
    expect(Object.entries(value as object)).toEqual([
      ['[REDACTED email]', 1],
      ['[REDACTED email]~2', 2],
      ['__proto__', '[REDACTED email]'],
    ])
  })

  test('that are nested without end are refused', () => {
    let value: unknown = 'x'
    for (let depth = 0; depth < 300; depth++) value = [value]
    expect(() => redact.value(value)).toThrow(PolicyError)
  })

  test('no text of a value survives that a detector finds in it alone', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const { value: redacted } = all.value({ value, planted: 'ssn 536-22-1234' })
        expect(JSON.stringify(redacted)).not.toContain('536-22-1234')
      }),
    )
  })
})

describe('rules', () => {
  const file = parsePolicyFile(`
redaction:
  - { id: mail, server: crm, tool: 'get_*', on: [results], detectors: [email] }
  - { id: staff, on: [arguments, logs], patterns: [{ name: staff, pattern: 'EMP-\\d+' }] }
  - { id: all, detectors: all, applies: named }
`)
  const rules = createRedactor(file.redaction)
  const text = 'a@b.io EMP-5 203.0.113.9'

  test('hold for their server, tool and passage, and together', () => {
    expect(rules.forCall('crm', 'get_x').results.text(text).value).toBe('[REDACTED email] EMP-5 203.0.113.9')
    expect(rules.forCall('crm', 'set_x').results).toMatchObject({ isActive: false })
    expect(rules.forCall('crm', 'set_x').logs.text(text).value).toBe('a@b.io [REDACTED staff] 203.0.113.9')
    expect(rules.forCall('x', 'y', ['all']).arguments.text(text).value).toBe(
      '[REDACTED email] [REDACTED staff] [REDACTED ip]',
    )
  })

  test('without configuration nobody and no secret is in a log', () => {
    const logs = createRedactor().forCall('s', 't').logs
    expect(logs.value({ args: { password: 'x', q: 'jane@example.com' } }).value).toEqual({
      args: { password: '[REDACTED field]', q: '[REDACTED email]' },
    })
    expect(createRedactor().forCall('s', 't').results.isActive).toBe(false)
  })

  test('a pattern of the operator’s own takes linear time', () => {
    const own = redactor({ detectors: [], patterns: [{ name: 'x', pattern: '(a+)+$' }] })
    expect(own.text(`${'a'.repeat(20_000)}!`).value).toHaveLength(20_001)
  })
})
