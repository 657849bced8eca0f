// The meta-log's part of a bundle: verified under a pinned key, told apart from one that came along, and every change found.
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCosigner, createSigner } from '@mcp-gateway/audit-chain'
import { expect, test } from 'vitest'
import * as fixture from './fixture.ts'

const { check, exportOf, KEY, makeLog, makeMeta, META, META_KEY, metaLine, ORIGIN, proofOf, textOf, verifyWith } =
  fixture
const log = await makeLog(40)
const meta = await makeMeta(log, [20, 40])
const line = await metaLine(meta, 40)
const proof = [...(await proofOf(log, 7, 40)), line]
const whole = [...(await exportOf(log, 40)), line]
const pinned = ['--key', META_KEY] as const

test('a proof and a whole log with a meta-log: its key was pinned, or came along', async () => {
  for (const bundle of [proof, whole]) {
    const trusted = await check(textOf(bundle), ...pinned)
    expect(trusted).toMatchObject({ code: 0, findings: [], meta: { origin: META, size: 8 } })
    expect(trusted.pinned).toContain(`key of the log ${META_KEY}`)
    expect(trusted.taken.join()).not.toContain('meta-log')
    const taken = await check(textOf(bundle))
    expect(taken).toMatchObject({ code: 0, findings: [], meta: { origin: META, size: 8 } })
    expect(taken.taken.join()).toContain(`key of the meta-log ${META_KEY}: not pinned`)
  }
  // Without one nothing is said of it.
  expect((await check(textOf(proof.slice(0, -1)), ...pinned)).text).not.toContain('"meta"')
})

test('it is demanded with --require-meta, under a pinned key', async () => {
  const demand = ['--require-meta', ...pinned]
  expect((await check(textOf(proof), ...demand)).code).toBe(0)
  expect((await check(textOf(whole), ...demand)).code).toBe(0)
  expect(await check(textOf(proof.slice(0, -1)), ...demand)).toMatchObject({ code: 10, findings: [{ code: 'META_MISSING' }] }) // prettier-ignore
  expect(await check(textOf(proof), '--require-meta')).toMatchObject({ code: 20, findings: [{ code: 'KEY_MISSING' }] })
})

