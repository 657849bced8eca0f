import { AuthError, readCredentials, type RequestHeaders } from '@mcp-gateway/auth'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const codeOf = (headers: RequestHeaders): unknown => {
  try {
    return readCredentials(headers)
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    return error.code
  }
}

const apiKey = (key: string): unknown => ({ scheme: 'api-key', key })
const jwt = (length: number): string => `a.b.${'c'.repeat(length - 4)}`
const token = fc.stringMatching(/^[A-Za-z0-9._~+/-]{1,60}$/)

describe('readCredentials', () => {
  test.each<[string, RequestHeaders, unknown]>([
    ['nothing', {}, { scheme: 'none' }],
    ['a bearer', { authorization: 'Bearer gw_a' }, apiKey('gw_a')],
    ['a bearer in lower case', { authorization: 'bearer gw_a' }, apiKey('gw_a')],
    ['a bearer after two spaces', { authorization: 'BEARER  gw_a' }, apiKey('gw_a')],
    ['an X-API-Key', { 'x-api-key': 'gw_a' }, apiKey('gw_a')],
    ['both, the same', { authorization: 'Bearer gw_a', 'x-api-key': 'gw_a' }, apiKey('gw_a')],
    ['both, different', { authorization: 'Bearer gw_a', 'x-api-key': 'gw_b' }, 'AUTH_AMBIGUOUS_CREDENTIALS'],
    ['Basic', { authorization: 'Basic Z3c6YQ==' }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['Basic beside a key', { authorization: 'Basic Z3c=', 'x-api-key': 'gw_a' }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['a bearer without a key', { authorization: 'Bearer ' }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['only the word', { authorization: 'Bearer' }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['a key glued to the word', { authorization: 'Bearergw_a' }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['an empty X-API-Key', { 'x-api-key': '' }, 'AUTH_CREDENTIALS_MALFORMED'],
    [
      'an empty X-API-Key beside a bearer',
      { authorization: 'Bearer a', 'x-api-key': '' },
      'AUTH_CREDENTIALS_MALFORMED',
    ],
    ['two X-API-Keys as node joins them', { 'x-api-key': 'gw_a, gw_a' }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['two X-API-Keys as a list', { 'x-api-key': ['gw_a', 'gw_a'] }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['two bearers as a list', { authorization: ['Bearer a', 'Bearer a'] }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['a line break', { 'x-api-key': 'gw_a\n' }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['512 characters', { 'x-api-key': 'a'.repeat(512) }, apiKey('a'.repeat(512))],
    ['513 characters', { 'x-api-key': 'a'.repeat(513) }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['a JWT of 16384 characters', { authorization: `Bearer ${jwt(16_384)}` }, apiKey(jwt(16_384))],
    ['a JWT of 16385 characters', { authorization: `Bearer ${jwt(16_385)}` }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['four long parts', { authorization: `Bearer ${jwt(600)}.a` }, 'AUTH_CREDENTIALS_MALFORMED'],
    ['513 bearer characters', { authorization: `Bearer ${'a'.repeat(513)}` }, 'AUTH_CREDENTIALS_MALFORMED'],
  ])('%s', (_, headers, expected) => {
    expect(codeOf(headers)).toEqual(expected)
  })

  test('X-API-Key: k ≡ Authorization: Bearer k', () => {
    fc.assert(
      fc.property(token, (key) => {
        expect(readCredentials({ 'x-api-key': key })).toEqual(readCredentials({ authorization: `Bearer ${key}` }))
      }),
    )
  })

  test('two different keys are never answered with one of them', () => {
    fc.assert(
      fc.property(token, token, (a, b) => {
        fc.pre(a !== b)
        expect(codeOf({ authorization: `Bearer ${a}`, 'x-api-key': b })).toBe('AUTH_AMBIGUOUS_CREDENTIALS')
      }),
    )
  })

  test('any header text ≡ a well-formed key or AuthError, never another exception', () => {
    const value = fc.option(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.array(fc.string())), {
      nil: undefined,
    })
    fc.assert(
      fc.property(value, value, (authorization, header) => {
        const result = codeOf({ authorization, 'x-api-key': header })
        if (typeof result === 'string') expect(result).toMatch(/^AUTH_(CREDENTIALS_MALFORMED|AMBIGUOUS_CREDENTIALS)$/)
        else expect(result).toHaveProperty('scheme')
      }),
    )
  })

  test('an endless header costs no more than its length', () => {
    const spaces = ' '.repeat(1_000_000)
    const started = performance.now()
    expect(codeOf({ authorization: `Bearer${spaces}` })).toBe('AUTH_CREDENTIALS_MALFORMED')
    expect(codeOf({ 'x-api-key': `${spaces}=` })).toBe('AUTH_CREDENTIALS_MALFORMED')
    expect(performance.now() - started).toBeLessThan(500)
  })
})
