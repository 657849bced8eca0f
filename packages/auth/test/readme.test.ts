import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuthError, statusOf, type AuthErrorCode } from '@mcp-gateway/auth'
import { describe, expect, test } from 'vitest'

const home = join(import.meta.dirname, '..')
const readme = readFileSync(join(home, 'README.md'), 'utf8')
const examples = [...readme.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)

describe('the README', () => {
  test('has examples', () => expect(examples.length).toBeGreaterThan(3))

  test.each(examples.map((code, index) => [index + 1, code] as const))('example %i runs', (_, code) => {
    const args = ['--conditions=@mcp-gateway/source', '--input-type=module-typescript', '-']
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: home, input: code, encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
  })

  test('says of every code which status it has', () => {
    const rows = [...readme.matchAll(/^\| `(AUTH_\w+)`\s+\| (\d+) /gm)]
    expect(rows.length).toBeGreaterThan(15)
    for (const [, code = '', status] of rows) {
      expect(statusOf(new AuthError(code as AuthErrorCode, '').code), code).toBe(Number(status))
    }
  })
})
