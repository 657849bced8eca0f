import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  consistencyLine,
  exportOf,
  folder,
  KEY,
  makeLog,
  makeMeta,
  META_KEY,
  metaLine,
  proofOf,
  signed,
  textOf,
} from './fixture.ts'

const root = join(import.meta.dirname, '..')

test('the commands of the README end as it says', async () => {
  using home = folder()
  const log = await makeLog(12)
  const whole = textOf(await exportOf(log, 12))
  const files = {
    'export.jsonl': whole,
    'tampered.jsonl': whole.replace('search', 'delete'),
    'proof.jsonl': textOf(await proofOf(log, 7, 12)),
    'meta.jsonl': textOf([...(await proofOf(log, 7, 12)), await metaLine(await makeMeta(log, [12]), 12)]),
    'old.note': await signed(log, 12),
    'new.note': await signed(log, 12),
    'consistency.json': `${await consistencyLine(log, 5, 12)}\n`,
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home.path, name), text)
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const commands = [...readme.matchAll(/^mcp-gateway-verify (.*?) +# (\d+)/gm)]
  expect(commands.length).toBe(6)
  for (const [, words = '', code] of commands) {
    const command = `"$NODE" --conditions=@mcp-gateway/source "$MAIN" ${words}`
    const env = { NODE: process.execPath, MAIN: join(root, 'src/main.ts'), KEY, META_KEY, HOME: home.path }
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: home.path, env, encoding: 'utf8' })
    expect({ words, status, stderr }).toEqual({ words, status: Number(code), stderr: '' })
    if (words.includes('--json')) expect(stdout).toContain('"seq": 0')
  }
  const help = spawnSync(process.execPath, ['--conditions=@mcp-gateway/source', join(root, 'src/main.ts'), '--help'])
  expect(help.status).toBe(0)
})
