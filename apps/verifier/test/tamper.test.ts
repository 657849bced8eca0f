import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCosigner } from '@mcp-gateway/audit-chain'
import { expect, test } from 'vitest'
import * as fixture from './fixture.ts'

const { check, textOf, exportOf, proofOf, makeLog, checkpointLine, signed, KEY, STRANGER } = fixture
const log = await makeLog(40)
const other = await makeLog(40, 'forged')
const whole = await exportOf(log, 40)
const proof = await proofOf(log, 7, 40)
const SEVEN = 8 // its line in the export

const edit = (lines: readonly string[], index: number, change: (line: string) => string): string =>
  textOf(lines.map((line, i) => (i === index ? change(line) : line)))

test('a whole log and a proof are verified, and it is told what was pinned and what was not', async () => {
  expect(await check(textOf(whole))).toMatchObject({ code: 0, findings: [], pinned: [`key of the log ${KEY}`] })
  expect(JSON.parse((await check(textOf(whole))).text)).toMatchObject({ entries: 40, fields: 80, verdict: 'verified' })
  const { code, taken } = await check(textOf(proof))
  expect(code).toBe(0)
  expect(taken.join()).toContain('nothing was remembered')
})

const swapped = whole.map((line, i) => whole[i === 5 ? 6 : i === 6 ? 5 : i] ?? line)
const forged = async (): Promise<string> => textOf([...(await exportOf(other, 40)).slice(0, -1), whole.at(-1) ?? ''])