const stranger = createSigner({ name: META, privateKey: generateKeyPairSync('ed25519').privateKey })
const strange = stranger.verifierKey.text
test.each([
  ['another key that signed it', await metaLine(meta, 40, { signer: stranger, key: strange }), 'META_MISMATCH'],
  ['another key beside it', await metaLine(meta, 40, { key: strange }), 'META_MISMATCH'],
  ['a signature by another key', await metaLine(meta, 40, { signer: stranger }), 'SIGNATURE_MISSING'],
  ['an older checkpoint of the log', await metaLine(meta, 20), 'META_MISMATCH'],
  [
    'another history of the log',
    await metaLine(await makeMeta(await makeLog(40, 'forged'), [40]), 40),
    'META_MISMATCH',
  ],
  ['another log', await metaLine(meta, 99), 'META_MISMATCH'],
  [
    'a changed root',
    line.replace(/"root":"(.)/, (_, first) => `"root":"${first === 'A' ? 'B' : 'A'}`),
    'META_MISMATCH',
  ],
  ['a changed time', line.replace('"ts":"2', '"ts":"3'), 'INCLUSION_UNPROVEN'],
  ['a changed position', line.replace('index 6', 'index 5'), 'INCLUSION_UNPROVEN'],
  ['a changed size of the meta-log', line.replace('77aa\\n8', '77aa\\n9'), 'SIGNATURE_INVALID'],
  ['no entry of a meta-log', line.replace('log.checkpoint', 'log.checkpoinT'), 'META_MISMATCH'],
])('pinned, with %s', async (_, changed, code) => {
  for (const bundle of [proof, whole]) {
    const found = await check(textOf([...bundle.slice(0, -1), changed]), ...pinned)
    expect(found.code).toBe(10)
    expect(found.findings).toContainEqual(expect.objectContaining({ code, line: bundle.length }))
  }
})

test.each([
  ['twice', [line, line]],
  ['with more in it', [line.replace('{"entry"', '{"a":1,"entry"')]],
  ['without a proof', [`${line.slice(0, line.indexOf(',"proof"'))}}}`]],
  ['in another spelling', [line.replace('"key":', '"key": ')]],
])('%s it is malformed', async (_, lines) => {
  expect(await check(textOf([...proof.slice(0, -1), ...lines]), ...pinned)).toMatchObject({ code: 30, findings: [{ code: 'LINE_MALFORMED' }] }) // prettier-ignore
})

test(
  'any one changed byte in the meta-log’s part ≡ not verified, whether its key is pinned or not',
  { timeout: 240_000 },
  async () => {
    // prettier-ignore
    const bytes = Buffer.from(textOf(proof))
    const from = bytes.length - Buffer.byteLength(line) - 1
    for (let at = from; at < bytes.length - 1; at += 1) {
      for (const flip of [0x01, 0x20]) {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] as number) ^ flip
        for (const args of [[], pinned]) {
          const { code, findings } = await check(changed, ...args)
          expect([at, flip, code]).not.toEqual([at, flip, 0])
          expect(findings.map((one) => one.code)).not.toContain('FAILED')
        }
      }
    }
  },
)

test('it is remembered as logs are: a newer one needs a consistency proof, a rewritten one is found', async () => {
  using home = fixture.folder()
  const state = ['--state', home.path, ...pinned]
  const early = await makeMeta(log, [20])
  const first = [...(await exportOf(log, 20)), await metaLine(early, 20)]
  expect((await check(textOf(first), ...state)).code).toBe(0)
  expect(await check(textOf(whole), ...state)).toMatchObject({ code: 10, findings: [{ code: 'CONSISTENCY_UNPROVEN', message: expect.stringContaining('meta-log') }] }) // prettier-ignore
  // Its entries have times of their own, so this one is another.
  const consistency = await fixture.metaConsistencyLine(meta, 4)
  const forked = await check(textOf([...whole.slice(0, -1), consistency, line]), ...state)
  expect(forked).toMatchObject({ code: 10, findings: [{ code: 'CONSISTENCY_UNPROVEN' }] })
  await early.record({ origin: ORIGIN, size: 40, rootHash: await log.rootHash(40) })
  const grown = await metaLine(early, 40)
  const led = await fixture.metaConsistencyLine(early, 4)
  const good = await check(textOf([...whole.slice(0, -1), led, grown]), ...state)
  expect(good).toMatchObject({ code: 0, findings: [] })
  expect(good.pinned).toContain('remembered checkpoint of the meta-log, of size 4')
  expect((await check(textOf([...whole.slice(0, -1), grown]), ...state)).pinned).toContain('remembered checkpoint of the meta-log, of size 5') // prettier-ignore
  // Without a pinned key nothing of it is remembered, and nothing asked.
  expect((await check(textOf(whole), '--state', home.path)).code).toBe(0)
})

test('the quorum of a policy is met by the log or by a pinned meta-log over it', async () => {
  using home = fixture.folder()
  const file = join(home.path, 'policy')
  const cosigner = createCosigner({ name: 'witness.example', privateKey: generateKeyPairSync('ed25519').privateKey, clock: () => 1_800_000_000_000 }) // prettier-ignore
  const witnessed = await metaLine(meta, 40, { cosigner })
  const verify = (bundle: readonly string[]) => verifyWith(textOf(bundle), '--policy', file, '--no-state', '-')
  const witness = `witness w ${cosigner.verifierKey.text}\nquorum w\n`
  writeFileSync(file, `log ${KEY}\nlog ${META_KEY}\n${witness}`)
  for (const bundle of [proof, whole]) {
    const covered = await verify([...bundle.slice(0, -1), witnessed])
    expect(covered).toMatchObject({ code: 0, findings: [], meta: { witnessedAt: 1_800_000_000_000 } })
    expect(await verify(bundle)).toMatchObject({ code: 10, findings: [{ code: 'QUORUM_MISSING' }] })
    expect(await verify(bundle.slice(0, -1))).toMatchObject({ code: 10, findings: [{ code: 'QUORUM_MISSING' }] })
  }
  // A witness that cosigns whatever log there is says nothing of one whose key is not pinned.
  writeFileSync(file, `log ${KEY}\n${witness}`)
  expect(await verify([...proof.slice(0, -1), witnessed])).toMatchObject({ code: 10, findings: [{ code: 'QUORUM_MISSING' }] }) // prettier-ignore
})

test('what it tells of other logs is hashes', () => {
  const { meta: told } = JSON.parse(line) as { meta: { entry: { facts: object }; proof: string } }
  expect(Object.keys(told.entry.facts)).toEqual(['of', 'root', 'size'])
  for (const hash of told.proof.split('\n\n')[0]?.split('\n').slice(2) ?? []) expect(Buffer.from(hash, 'base64')).toHaveLength(32) // prettier-ignore
})
