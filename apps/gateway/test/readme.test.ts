// The configurations in the README are configurations.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseConfig } from '@mcp-gateway/gateway'
import { expect, it } from 'vitest'

const readme = readFileSync(join(import.meta.dirname, '..', '..', '..', 'README.md'), 'utf8')
const blocks = Array.from(readme.matchAll(/```yaml\n([^]*?)```/g), ([, text = '']) => text)
const env = {
  GITHUB_TOKEN: 'x',
  SEARCH_TOKEN: 'x',
  WIKI_CLIENT_SECRET: 'x',
  CRM_CLIENT_SECRET: 'x',
  AUDIT_DSN: 'postgres://u:p@h/d',
  HOOK_SECRET: 'a secret of at least 32 characters',
}

it('has some', () => expect(blocks.length).toBeGreaterThanOrEqual(4))

it.for(blocks)('%#', (text) => {
  const whole = text
    .replaceAll("'sha256:…'", `'sha256:${'0'.repeat(64)}'`)
    .replaceAll("'0x…'", `'0x${'1'.repeat(40)}'`)
    .replaceAll("'https://…'", "'https://rpc.example.com'")
  expect(() => parseConfig(whole, { env })).not.toThrow()
})