const exportsTable: [string, () => string | Promise<string>, number, string, number?][] = [
  ['a changed fact', () => edit(whole, SEVEN, (line) => line.replace('search', 'delete')), 10, 'ENTRY_CHANGED', 7],
  [
    'a changed time',
    () => edit(whole, SEVEN, (line) => line.replace('"ts":"2026', '"ts":"2025')),
    10,
    'CLOCK_VIOLATED',
    7,
  ],
  ['a changed id', () => edit(whole, SEVEN, (line) => line.replace('call-7', 'call-8')), 10, 'ENTRY_CHANGED', 7],
  [
    'a changed type',
    () => edit(whole, SEVEN, (line) => line.replace('tool.call', 'tool.cell')),
    10,
    'ENTRY_CHANGED',
    7,
  ],
  ['a changed log', () => edit(whole, SEVEN, (line) => line.replace('8f3c', '8f3d')), 10, 'ENTRY_MISPLACED', 7],
  [
    'a changed clock',
    () => edit(whole, SEVEN, (line) => line.replace('"clk":"ok"', '"clk":"held"')),
    10,
    'CLOCK_VIOLATED',
    7,
  ],
  [
    'a changed commitment',
    () => edit(whole, SEVEN, (line) => line.replace(/"args":"../, '"args":"zz')),
    10,
    'DISCLOSURE_UNPROVEN',
    7,
  ],
  [
    'a changed field',
    () => edit(whole, SEVEN, (line) => line.replace('"text":"ada"', '"text":"bob"')),
    10,
    'DISCLOSURE_UNPROVEN',
    7,
  ],
  ['a dropped entry', () => textOf(whole.toSpliced(SEVEN, 1)), 10, 'ENTRY_MISPLACED', 7],
  ['an inserted entry', () => textOf(whole.toSpliced(SEVEN, 0, whole[SEVEN] ?? '')), 10, 'ENTRY_MISPLACED', 8],
  ['swapped entries', () => textOf(swapped), 10, 'ENTRY_MISPLACED', 4],
  ['a dropped tail', () => textOf([...whole.slice(0, 30), whole.at(-1) ?? '']), 10, 'ROLLED_BACK', 29],
  ['a re-hashed chain', forged, 10, 'HISTORY_REWRITTEN', 0],
  ['no checkpoint', () => textOf(whole.slice(0, -1)), 10, 'CHECKPOINT_MISSING'],
  [
    'entries behind the checkpoint',
    async () => textOf([...whole.slice(0, 31), checkpointLine(await signed(log, 30)), ...whole.slice(31, -1)]),
    10,
    'ENTRY_UNSIGNED',
    30,
  ],
  ['another log', async () => textOf([fixture.head('elsewhere'), ...whole.slice(1)]), 10, 'ORIGIN_UNEXPECTED'],
  ['a file that was cut', () => textOf(whole).slice(0, 5000), 30, 'FILE_TRUNCATED'],
  ['an empty file', () => '', 30, 'FILE_EMPTY'],
  ['garbage', () => '\u0000\u0001garbage\n', 30, 'LINE_MALFORMED'],
  ['no head', () => textOf(whole.slice(1)), 30, 'LINE_MALFORMED'],
  [
    'another spelling',
    () => edit(whole, SEVEN, (line) => line.replace('"fields":{"args"', '"fields": {"args"')),
    30,
    'LINE_MALFORMED',
  ],
  ['a checkpoint that is no note', () => textOf([...whole.slice(0, -1), checkpointLine('x')]), 30, 'NOTE_MALFORMED'],
  ['a huge line', () => textOf([fixture.head(), 'x'.repeat(9 * 1024 * 1024)]), 30, 'LINE_TOO_LONG'],
  ['deep nesting', () => textOf([fixture.head(), '['.repeat(200_000)]), 30, 'LINE_MALFORMED'],
  [
    'deep nesting in an entry',
    () => textOf([fixture.head(), `{"entry":{"a":${'['.repeat(30_000)}${']'.repeat(30_000)},"v":1}}`]),
    10,
    'ENTRY_MALFORMED',
    0,
  ],
  ['another version', () => textOf(['{"log":"x","v":2}']), 20, 'VERSION_UNSUPPORTED'],
]

test.each(exportsTable)('an export with %s', async (_, bundle, code, finding, seq) => {
  const result = await check(await bundle())
  expect(result.findings).toContainEqual(expect.objectContaining({ code: finding, ...(seq !== undefined && { seq }) }))
  expect(result.code).toBe(code)
})

test.each([
  ['a changed fact', edit(proof, 1, (line) => line.replace('search', 'delete')), 10, 'INCLUSION_UNPROVEN'],
  ['a changed position', edit(proof, 1, (line) => line.replace('index 7', 'index 6')), 10, 'INCLUSION_UNPROVEN'],
  ['a changed size', edit(proof, 1, (line) => line.replace('8f3c\\n40', '8f3c\\n41')), 10, 'SIGNATURE_INVALID'],
  [
    'a changed field',
    edit(proof, 1, (line) => line.replace('"text":"ada"', '"text":"bob"')),
    10,
    'DISCLOSURE_UNPROVEN',
  ],
  ['no tlog-proof', edit(proof, 1, (line) => line.replace('tlog-proof@v1', 'tlog-proof@v2')), 30, 'PROOF_MALFORMED'],
  ['half of it', textOf(proof).slice(0, 700), 30, 'FILE_TRUNCATED'],
])('a proof with %s', async (_, bundle, code, finding) => {
  const result = await check(bundle)
  expect(result.findings).toContainEqual(expect.objectContaining({ code: finding }))
  expect(result.code).toBe(code)
})

test('without a key, with a wrong one or for another origin nothing is verified', async () => {
  const verify = (...args: string[]) => fixture.verifyWith(textOf(whole), '--no-state', ...args, '-')
  expect(await verify()).toMatchObject({ code: 20, findings: [{ code: 'KEY_MISSING' }] })
  expect(await verify('--key', 'x')).toMatchObject({ code: 20, findings: [{ code: 'KEY_MALFORMED' }] })
  const strange = await verify('--key', STRANGER)
  expect(strange.code).toBe(10)
  expect(strange.findings.map(({ code }) => code)).toEqual(['SIGNATURE_MISSING', 'CHECKPOINT_MISSING'])
  expect(await verify('--key', KEY, '--origin', 'x')).toMatchObject({
    code: 10,
    findings: [{ code: 'ORIGIN_UNEXPECTED' }],
  })
  expect(await verify('--nonsense')).toMatchObject({ code: 20, findings: [{ code: 'USAGE' }] })
})

test('a policy asks for its witnesses, and the report has their time', async () => {
  using home = fixture.folder()
  const file = join(home.path, 'policy')
  const verify = async (bundle: readonly string[]) =>
    await fixture.verifyWith(textOf(bundle), '--policy', file, '--no-state', '-')
  writeFileSync(file, `log ${KEY}\nquorum none\n`)
  expect((await verify(whole)).code).toBe(0)
  const { privateKey } = generateKeyPairSync('ed25519')
  const witness = createCosigner({ name: 'witness.example', privateKey, clock: () => 1_800_000_000_000 })
  writeFileSync(file, `log ${KEY}\nwitness w ${witness.verifierKey.text}\nquorum w\n`)
  expect((await verify(whole)).findings).toContainEqual(expect.objectContaining({ code: 'QUORUM_MISSING' }))
  const note = await signed(log, 40)
  const cosigned = `${note}${await witness.sign(note.slice(0, note.indexOf('\n\n') + 1))}`
  const report = await verify([...whole.slice(0, -1), checkpointLine(cosigned)])
  expect(report.code).toBe(0)
  expect(report.text).toContain('"witnessedAt": 1800000000000')
})

test('an older copy is found against the remembered checkpoint, and another history too', async () => {
  using home = fixture.folder()
  const state = ['--state', home.path]
  expect((await check(textOf(await exportOf(log, 30)), ...state)).code).toBe(0)
  expect((await check(textOf(whole), ...state)).code).toBe(0)
  const older = await check(textOf(await exportOf(log, 30)), ...state)
  expect(older).toMatchObject({ code: 10, findings: [{ code: 'ROLLED_BACK', seq: 30 }] })
  expect(older.pinned).toContain('remembered checkpoint of size 40')
  const longer = await makeLog(50, 'forged')
  const rewritten = await check(textOf(await exportOf(longer, 50)), ...state)
  expect(rewritten.findings).toContainEqual(expect.objectContaining({ code: 'HISTORY_REWRITTEN' }))
  const otherProof = await check(textOf(await proofOf(other, 7, 40)), ...state)
  expect(otherProof).toMatchObject({ code: 10, findings: [{ code: 'SPLIT_VIEW' }] })
  for (const file of readdirSync(home.path)) writeFileSync(join(home.path, file), 'x')
  expect(await check(textOf(whole), ...state)).toMatchObject({ code: 20, findings: [{ code: 'STATE_UNUSABLE' }] })
})

test('a proof under a newer checkpoint needs a consistency proof before it moves on', async () => {
  using home = fixture.folder()
  const state = ['--state', home.path]
  expect((await check(textOf(await proofOf(log, 7, 30)), ...state)).code).toBe(0)
  expect(await check(textOf(proof), ...state)).toMatchObject({ code: 10, findings: [{ code: 'CONSISTENCY_UNPROVEN' }] })
  const [first = '', second = ''] = proof
  const wrong = await fixture.consistencyLine(other, 30, 40)
  expect((await check(textOf([first, wrong, second]), ...state)).code).toBe(10)
  const led = await check(textOf([first, await fixture.consistencyLine(log, 30, 40), second]), ...state)
  expect(led).toMatchObject({ code: 0, findings: [] })
  expect((await check(textOf(proof), ...state)).pinned).toContain('remembered checkpoint of size 40')
})

test('two checkpoints are compared, with the consistency proof that leads from one to the other', async () => {
  using home = fixture.folder()
  const write = (name: string, text: string): string => {
    writeFileSync(join(home.path, name), text)
    return join(home.path, name)
  }
  const [a, b, forgedNote] = [await signed(log, 30), await signed(log, 40), await signed(other, 40)]
  const files = [write('a', a), write('b', b), write('forged', forgedNote)] as const
  const compare = (...args: string[]) => fixture.verifyWith('', '--key', KEY, '--no-state', ...args)
  expect(await compare('checkpoints', files[1], files[2])).toMatchObject({ code: 10 })
  expect((await compare('checkpoints', files[1], files[2])).findings[0]).toMatchObject({ code: 'SPLIT_VIEW' })
  expect((await compare('checkpoints', files[0], files[1])).code).toBe(10)
  const led = write('proof', `${await fixture.consistencyLine(log, 30, 40)}\n`)
  expect(await compare('--consistency', led, 'checkpoints', files[0], files[1])).toMatchObject({ code: 0 })
  expect((await compare('--consistency', led, 'checkpoints', files[0], files[2])).code).toBe(10)
  expect((await compare('checkpoints', files[0])).code).toBe(0)
  expect((await compare('checkpoints', write('x', 'x'))).code).toBe(30)
  expect((await compare('checkpoints', join(home.path, 'none'))).code).toBe(20)
})
