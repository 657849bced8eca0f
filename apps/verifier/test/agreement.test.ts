/** Three programs, one opinion: the sources, the one file without dependencies, and the shell script. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { afterAll, describe, expect, test } from 'vitest'
import config from '../rolldown.config.ts'
import {
  check,
  exportOf,
  folder,
  head,
  KEY,
  makeLog,
  makeMeta,
  metaLine,
  proofOf,
  STRANGER,
  textOf,
  verifyWith,
} from './fixture.ts'
import { opensslMissing } from './support.ts'

const home = folder()
afterAll(() => home[Symbol.dispose]())
const root = join(import.meta.dirname, '..')
const verifyMjs = join(home.path, 'verify.mjs')
const build = await rolldown(config)
await build.write({ file: verifyMjs, format: 'esm', codeSplitting: false })
await build.close()

const log = await makeLog(37)
const proof = await proofOf(log, 7, 37)
const last = await proofOf(log, 36, 37)
const single = await proofOf(log, 0, 1)
const changed = (from: string | RegExp, to: string): string =>
  textOf(proof.map((line, i) => (i === 1 ? line.replace(from, to) : line)))

const bundles: [string, string, number][] = [
  ['a good one', textOf(proof), 0],
  ['the last entry', textOf(last), 0],
  ['a tree of one entry', textOf(single), 0],
  ['one with a meta-log', textOf([...proof, await metaLine(await makeMeta(log, [37]), 37)]), 0],
  ['two entries', textOf([...proof, ...last.slice(1)]), 0],
  ['a changed entry', changed('"tool":"search"', '"tool":"sxarch"'), 10],
  ['another position', changed('index 7', 'index 9'), 10],
  ['another size', changed('8f3c\\n37', '8f3c\\n38'), 10],
  ['a changed signature', changed(/(.{10})(.)(.{3}\\n"\}$)/, 'AAAAAAAAAA$2$3'), 10],
  ['a missing hash', changed(/index 7\\n[^\\]+/, 'index 7'), 10],
  ['another log', textOf([head('elsewhere'), proof[1] ?? '']), 10],
  ['another kind of proof', changed('tlog-proof@v1', 'tlog-proof@v9'), 30],
  ['a short hash', changed(/index 7\\n..../, 'index 7\\n'), 30],
  ['half a file', textOf(proof).slice(0, 900), 30],
  ['an empty file', '', 30],
  ['garbage', 'garbage\n', 30],
  ['another version', '{"log":"gw.example.com/audit/eu/8f3c","v":2}\n', 20],
]

const write = (text: string): string => {
  const file = join(home.path, 'bundle.jsonl')
  writeFileSync(file, text)
  return file
}
const runMjs = (...args: string[]) =>
  spawnSync(process.execPath, [verifyMjs, '--no-state', '--json', ...args], { encoding: 'utf8', cwd: home.path })
const runShell = (...args: string[]) => spawnSync('bash', [join(root, 'verify.sh'), ...args], { encoding: 'utf8' })

describe('verify.mjs', () => {
  test('imports nothing but what Node has, and only names that Node 18 has', () => {
    const imports = [...readFileSync(verifyMjs, 'utf8').matchAll(/^import .*?from ["']([^"']+)["']/gm)]
    expect(imports.length).toBeGreaterThan(0)
    expect(imports.map(([, name = '']) => name).filter((name) => !isBuiltin(name))).toEqual([])
    expect(imports.map(([line]) => line).join('\n')).not.toMatch(/\{[^}]*\bhash\b/)
  })

  test.each(bundles)('agrees about %s', async (_, text, code) => {
    const file = write(text)
    const own = await check(text)
    const { status, stdout } = runMjs('--key', KEY, file)
    expect({ own: own.code, mjs: status }).toEqual({ own: code, mjs: code })
    expect((JSON.parse(stdout) as typeof own).findings).toEqual(own.findings)
  })

  test('agrees about exports', async () => {
    const whole = await exportOf(log, 37)
    const meta = await metaLine(await makeMeta(log, [36, 37]), 37)
    expect(runMjs('--key', KEY, '--no-state', write(textOf([...whole, meta]))).status).toBe(0)
    expect(
      runMjs('--key', KEY, '--no-state', write(textOf([...whole, meta.replace('index 6', 'index 5')]))).status,
    ).toBe(10)
    expect(runMjs('--key', KEY, write(textOf(whole))).status).toBe(0)
    expect(runMjs('--key', KEY, write(textOf(whole.toSpliced(9, 1)))).status).toBe(10)
    expect(runMjs(write(textOf(whole))).status).toBe(20)
  })
})

describe.skipIf(opensslMissing !== undefined)(`verify.sh${opensslMissing ? `: ${opensslMissing}` : ''}`, () => {
  test.each(bundles)('agrees about %s', (_, text, code) => {
    const { status, stderr } = runShell(write(text), KEY)
    expect({ status, stderr }).toMatchObject({ status: code })
  })

  test('agrees about a wrong key and about no key', async () => {
    const file = write(textOf(proof))
    expect(runShell(file, STRANGER).status).toBe(10)
    expect((await verifyWith(textOf(proof), '--key', STRANGER, '--no-state', '-')).code).toBe(10)
    expect(runShell(file, 'x').status).toBe(20)
    expect(runShell(file).status).toBe(20)
  })
})
