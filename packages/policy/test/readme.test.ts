import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const home = join(import.meta.dirname, '..')
const readme = readFileSync(join(home, 'README.md'), 'utf8')
const examples = [...readme.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)

describe('the README', () => {
  test('has examples', () => expect(examples.length).toBeGreaterThan(4))

  test.each(examples.map((code, index) => [index + 1, code] as const))('example %i runs', (_, code) => {
    const args = ['--conditions=@mcp-gateway/source', '--input-type=module-typescript', '-']
    // `require` in an example is relative to what it is in, and from a pipe that is nowhere.
    const input = code.replaceAll('import.meta.url', JSON.stringify(`file://${home}/README.md`))
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: home, input, encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, expect.not.stringContaining('Error')])
  })
})
