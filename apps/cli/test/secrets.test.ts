// Pure rules, tested where they are: as a process each of these lines would cost a third of a second.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { parseConfig } from '@mcp-gateway/gateway'
import { describe, expect, test } from 'vitest'
import { escapeDollars, translateReferences, variableName } from '../src/references.ts'
import { looksSecret } from '../src/secrets.ts'

const places = { cwd: '/work/$$dir', home: '/home/me' }

const expand = (text: string, env: Record<string, string> = {}): string =>
  parseConfig(JSON.stringify({ servers: [{ id: 'a', command: 'x', args: [text] }] }), { env })
    .servers.flatMap((server) => (server.transport === 'stdio' ? server.args : []))
    .join()

describe('looksSecret', () => {
  test.each<[string, string]>([
    ['GITHUB_TOKEN', 'x'],
    ['OPENAI_API_KEY', 'sk-proj-abc'],
    ['ANYTHING', 'ghp_abcdefghijklmnopqrstuvwxyz0123456789'],
    ['ANYTHING', 'AKIAIOSFODNN7EXAMPLE'],
    ['ANYTHING', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
    ['ANYTHING', '/9j4AAQSkZJRgABAQEASABIAAD2wBDAAMCAg'],
    ['ANYTHING', 'eyJhbGciOiJIUzI1NiJ9.e30.x'],
    ['ANYTHING', '3f2504e0-4f89-11d3-9a0c-0305e82c3301'],
    ['DATABASE_URL', 'postgres://user:secret@host/db'],
    ['URL', 'https://x.example/sse?api_key=abc'],
    ['URL', 'mongodb+srv://u:p@cluster'],
    ['PASSWORD', 'hunter2'],
    ['SMTP_PASS', 'hunter2'],
    ['Authorization', 'Bearer abc'],
    ['ANYTHING', 'Bearer abc'],
    ['ANYTHING', '${PREFIX}ghp_abcdefghijklmnopqrstuvwxyz0123456789'],
  ])('%s=%s is one', (name, value) => expect(looksSecret(name, value)).toBe(true))

  test.each<[string, string]>([
    ['GITHUB_TOKEN', ''],
    ['GITHUB_TOKEN', '${GITHUB_TOKEN}'],
    ['GITHUB_TOKEN', '${env:GITHUB_TOKEN}'],
    ['Authorization', 'Bearer ${TOKEN}'],
    ['GOOGLE_APPLICATION_CREDENTIALS', '/home/me/key.json'],
    ['USE_AUTH', 'true'],
    ['MAX_TOKENS', '4096'],
    ['LOG_LEVEL', 'debug'],
    ['MODEL', 'claude-sonnet-4-5-20250929'],
    ['PACKAGE', '@modelcontextprotocol/server-everything@2026.8.31'],
    ['URL', 'https://x.example/mcp?team=blue'],
    ['DATABASE_URL', 'postgres://user:${PASSWORD}@host/db'],
    ['DATABASE_URL', 'postgres://localhost/db'],
    ['SENTENCE', 'a sentence of words and 12 numbers'],
  ])('%s=%s is none', (name, value) => expect(looksSecret(name, value)).toBe(false))

  test('32 random bytes, in any common writing, are one', () => {
    // Of a hash, because fast-check's own bytes are mostly small.
    const bytes = fc.integer().map((seed) => createHash('sha256').update(String(seed)).digest())
    fc.assert(
      fc.property(bytes, fc.constantFrom('hex', 'base64', 'base64url'), (value, encoding) => {
        expect(looksSecret('ANYTHING', value.toString(encoding))).toBe(true)
      }),
    )
  })
})

describe('references', () => {
  test('expand(escapeDollars(t)) ≡ t', () => {
    const text = fc
      .array(fc.oneof(fc.constantFrom('$', '{', '}', 'A', ':-', '${', '$$'), fc.string()))
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(text, (value) => {
        expect(expand(escapeDollars(value))).toBe(value)
      }),
    )
  })

  test('expand(translate(t)) ≡ t where t refers to nothing', () => {
    const text = fc.array(fc.constantFrom('$', '{', '${', '$$', ' ', 'A', '-')).map((parts) => parts.join(''))
    fc.assert(
      fc.property(text, (value) => {
        expect(expand(translateReferences(value, places).text)).toBe(value)
      }),
    )
  })

  test.each<[string, string]>([
    ['${A}', 'a'],
    ['${A:-b}', 'a'],
    ['${NOPE:-b}', 'b'],
    ['${env:A}', 'a'],
    ['${input:a-key}', 'k'],
    ['${workspaceFolder}/x', '/work/$$dir/x'],
    ['${userHome}/x', '/home/me/x'],
    ['$${A}', '$a'],
    ['${command:x}', '${command:x}'],
    ['${unclosed', '${unclosed'],
  ])('%s ≡ %s', (value, expected) => {
    expect(expand(translateReferences(value, places).text, { A: 'a', A_KEY: 'k' })).toBe(expected)
  })

  test('variableName(t) is always a name', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(variableName(a, b)).toMatch(/^[A-Z][A-Z0-9_]*$/)
      }),
    )
  })
})
