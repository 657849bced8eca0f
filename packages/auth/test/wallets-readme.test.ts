import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { authStatuses } from '@mcp-gateway/auth'
import { describe, expect, test } from 'vitest'

const home = join(import.meta.dirname, '..')
const readme = readFileSync(join(home, 'README.md'), 'utf8')
const section = readme.slice(readme.indexOf('## Wallets and signed requests'), readme.indexOf('## Not its job'))
const examples = [...section.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)

describe('the README, on wallets and certificates', () => {
  test('has examples', () => expect(examples).toHaveLength(4))

  test.each(examples.map((code, index) => [index + 1, code] as const))('example %i runs', (_, input) => {
    const args = ['--conditions=@mcp-gateway/source', '--input-type=module-typescript', '-']
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: home, input, encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, expect.not.stringContaining('Error')])
  })

  test('names every code of its own, with its status', () => {
    const codes = Object.entries(authStatuses).filter(([code]) =>
      /^AUTH_(SIGNATURE|REPLAY|WALLET|CERTIFICATE)_/.test(code),
    )
    expect(codes.length).toBeGreaterThan(15)
    for (const [code, status] of codes) {
      const rows = section.split('\n').filter((line) => line.startsWith('|') && line.includes(`| ${status} `))
      const names = rows.flatMap((row) => {
        const [first = '', ...others] = [...row.matchAll(/`([A-Z_]+)`/g)].map(([, name = '']) => name)
        const stem = first.slice(0, first.lastIndexOf('_'))
        return [first, ...others.map((name) => (name.startsWith('_') ? stem + name : name))]
      })
      expect(names).toContain(code)
    }
  })
})
