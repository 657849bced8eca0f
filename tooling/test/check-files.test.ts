import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { checkFiles } from '../check-files.ts'

it('refuses a file of more than 300 lines that gives no reason in its header', () => {
  const root = mkdtempSync(join(tmpdir(), 'check-files-'))
  const src = join(root, 'packages/wire/src')
  mkdirSync(src, { recursive: true })
  const body = 'export {}\n'
  writeFileSync(join(src, 'fits.ts'), body.repeat(300))
  writeFileSync(join(src, 'long.ts'), body.repeat(301))
  writeFileSync(
    join(src, 'reason.ts'),
    `// A table.\n// Reason: one row per code, and no row alone.\n${body.repeat(400)}`,
  )
  writeFileSync(join(src, 'reason-too-late.ts'), `${body.repeat(400)}// Reason: none\n`)
  const problems = checkFiles(root).map((problem) => problem.split(';')[0])
  rmSync(root, { recursive: true })
  expect(problems).toEqual([
    'packages/wire/src/long.ts:1: 301 lines',
    'packages/wire/src/reason-too-late.ts:1: 401 lines',
  ])
})
