import { compileGlob, compileGlobs } from '@mcp-gateway/policy'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

describe('globs', () => {
  test.each([
    ['*', ['', 'x', 'a\nb'], []],
    ['get_*', ['get_', 'get_x'], ['Get_x', 'xget_x', 'get']],
    ['*_admin', ['_admin', 'x_admin'], ['x_admin2']],
    ['a*b*c', ['abc', 'aXbXc', 'abbc'], ['ab', 'acb']],
    ['get_?', ['get_x', 'get_é', 'get_😀'], ['get_', 'get_xy']],
    ['[a-c]x', ['ax', 'cx'], ['dx', 'x']],
    ['[!a-c]x', ['dx'], ['ax', 'x']],
    ['[]x]', [']', 'x'], ['[']],
    ['[a-]', ['a', '-'], ['b']],
    ['{get,list}_*', ['get_a', 'list_a'], ['set_a', 'get', '{get,list}_a']],
    ['{a,b{c,d}}', ['a', 'bc', 'bd'], ['b', 'c']],
    ['billing{,-eu}', ['billing', 'billing-eu'], ['billing-']],
    ['a\\*b', ['a*b'], ['axb']],
    ['a\\{b', ['a{b'], ['ab']],
    ['.+$', ['.+$'], ['x']],
    ['', [], ['x']],
  ])('%j', (pattern, matching, others) => {
    const glob = compileGlob(pattern)
    for (const name of matching) expect([name, glob(name)]).toEqual([name, true])
    for (const name of others) expect([name, glob(name)]).toEqual([name, false])
  })

  test.each(['[', '[]', '[z-a]', '{', '}', '{a', 'a}', 'a\\', '{a,b}'.repeat(9), 'x'.repeat(257)])(
    '%j is refused',
    (pattern) => {
      expect(() => compileGlob(pattern)).toThrow(SyntaxError)
    },
  )

  test('no globs match nothing', () => expect(compileGlobs([])('x')).toBe(false))

  test('a pattern made to take long takes steps, not powers of them', () => {
    const glob = compileGlob(`${'*a'.repeat(60)}*b`)
    expect(glob('a'.repeat(20_000))).toBe(false)
  })

  test('glob(name) ≡ the regular expression that says the same', () => {
    const part = fc.constantFrom('*', '?', 'a', 'b', '[ab]', '[!a]', '{a,bb}', '{,b}')
    const expression = (pattern: string): RegExp =>
      new RegExp(
        `^${pattern
          .replace(/\{([^}]*)\}/g, (_, alternatives: string) => `(?:${alternatives.replaceAll(',', '|')})`)
          .replace(/\[!/g, '[^')
          .replace(/\?(?!:)/g, '[^]')
          .replaceAll('*', '[^]*')}$`,
      )
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 6 }),
        fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 }),
        (parts, name) => {
          const pattern = parts.join('')
          return pattern === '' || compileGlob(pattern)(name) === expression(pattern).test(name)
        },
      ),
      { numRuns: 5000 },
    )
  })
})
